package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

// Gate is who is asked behind a wave whether the run may go on, once the wave's targets are well.
type Gate struct {
	Receiver string        // name of a receiver of the kind webhook
	Timeout  time.Duration // without an answer it has failed then
}

// The bounds of a gate's timeout: a person may stand behind it, and the machine that waits lives for a day at most.
const (
	MinGateTimeout = 10 * time.Second
	MaxGateTimeout = 23 * time.Hour
	// DefaultGateTimeout is what a gate has that says nothing.
	DefaultGateTimeout = time.Hour
)

// GateFailed is the code of what a gate keeps back.
const GateFailed = "gate-failed"

func (g Gate) validate(at string) error {
	if g.Receiver == "" {
		return problem.Invalid("rollout-invalid", "the gate names no receiver").At(at + ".receiver").Try("name a receiver of the kind webhook; swell receiver list shows them")
	}
	if g.Timeout < MinGateTimeout || g.Timeout > MaxGateTimeout {
		return problem.Invalid("rollout-invalid", "the gate's timeout is %s", g.Timeout).At(at+".timeout").Try("use %s to %s", MinGateTimeout, MaxGateTimeout)
	}
	return nil
}

// HasGate says whether any wave has one.
func (r Rollout) HasGate() bool {
	return slices.ContainsFunc(r.Waves, func(w Wave) bool { return w.Gate != nil })
}

// gate says what the run does before it begins the next wave, if a gate behind an earlier one that it has walked is not open. A redrive, which walks what
// was left, asks them all: they may be what stopped the run before it. A rollback walks the other way and asks nobody: what it goes to was let through before.
func (r Rollout) gate(s Situation, next string) (step Step, shut bool) {
	if s.Run.Type == run.Rollback {
		return Step{}, false
	}
	for _, w := range r.Waves[:r.index(next)] {
		walked := slices.ContainsFunc(s.Targets, func(t run.Target) bool { return t.Wave == w.Name })
		if w.Gate == nil || !walked && s.Run.RedriveOf == "" {
			continue
		}
		g, asked := s.Gates[w.Name]
		if !asked {
			g = run.Gate{Wave: w.Name, Receiver: w.Gate.Receiver, Until: s.Now.Add(w.Gate.Timeout)}
		}
		switch {
		case g.Status == run.GatePassed:
			continue
		case g.Status == run.GateFailed:
			return Step{Turn: End, Drop: Drop{Status: run.TargetCanceled, Code: GateFailed, Cause: fmt.Sprintf("the gate behind wave %s is shut: %s", w.Name, g.Reason)}}, true
		case !s.Now.Before(g.Until):
			return Step{Turn: End, Drop: Drop{Status: run.TargetCanceled, Code: GateFailed, Cause: fmt.Sprintf("nobody opened the gate behind wave %s in time", w.Name)}}, true
		}
		return Step{Turn: Await, Reason: run.AtGate, Gate: &g, Until: g.Until}, true
	}
	return Step{}, false
}
