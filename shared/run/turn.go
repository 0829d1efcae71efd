package run

import (
	"fmt"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// Phase says which way a run goes.
type Phase string

// A run goes forward, until it is told to bring the targets that it changed back to what they were.
const (
	Forward   Phase = ""
	Reverting Phase = "reverting"
)

// Turn is a run's machine as it waits to be told to look what is next.
type Turn struct {
	Token  string // of the waiting task
	Reason string // Paused, Baking or AtGate
	Until  time.Time
}

// Why a run waits.
const (
	Paused = "paused"
	Baking = "bake"
	AtGate = "gate" // the one of its gates that was asked and not answered
)

// Waits says whether the reason for which the run's machine waits holds still.
func (r Run) Waits(t Turn, now time.Time) bool {
	switch {
	case r.CancelRequested, r.Phase == Reverting, r.Status.Done(), r.Paused != (t.Reason == Paused):
		return false
	case t.Reason != Paused: // it bakes, or stands at a gate
		return now.Before(t.Until)
	}
	return true
}

// MustRevert says whether a run that turns around has still something to take back on the target: it came so far as to change it. What is tried once is
// not tried again, and what could not be reached is left alone.
func (t Target) MustRevert() bool {
	switch r := t.Remedy; {
	case t.Before == nil, t.Status == TargetUnreachable, t.Status == TargetSuperseded:
		return false
	case r == nil:
		return t.Status.Done()
	case r.Reverts:
		return !t.Status.Done()
	default:
		return t.Status.Done() && (!r.Back() || r.Status != RemedySucceeded)
	}
}

// RollsOut says whether the run keeps to its generation's waves and budgets: reconcile's runs are about single clusters, and removals and looks have none.
func (r Run) RollsOut() bool {
	switch r.Type {
	case Deploy, Sync, Rollback, Join:
		return r.Trigger != "reconcile"
	}
	return false
}

// Steerable refuses to pause, resume, cancel or turn around a run that has ended.
func (r Run) Steerable() error {
	if r.Status.Done() {
		return problem.Conflict("run-ended", "run %q ended as %s", r.ID, r.Status).Try("what it did is undone by an update, or by a removal")
	}
	return nil
}

// Pausable refuses to pause a run that has nothing to hold back.
func (r Run) Pausable() error {
	switch {
	case r.Type.OnlyLooks():
		return problem.Conflict("run-not-pausable", "run %q only looks", r.ID).Try("cancel it instead")
	case r.Phase == Reverting:
		return problem.Conflict("run-not-pausable", "run %q takes back what it did, and begins nothing", r.ID).Try("wait for its end, or cancel it: what is not back by then stays")
	}
	return nil
}

// Revertible refuses to take back what moves no release from one generation to another, and a run that goes no further.
func (r Run) Revertible() error {
	switch {
	case r.Type != Deploy && r.Type != Rollback:
		return problem.Conflict("run-not-revertible", "a run of type %s cannot be taken back", r.Type).Try("cancel it without rollBack")
	case r.CancelRequested:
		return problem.Conflict("run-not-revertible", "run %q is canceled, and touches no further target", r.ID).Try("wait for its end, then roll the deployment back")
	}
	return nil
}

// Withdraws says whether the generation of a run that ends goes back with its targets. Not where it stopped half way, nor where it was about some targets
// alone: the others have the generation.
func (r Run) Withdraws() bool {
	return r.Phase == Reverting && !r.CancelRequested && !r.Status.Done() && len(r.Only) == 0
}

// Why says why a run as a whole did not do what it was to do: a budget kept targets back, or clusters could not be reached. Failed targets say it
// themselves.
func Why(targets []Target) (code, cause string) {
	away := []string{}
	failed := false
	for _, t := range targets {
		switch {
		case t.Status == TargetCanceled && (t.Code == "budget-exhausted" || t.Code == "gate-failed"):
			return t.Code, t.Cause
		case t.Status == TargetUnreachable:
			away = append(away, t.ClusterName)
		case t.Status == TargetFailed:
			failed = true
		}
	}
	if failed || len(away) == 0 {
		return "", ""
	}
	if more := len(away) - maxNamed; more > 0 {
		away = append(away[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return "targets-unreachable", "they get what they missed when they answer again: " + strings.Join(away, ", ")
}

const maxNamed = 10 // clusters in a cause
