package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

// world is a machine, with people and clusters that do as they like.
type world struct {
	*rapid.T
	machine
	deeds int // that people may still do
}

func drawWorld(t *rapid.T) *world {
	w := &world{T: t, machine: machine{now: noon, memory: &memory{
		run:        run.Run{Org: "o", ID: "r0", Type: rapid.SampledFrom([]run.Type{run.Deploy, run.Deploy, run.Deploy, run.Rollback, run.Sync}).Draw(t, "type"), Trigger: "api", Status: run.Running, Generation: 2, Before: 1, PlanHash: "p"},
		deployment: deployment.Deployment{Generation: 2, Namespace: "n", ReleaseName: "web"},
		entries:    map[string]release.PlanEntry{"old": {InputHash: "before"}},
	}}}
	one := func(label string, percent bool, least int) *rollout.Amount {
		if !rapid.Bool().Draw(t, label) {
			return nil
		}
		return &rollout.Amount{N: rapid.IntRange(least, 100).Draw(t, label+" is"), Percent: percent}
	}
	ro := rollout.Rollout{MaxUnreachable: one("reach", true, 0), Limits: rollout.Limits{MaxFailures: one("failures", true, 0), MaxConcurrency: one("concurrency", true, 1)}}
	waves := rapid.IntRange(0, 3).Draw(t, "waves")
	for i := range waves {
		wave := rollout.Wave{Name: fmt.Sprint("w", i), Limits: rollout.Limits{MaxConcurrency: one("its concurrency", true, 1), MaxFailures: one("its failures", true, 0)}}
		if rapid.Bool().Draw(t, "gate") {
			wave.Gate = &rollout.Gate{Receiver: "ci", Timeout: time.Hour}
		}
		if rapid.Bool().Draw(t, "bakes") {
			wave.MinSuccessTime = new(time.Duration(rapid.IntRange(1, 3600).Draw(t, "bake")) * time.Second)
		}
		ro.Waves = append(ro.Waves, wave)
	}
	w.generation = deployment.Generation{Rollout: ro, Atomic: rapid.Bool().Draw(t, "atomic")}
	for i := range rapid.IntRange(1, 10).Draw(t, "targets") {
		wave := ""
		if n := rapid.IntRange(0, waves).Draw(t, "wave"); n < waves {
			wave = fmt.Sprint("w", n)
		}
		w.targets = append(w.targets, run.Target{ClusterID: fmt.Sprint("c", i), Wave: wave, Status: run.TargetWaiting})
	}
	w.deeds = rapid.IntRange(0, 4).Draw(t, "deeds")
	w.path, w.waits, w.began = w.walked, w.waited, w.mayBegin
	w.lost = func() bool { return rapid.IntRange(0, 9).Draw(t, "lost") == 0 }
	return w
}

// people pause, resume, cancel, turn around or replace the run, at times and as far as the API lets them.
func (w *world) people() {
	if w.deeds == 0 || rapid.IntRange(0, 5).Draw(w.T, "somebody") > 0 {
		return
	}
	w.deeds--
	switch rapid.SampledFrom([]string{"pause", "resume", "cancel", "revert", "replace"}).Draw(w.T, "deed") {
	case "pause":
		w.run.Paused = w.run.Paused || w.run.Pausable() == nil
	case "resume":
		w.run.Paused = false
	case "cancel":
		w.run.CancelRequested = true
	case "revert":
		if w.run.Revertible() == nil {
			w.run.Phase = run.Reverting
		}
	case "replace":
		w.deployment.Generation = 3
	}
}

// walked is a target as PrepareRelease and what follows it leave it.
func (w *world) walked(item workflow.TargetRef, t run.Target) run.Target {
	if t.Status.Done() {
		w.Fatalf("%s is walked, and is %s", t.ClusterID, t.Status)
	}
	w.people()
	end := func(code string) run.Target {
		t = t.Ended(code, code)
		t.EndedAt = w.now
		return t
	}
	back := item.Remedy > 0
	if stopped, stop := w.run.StoppedBy(w.deployment.Generation, false); stop && !item.Recheck {
		return end(map[run.TargetStatus]string{run.TargetCanceled: "canceled", run.TargetSuperseded: "superseded"}[stopped])
	}
	if w.run.Phase == run.Reverting && !back && !item.Recheck {
		return end("reverted")
	}
	reached := rapid.IntRange(0, 9).Draw(w.T, "reached") > 0
	if !item.Recheck {
		if t.StartedAt.IsZero() {
			t.Status, t.StartedAt = run.TargetPreparing, w.now
		}
		if reached && t.Before == nil {
			t.Before = &run.Before{Revision: 1, PlanHash: rapid.SampledFrom([]string{"old", "old", ""}).Draw(w.T, "before")}
		}
		if reached {
			t.Status = run.TargetDeploying
		}
	}
	outcomes := []string{"", "", "", "", "", "", "not-ready", "dies"}
	switch outcome := rapid.SampledFrom(outcomes).Draw(w.T, "outcome"); {
	case outcome == "dies":
		return t
	case !reached && back:
		return end("cluster-unreachable")
	case !reached:
		end("cluster-unreachable")
		if !w.run.CancelRequested && w.run.Phase == run.Forward {
			t.Status = run.TargetUnreachable
		}
		return t
	default:
		t.Revision = 3
		return end(outcome)
	}
}

// waited: time passes, a gate is answered or not, and a run that everybody forgot is resumed in the end.
func (w *world) waited(b workflow.Batch) {
	w.people()
	switch b.Reason {
	case run.Paused:
		w.run.Paused = w.run.Paused && w.deeds > 0
		w.now = w.now.Add(time.Minute)
	case run.AtGate:
		asked := 0
		for wave, g := range w.gates {
			if g.Status != run.GateAsked {
				continue
			}
			asked++
			g.Status = rapid.SampledFrom([]run.GateStatus{run.GatePassed, run.GatePassed, run.GateFailed, run.GateAsked}).Draw(w.T, "answer")
			w.gates[wave] = g
		}
		if asked != 1 {
			w.Fatalf("it stands at %d gates: %+v", asked, w.gates)
		}
		fallthrough
	default:
		until, err := time.Parse(time.RFC3339, b.Until)
		if err != nil || !w.now.Before(until) {
			w.Fatalf("at %s it waits for %q: %v", w.now, b.Until, err)
		}
		if rapid.Bool().Draw(w.T, "woken") {
			w.now = w.now.Add(time.Second)
		} else {
			w.now = until
		}
	}
}

// mayBegin holds what a user relies on when targets begin: no wave is followed that is not well, and no gate is passed that did not say so.
func (w *world) mayBegin(b workflow.Batch) {
	if len(b.Items) == 0 || b.Items[0].Recheck || b.Items[0].Remedy > 0 {
		return
	}
	if _, stop := w.run.StoppedBy(w.deployment.Generation, false); stop || w.run.Paused || w.run.Phase == run.Reverting {
		w.Fatalf("it begins %+v, and is %+v", b.Items, w.run)
	}
	ro, back := w.generation.Rollout, w.run.Type == run.Rollback
	place := func(wave string) int {
		if i := slices.IndexFunc(ro.Waves, func(one rollout.Wave) bool { return one.Name == wave }); i >= 0 {
			return i
		}
		return len(ro.Waves)
	}
	now := w.target(b.Items[0].Cluster).Wave
	for i, wave := range append(slices.Clone(ro.Waves), rollout.Wave{}) {
		var total, open, well, failed, away int
		for _, t := range w.targets {
			if t.Wave != wave.Name {
				continue
			}
			total++
			switch t.Status {
			case run.TargetSucceeded:
				well++
				if bake := ro.Bake(t.Wave); bake > 0 && (t.SucceededAt.IsZero() || t.EndedAt.Sub(t.SucceededAt) < bake) {
					w.Fatalf("%s begins, and %s has not baked", now, t.ClusterID)
				}
			case run.TargetUnreachable:
				away++
			case run.TargetFailed:
				failed++
			default:
				open++
			}
		}
		if most := wave.MaxFailures; !ro.IsZero() {
			if most == nil {
				most = ro.MaxFailures
			}
			if most == nil && failed > 0 || most != nil && failed > most.N*total/100 {
				w.Fatalf("%s begins, and %d of %d of %s failed", now, failed, total, wave.Name)
			}
		}
		before := i < place(now)
		if i != place(now) && before != back && open > 0 {
			w.Fatalf("%s begins, and %d of %s are not done", now, open, wave.Name)
		}
		if back || !before {
			continue
		}
		if well == 0 && away > 0 {
			w.Fatalf("%s begins, and nobody of %s answers", now, wave.Name)
		}
		if asks := total > 0 || w.run.RedriveOf != ""; asks && wave.Gate != nil && w.gates[wave.Name].Status != run.GatePassed {
			w.Fatalf("%s begins, and the gate behind %s says %+v", now, wave.Name, w.gates[wave.Name])
		}
	}
}

// ended holds what a user finds when the run has ended.
func (w *world) ended() {
	if !w.run.Status.Done() {
		w.Fatalf("the run is %s", w.run.Status)
	}
	superseded := w.deployment.Generation != w.run.Generation
	for _, t := range w.targets {
		untouched := !w.touched[t.ClusterID]
		switch {
		case !t.Status.Done() || t.EndedAt.IsZero():
			w.Fatalf("target %+v has not ended", t)
		case t.Remedy != nil && t.Remedy.Status == run.RemedyRunning:
			w.Fatalf("the remedy of %s is running: %+v", t.ClusterID, t.Remedy)
		case untouched && (t.LeftBehind || t.Status != run.TargetCanceled && t.Status != run.TargetSuperseded):
			w.Fatalf("nobody came to target %+v", t)
		case w.run.Phase == run.Reverting && !w.run.CancelRequested && !superseded && t.MustRevert():
			w.Fatalf("target %+v was not taken back", t)
		case untouched && w.run.Phase == run.Forward && !w.run.CancelRequested && !superseded && t.Code != rollout.CodeBudgetExhausted && t.Code != rollout.GateFailed:
			w.Fatalf("target %+v was forgotten", t)
		}
	}
	if want := w.run.Phase == run.Reverting && !w.run.CancelRequested && w.run.RedriveOf == ""; w.withdrawn != want {
		w.Fatalf("withdrawn %t: %+v", w.withdrawn, w.run)
	}
}

// redrive begins the run that takes up what this one left, if there is any.
func (w *world) redrive() bool {
	again, err := w.run.Redrive(w.targets)
	if err != nil || w.withdrawn || w.deployment.Generation != w.run.Generation {
		return false
	}
	again.ID, again.Trigger, again.Status, again.PlanHash = w.run.ID+"0", "api", run.Running, "p"
	var targets []run.Target
	for _, t := range w.targets {
		if slices.Contains(again.Only, t.ClusterID) {
			targets = append(targets, run.Target{ClusterID: t.ClusterID, Wave: t.Wave, Status: run.TargetWaiting})
		}
	}
	w.run, w.targets, w.gates, w.deeds = again, targets, nil, w.deeds+1
	return true
}

// Whatever people and clusters do, NextBatch and EvaluateBatch together bring a run to an end, and keep what they promise.
func TestARunEndsAsPromised(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range 3 {
			if err := w.walk(100 + 40*len(w.targets)); err != nil {
				t.Fatal(err)
			}
			w.ended()
			if !w.redrive() {
				return
			}
		}
	})
}
