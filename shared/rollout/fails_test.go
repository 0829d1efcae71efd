package rollout_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
)

func TestFails(t *testing.T) {
	two := rollout.Rollout{Limits: rollout.Limits{MaxFailures: &rollout.Amount{N: 1}}}
	reach := rollout.Rollout{MaxUnreachable: &rollout.Amount{N: 0}}
	cases := map[string]struct {
		rollout  rollout.Rollout
		statuses []run.TargetStatus
		want     bool
	}{
		"no budget, all well":     {rollout.Rollout{}, []run.TargetStatus{run.TargetSucceeded}, false},
		"no budget, one failed":   {rollout.Rollout{}, []run.TargetStatus{run.TargetSucceeded, run.TargetFailed}, true},
		"no budget, one away":     {rollout.Rollout{}, []run.TargetStatus{run.TargetSucceeded, run.TargetUnreachable}, false},
		"within the budget":       {two, []run.TargetStatus{run.TargetSucceeded, run.TargetFailed}, false},
		"beyond the budget":       {two, []run.TargetStatus{run.TargetFailed, run.TargetFailed}, true},
		"more away than may be":   {reach, []run.TargetStatus{run.TargetSucceeded, run.TargetUnreachable}, true},
		"away, without that many": {two, []run.TargetStatus{run.TargetSucceeded, run.TargetUnreachable}, false},
	}
	for name, c := range cases {
		var targets []run.Target
		for _, s := range c.statuses {
			targets = append(targets, run.Target{Status: s})
		}
		if got := c.rollout.Fails(targets); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
