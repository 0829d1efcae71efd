package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/openapi/server/receivewebhook"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/workflow"
)

// memory is the store, the secrets, the queue and Step Functions of one test.
type memory struct {
	mu        sync.Mutex
	now       time.Time
	secrets   map[string]secrets.Secret
	reads     int // of secrets
	clusters  map[string]bool
	looked    int // for clusters
	heard     []relay.Delivery
	releases  map[release.Key]release.Release
	watches   map[release.Key]watch.Watch
	waits     map[release.Key]watch.Wait
	claimed   map[workflow.TaskToken]bool
	looks     map[string]time.Time
	learned   run.LearnedBy
	sent      []time.Duration // of looks: how long they are to wait
	woken     []string
	beaten    []string
	fails     error // of every call of the store
	conflicts int   // how many writes of a watch meet another
}

func newMemory() *memory {
	return &memory{
		now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), clusters: map[string]bool{"c": true}, secrets: map[string]secrets.Secret{}, releases: map[release.Key]release.Release{},
		watches: map[release.Key]watch.Watch{}, waits: map[release.Key]watch.Wait{}, claimed: map[workflow.TaskToken]bool{}, looks: map[string]time.Time{},
	}
}

// clock is later each time that it is read.
func (m *memory) clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(time.Nanosecond)
	return m.now
}

func (m *memory) handler() http.Handler {
	return receivewebhook.New(handler{
		store: m, keys: newKeyring(m, m, m.clock), heard: newHeard(), checks: m, now: m.clock, log: slog.New(slog.DiscardHandler),
		answers: callback.Answerer{Store: m, Tasks: m, Now: m.clock},
	})
}

func (m *memory) lock() (unlock func(), err error) {
	m.mu.Lock()
	return m.mu.Unlock, m.fails
}

func (m *memory) GetNow(_ context.Context, name string) (secrets.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	s, ok := m.secrets[name]
	if !ok {
		return s, fmt.Errorf("reading secret %s: %w", name, secrets.ErrNotFound)
	}
	return s, nil
}

func (m *memory) HasCluster(_ context.Context, _, id string) (bool, error) {
	unlock, err := m.lock()
	defer unlock()
	m.looked++
	return m.clusters[id], err
}

func (m *memory) HearRelay(_ context.Context, _, _ string, d relay.Delivery, _ time.Time) error {
	unlock, err := m.lock()
	defer unlock()
	m.heard = append(m.heard, d)
	return err
}

func (m *memory) FindReleases(_ context.Context, keys []release.Key) (map[release.Key]release.Release, error) {
	unlock, err := m.lock()
	defer unlock()
	found := map[release.Key]release.Release{}
	for _, k := range keys {
		if r, ok := m.releases[k]; ok {
			found[k] = r
		}
	}
	return found, err
}

func (m *memory) FindWatch(_ context.Context, key release.Key) (watch.Watch, error) {
	unlock, err := m.lock()
	defer unlock()
	w := m.watches[key]
	w.Key = key
	w.Objects = append([]watch.Object(nil), w.Objects...)
	return w, err
}

func (m *memory) PutWatch(_ context.Context, w watch.Watch) (bool, error) {
	unlock, err := m.lock()
	defer unlock()
	if m.conflicts > 0 {
		m.conflicts--
		return false, nil
	}
	if err != nil || m.watches[w.Key].Version != w.Version {
		return false, err
	}
	w.Version++
	m.watches[w.Key] = w
	return true, nil
}

func (m *memory) FindWait(_ context.Context, key release.Key) (watch.Wait, bool, error) {
	unlock, err := m.lock()
	defer unlock()
	w, ok := m.waits[key]
	return w, ok, err
}

func (m *memory) ListWaits(_ context.Context, _, clusterID string) ([]watch.Wait, error) {
	unlock, err := m.lock()
	defer unlock()
	var waits []watch.Wait
	for k, w := range m.waits {
		if k.ClusterID == clusterID && w.Token != "" {
			waits = append(waits, w)
		}
	}
	return waits, err
}

func (m *memory) ClaimAnswer(_ context.Context, w watch.Wait, _ time.Time) (bool, error) {
	unlock, err := m.lock()
	defer unlock()
	if m.claimed[w.Token] || m.waits[w.Key].Token != w.Token {
		return false, err
	}
	m.claimed[w.Token] = true
	return true, err
}

func (m *memory) FreeAnswer(_ context.Context, w watch.Wait) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claimed[w.Token] = false
	return nil
}

func (m *memory) EndWait(_ context.Context, w watch.Wait) error {
	unlock, err := m.lock()
	defer unlock()
	w.Token = ""
	m.waits[w.Key] = w
	return err
}

func (m *memory) SetLearnedBy(_ context.Context, _, _, _ string, by run.LearnedBy) error {
	unlock, err := m.lock()
	defer unlock()
	m.learned = by
	return err
}

func (*memory) SetToken(context.Context, release.Key, string, workflow.TaskToken) (workflow.TaskToken, bool, error) {
	return "", false, nil // await-report's
}

func (m *memory) ScheduleLook(_ context.Context, _, clusterID string, now time.Time, every time.Duration) (time.Time, bool, error) {
	unlock, err := m.lock()
	defer unlock()
	last := m.looks[clusterID]
	if !last.Before(now) {
		return last, false, err
	}
	if next := last.Add(every); next.After(now) {
		now = next
	}
	m.looks[clusterID] = now
	return now, true, err
}

func (m *memory) SendLater(_ context.Context, _ any, wait time.Duration) error {
	unlock, err := m.lock()
	defer unlock()
	m.sent = append(m.sent, wait)
	return err
}

func (m *memory) Wake(_ context.Context, token string) error {
	unlock, err := m.lock()
	defer unlock()
	m.woken = append(m.woken, token)
	return err
}

func (m *memory) Heartbeat(_ context.Context, token string) (bool, error) {
	unlock, err := m.lock()
	defer unlock()
	m.beaten = append(m.beaten, token)
	return true, err
}
