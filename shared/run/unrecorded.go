package run

import (
	"slices"
	"time"
)

// CodeUnrecorded is of a target whose path ended without an outcome.
const (
	CodeUnrecorded  = "unrecorded"
	CauseUnrecorded = "the target's path ended without an outcome; its steps say how far it came"
)

// Abandon is the target as the run leaves it without an outcome. What was begun may have left something behind, unless the run only looks.
func (r Run) Abandon(t Target, code, cause string, at time.Time) Target {
	if t.Status.Done() {
		return t
	}
	t.LeftBehind = t.Status != TargetWaiting && !r.Type.OnlyLooks()
	t = t.Ended(code, cause)
	t.EndedAt = at
	return t
}

// Unrecorded are the targets, as they end, that a batch left without an outcome, if it ended none: those that were begun or, where none was, all, so that
// the run does not go round for ever. before is how many were done when it began.
func (r Run) Unrecorded(targets []Target, before int, at time.Time) (ended []Target) {
	if done := Done(targets); done > before || done == len(targets) {
		return nil
	}
	isBegun := func(t Target) bool { return !t.Status.Done() && t.Status != TargetWaiting }
	begun := slices.ContainsFunc(targets, isBegun)
	for _, t := range targets {
		if isBegun(t) || !begun && !t.Status.Done() {
			ended = append(ended, r.Abandon(t, CodeUnrecorded, CauseUnrecorded, at))
		}
	}
	return ended
}

// Done counts the targets that have their outcome.
func Done(targets []Target) (n int) {
	for _, t := range targets {
		if t.Status.Done() {
			n++
		}
	}
	return n
}
