package main

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

var key = release.Key{Org: "o", ClusterID: "c", Namespace: "web", Name: "web"}

// memory has run r, which brings plan "own" to cluster c, whose release was healthy at revision 3.
type memory struct {
	mu      sync.Mutex
	policy  deployment.Remediation
	phase   run.Phase
	target  run.Target
	release release.Release
	entries map[string]release.PlanEntry
	steps   []run.Step
}

func newMemory(policy deployment.Remediation) *memory {
	entry := release.PlanEntry{PlanHash: "own", ClusterID: "c", Key: key, InputHash: "bad", Generation: 2}
	good := release.PlanEntry{PlanHash: "p1", ClusterID: "c", Key: key, InputHash: "good", Generation: 1}
	return &memory{
		policy: policy, target: run.Target{ClusterID: "c", ClusterName: "pke", Status: run.TargetVerifying, Before: &run.Before{Revision: 3, PlanHash: "p1"}},
		release: release.Release{
			Key: key, Healthy: 3, Verified: &release.Desired{PlanHash: "p1"}, Desired: &release.Desired{RunID: "r"}, Observed: &release.Observed{Revision: 4, Status: "failed"},
		},
		entries: map[string]release.PlanEntry{"own": entry, "p1": good},
	}
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) {
	return run.Run{Org: "o", ID: "r", Type: run.Deploy, PlanHash: "own", Generation: 2, Phase: m.phase}, nil
}

func (m *memory) FindIntent(context.Context, string, run.Run) (deployment.Deployment, deployment.Generation, error) {
	return deployment.Deployment{}, deployment.Generation{Remediation: m.policy}, nil
}

func (m *memory) FindTarget(context.Context, string, string, string) (run.Target, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.target, nil
}

// UpdateTarget keeps to what the table holds: nobody who does not know of the newest remedy changes a target.
func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was := m.target.Remedy; was == nil || t.Remedy != nil && t.Remedy.Number >= was.Number {
		m.target = t
	}
	return nil
}

func (m *memory) FindRelease(context.Context, release.Key) (release.Release, error) {
	return m.release, nil
}

func (m *memory) FindPlanEntry(_ context.Context, _, hash, _ string) (release.PlanEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[hash]
	if !ok {
		return e, problem.NotFound("plan-not-found", "plan %s", hash)
	}
	return e, nil
}

func (m *memory) PutPlan(_ context.Context, _, hash string, entries []release.PlanEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[hash] = entries[0]
	return nil
}

func (m *memory) PutStep(_ context.Context, _, _ string, s run.Step) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps = append(m.steps, s)
	return nil
}

func caught(name, code string) *taskerr.Caught {
	cause, err := json.Marshal(map[string]string{"errorMessage": code + ": raw words", "errorType": name})
	if err != nil {
		panic(err)
	}
	return &taskerr.Caught{Error: name, Cause: string(cause)}
}

// ends hands a failure of what is under way to the handler, as the machine does.
func (m *memory) ends(t *testing.T, at workflow.Remedied, name, code string) workflow.Remedied {
	t.Helper()
	in := workflow.Outcome{TargetRef: workflow.TargetRef{Org: "o", Run: "r", Cluster: "c", Plan: at.Plan, Remedy: at.Remedy}, Caught: caught(name, code)}
	out, err := handler{store: m}.handle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	target := m.target
	late, err := handler{store: m}.handle(t.Context(), in) // a second delivery
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(out, late) + cmp.Diff(target, m.target); diff != "" {
		t.Errorf("the second delivery is another:\n%s", diff)
	}
	return out
}

func start() workflow.Remedied {
	return workflow.Remedied{Outcome: workflow.Outcome{TargetRef: workflow.TargetRef{Plan: "own"}}}
}

func TestAFailureIsRolledBackOnce(t *testing.T) {
	m := newMemory(deployment.Remediation{Strategy: deployment.RollBack})
	back := m.ends(t, start(), taskerr.TargetFailed, "image-pull")
	if !back.Again || back.Caught != nil || back.Remedy != 1 || back.Plan == "own" {
		t.Fatalf("got %+v", back)
	}
	entry := m.entries[back.Plan]
	if entry.RollbackTo != 3 || entry.InputHash != "good" || entry.TryAgain {
		t.Errorf("the entry is %+v", entry)
	}
	end := m.ends(t, back, taskerr.TargetFailed, "not-ready") // the rolled back revision does not run either
	if end.Again || end.Caught == nil {
		t.Errorf("got %+v", end)
	}
	if r := m.target.Remedy; r.Status != run.RemedyFailed || r.Code != "not-ready" || r.OfCode != "image-pull" || r.Tries != 1 {
		t.Errorf("the remedy is %+v", r)
	}
}

func TestItIsTriedAgainAfterEachWayBack(t *testing.T) {
	m := newMemory(deployment.Remediation{Strategy: deployment.RollBack, Retries: 1})
	back := m.ends(t, start(), taskerr.TargetFailed, "not-ready")
	if entry := m.entries[back.Plan]; !back.Again || !entry.TryAgain {
		t.Fatalf("got %+v", back)
	}
	again := m.ends(t, back, taskerr.TryAgain, "try-again")
	if !again.Again || again.Plan != "own" || again.Remedy != 2 {
		t.Fatalf("got %+v", again)
	}
	last := m.ends(t, again, taskerr.TargetFailed, "crash-loop")
	if entry := m.entries[last.Plan]; !last.Again || entry.TryAgain || entry.RollbackTo != 3 || last.Plan == back.Plan {
		t.Fatalf("got %+v", last)
	}
	if r := m.target.Remedy; r.Tries != 2 || r.OfCode != "crash-loop" {
		t.Errorf("the remedy is %+v", r)
	}
}

// The revision that succeeded and failed in its bake is the one that was healthy last: the way back leads to what was there before the run.
func TestWhatFailsAfterItsBakeGoesBackToWhatWasBefore(t *testing.T) {
	m := newMemory(deployment.Remediation{Strategy: deployment.RollBack})
	m.target.SucceededAt = time.Unix(1, 0)
	m.release.Healthy, m.release.Verified = 4, &release.Desired{PlanHash: "own"}
	back := m.ends(t, start(), taskerr.TargetFailed, "crash-loop")
	if entry := m.entries[back.Plan]; !back.Again || entry.RollbackTo != 3 || entry.InputHash != "good" {
		t.Errorf("got %+v by %+v, %+v", back, entry, m.target.Remedy)
	}
}

func TestARunThatTurnsAroundTriesNothingAgain(t *testing.T) {
	m := newMemory(deployment.Remediation{Retries: 3, RetryOnFailure: true})
	again := m.ends(t, start(), taskerr.TargetFailed, "not-ready")
	m.phase = run.Reverting
	if end := m.ends(t, again, taskerr.TargetFailed, "not-ready"); end.Again || end.Caught == nil {
		t.Errorf("got %+v", end)
	}
	if r := m.target.Remedy; r.Number != 1 || len(m.steps) != 1 {
		t.Errorf("the remedy is %+v, the steps %+v", r, m.steps)
	}
}

func TestAWayBackEndsThereInARunThatTurnsAround(t *testing.T) {
	m := newMemory(deployment.Remediation{Strategy: deployment.RollBack, Retries: 1})
	back := m.ends(t, start(), taskerr.TargetFailed, "not-ready")
	m.phase = run.Reverting
	if end := m.ends(t, back, taskerr.TryAgain, "try-again"); end.Again {
		t.Errorf("got %+v", end)
	}
	end := m.target.Ended("try-again", "")
	if end.Status != run.TargetFailed || end.Code != "not-ready" || end.LeftBehind || end.Remedy.Status != run.RemedySucceeded || end.MustRevert() {
		t.Errorf("it ends as %+v, %+v", end, end.Remedy)
	}
}

// A second try that is stopped is not a remedy to carry out once more.
func TestAStoppedTryEnds(t *testing.T) {
	for _, code := range []string{"canceled", "superseded", "reverted"} {
		m := newMemory(deployment.Remediation{Retries: 3, RetryOnFailure: true})
		again := m.ends(t, start(), taskerr.TargetFailed, "not-ready")
		if end := m.ends(t, again, taskerr.TargetFailed, code); end.Again || end.Caught == nil {
			t.Errorf("%s: got %+v", code, end)
		}
	}
}

func TestTheSameIsTriedAgainAtOnce(t *testing.T) {
	m := newMemory(deployment.Remediation{Retries: 2, RetryOnFailure: true})
	at := start()
	for range 2 {
		if at = m.ends(t, at, taskerr.TargetFailed, "not-ready"); !at.Again || at.Plan != "own" {
			t.Fatalf("got %+v", at)
		}
	}
	if at = m.ends(t, at, taskerr.TargetFailed, "not-ready"); at.Again || at.Caught == nil || m.target.Remedy.Code != "remedy-none-left" || m.target.Remedy.Tries != 3 {
		t.Errorf("got %+v, %+v", at, m.target.Remedy)
	}
}

func TestNothingIsRemediedThatNobodyAskedFor(t *testing.T) {
	cases := map[string]struct {
		change func(*memory)
		code   string
	}{
		"no policy":       {func(m *memory) { m.policy = deployment.Remediation{} }, "not-ready"},
		"a removal":       {func(m *memory) { m.entries["own"] = release.AbsentEntry(key, "pke", 2) }, "not-gone"},
		"canceled":        {func(*memory) {}, "canceled"},
		"it has its end":  {func(m *memory) { m.target.Status = run.TargetFailed }, "not-ready"},
		"another has won": {func(*memory) {}, "superseded"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMemory(deployment.Remediation{Strategy: deployment.RollBack, Retries: 3})
			c.change(m)
			if out := m.ends(t, start(), taskerr.TargetFailed, c.code); out.Again || out.Caught == nil || m.target.Remedy != nil || len(m.steps) != 0 {
				t.Errorf("got %+v, %+v", out, m.target.Remedy)
			}
		})
	}
}

func TestWhatCannotBeRemediedSaysWhy(t *testing.T) {
	m := newMemory(deployment.Remediation{Strategy: deployment.RollBack})
	delete(m.entries, "p1")
	out := m.ends(t, start(), taskerr.TargetFailed, "not-ready")
	if r := m.target.Remedy; out.Again || out.Caught == nil || r.Status != run.RemedyRefused || r.Code != "nothing-healthy" {
		t.Errorf("got %+v, %+v", out, r)
	}
	if len(m.steps) != 1 || m.steps[0].Code != "nothing-healthy" {
		t.Errorf("the steps are %+v", m.steps)
	}
}

// A hundred deliveries of one failure count once, whatever their order.
func TestDeliveriesCountOnce(t *testing.T) {
	m := newMemory(deployment.Remediation{Strategy: deployment.RollBack, Retries: 5, RetryOnFailure: true})
	in := workflow.Outcome{TargetRef: workflow.TargetRef{Org: "o", Run: "r", Cluster: "c", Plan: "own"}, Caught: caught(taskerr.TargetFailed, "not-ready")}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if out, err := (handler{store: m}).handle(t.Context(), in); err != nil || !out.Again || out.Plan != "own" || out.Remedy != 1 {
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
	all.Wait()
	if r := m.target.Remedy; r.Tries != 1 || r.Number != 1 {
		t.Errorf("counted %+v", r)
	}
}
