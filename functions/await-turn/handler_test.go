package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

type memory struct {
	gates
	run  run.Run
	turn run.Turn
	woke []string
}

func (m *memory) PutTurn(_ context.Context, _, _ string, t run.Turn) error {
	m.turn = t
	return nil
}

func (m *memory) Wake(_ context.Context, token string) error {
	m.woke = append(m.woke, token)
	return nil
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func TestAwaitTurn(t *testing.T) {
	paused := workflow.Waiting{RunRef: workflow.RunRef{Org: "o", Run: "r"}, Reason: "paused", Token: "t"}
	bake := paused
	bake.Reason, bake.Until = "bake", "2026-11-21T12:05:00Z"
	cases := map[string]struct {
		in    workflow.Waiting
		run   run.Run
		after time.Duration
		waits bool
	}{
		"paused":                   {paused, run.Run{Paused: true}, 0, true},
		"resumed meanwhile":        {paused, run.Run{}, 0, false},
		"canceled meanwhile":       {paused, run.Run{Paused: true, CancelRequested: true}, 0, false},
		"turned around meanwhile":  {paused, run.Run{Paused: true, Phase: run.Reverting}, 0, false},
		"ended over its machine":   {paused, run.Run{Paused: true, Status: run.Failed}, 0, false},
		"bakes":                    {bake, run.Run{}, 0, true},
		"baked meanwhile":          {bake, run.Run{}, 5 * time.Minute, false},
		"paused, as it bakes":      {bake, run.Run{Paused: true}, 0, false},
		"paused, and it has baked": {bake, run.Run{Paused: true}, time.Hour, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{run: c.run}
			_, err := handler{store: m, tasks: m, now: func() time.Time { return noon.Add(c.after) }}.handle(t.Context(), c.in)
			if woke := slices.Equal(m.woke, []string{"t"}); err != nil || woke == c.waits {
				t.Errorf("woke %v: %v", m.woke, err)
			}
			want := run.Turn{Token: "t", Reason: c.in.Reason}
			if c.in.Until != "" {
				want.Until = noon.Add(5 * time.Minute)
			}
			if diff := cmp.Diff(want, m.turn); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestATimeThatIsNoneIsRefused(t *testing.T) {
	if _, err := (handler{store: &memory{}, now: time.Now}).handle(t.Context(), workflow.Waiting{Until: "noon"}); err == nil {
		t.Error("it is taken")
	}
}
