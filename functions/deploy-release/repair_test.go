package main

import (
	"context"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// told remembers what a run says of its target and its release.
type told struct {
	*memory
	actions []string
}

func (s *told) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	if t.Action != "" {
		s.actions = append(s.actions, t.Action)
	}
	return nil
}

func (s *told) SetDrift(_ context.Context, _ release.Key, found release.Drift, previous *release.Drift) (bool, error) {
	found, news := found.After(previous)
	if news {
		s.release.Drift = &found
	}
	return news, nil
}

// An upgrade over a drift that is known puts right what Helm's patch leaves: a field that somebody added.
func TestUpgradeRepairsWhatIsKnown(t *testing.T) {
	m, h := newHandler(t)
	store := &told{memory: m}
	h.store = store
	m.deploy(t, h, 1)
	o := m.server.Objects("configmaps")[0]
	o["data"].(map[string]any)["added"] = "by hand"
	o["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{
		"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "time": "2026-01-01T00:00:00Z",
		"fieldsV1": map[string]any{"f:data": map[string]any{"f:added": map[string]any{}}},
	}}
	m.server.Put(o)
	m.release.Drift = &release.Drift{Revision: 1, Objects: 1, Fields: 1, At: time.Now().Add(-time.Minute)}
	store.actions = nil
	history := m.deploy(t, h, 2)
	left := false
	for _, o := range m.server.Objects("configmaps") {
		_, added := o["data"].(map[string]any)["added"]
		left = left || added
	}
	if left || len(history) != 2 || m.release.Drift.Objects != 0 || len(store.actions) > 0 {
		t.Errorf("the added field is there: %v; %d revisions, drift %+v, actions %v", left, len(history), m.release.Drift, store.actions)
	}
}

// A run that finds the record as desired puts right what somebody changed behind it, without a new revision.
func TestSyncRepairsTheObjects(t *testing.T) {
	m, h := newHandler(t)
	store := &told{memory: m}
	h.store = store
	m.deploy(t, h, 1)
	const wanted = "input-1"
	text := func() any {
		for _, o := range m.server.Objects("configmaps") {
			return o["data"].(map[string]any)["text"]
		}
		return nil
	}
	cases := map[string]struct {
		breakIt func(o map[string]any)
		repairs int
	}{
		"nothing":   {nil, 0},
		"a field":   {func(o map[string]any) { o["data"].(map[string]any)["text"] = "by hand"; m.server.Put(o) }, 1},
		"an object": {func(map[string]any) { m.server.Remove("configmaps", key.Namespace, "web-00") }, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store.actions = nil
			m.release.Drift = &release.Drift{Revision: 1, Objects: 1, At: time.Now().Add(-time.Minute)}
			if c.breakIt != nil {
				c.breakIt(m.server.Objects("configmaps")[0])
				if text() == wanted {
					t.Fatal("nothing is broken")
				}
			}
			history := m.deploy(t, h, 1)
			if got := text(); got != wanted || len(history) != 1 || len(store.actions) != c.repairs || m.release.Drift.Objects != 0 {
				t.Errorf("the object says %v, %d revisions, actions %v, drift %+v", got, len(history), store.actions, m.release.Drift)
			}
		})
	}
}
