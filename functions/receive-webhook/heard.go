package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/relay"
)

const (
	hearEvery  = time.Minute // a relay that says nothing new of its cluster is recorded as heard
	maxVersion = 64
)

// heard remembers what this function recorded of relays, so that not every delivery is a write.
type heard struct {
	mu   sync.Mutex
	last map[string]hearing
}

type hearing struct {
	relay, key        string
	version           string
	nodes, readyNodes int
	at                time.Time
}

func newHeard() *heard { return &heard{last: map[string]hearing{}} }

// news says whether to record that hearing.
func (h *heard) news(name string, now hearing) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, ok := h.last[name]
	recent := now.at.Sub(last.at) < hearEvery
	last.at = now.at
	return !ok || !recent || last != now
}

func (h *heard) keep(name string, now hearing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.last) >= maxKnown {
		clear(h.last)
	}
	h.last[name] = now
}

// hear records that the relay is alive and what it says of its cluster: once a minute, and when it is news.
func (h handler) hear(ctx context.Context, org, clusterID string, d relay.Delivery) error {
	name := relay.KeysName(org, clusterID)
	now := hearing{relay: excerpt.Of(d.Relay, maxVersion), key: excerpt.Of(d.Key, maxVersion), at: h.now().UTC()}
	if c := d.Cluster; c != nil {
		c.Version = excerpt.Of(c.Version, maxVersion)
		now.version, now.nodes, now.readyNodes = c.Version, c.Nodes, c.ReadyNodes
	} else {
		h.heard.mu.Lock()
		last := h.heard.last[name]
		h.heard.mu.Unlock()
		now.version, now.nodes, now.readyNodes = last.version, last.nodes, last.readyNodes
	}
	if !h.heard.news(name, now) {
		return nil
	}
	d.Relay, d.Key = now.relay, now.key
	if err := h.store.HearRelay(ctx, org, clusterID, d, now.at); err != nil {
		return fmt.Errorf("recording that the relay of cluster %s was heard: %w", clusterID, err)
	}
	h.heard.keep(name, now)
	return nil
}
