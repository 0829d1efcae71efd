//go:build stack

package dynamo_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
)

const interleavings = 100 // of each pair

// change is what somebody asks of a deployment that he has read.
type change struct {
	name string
	do   func(ctx context.Context, s *dynamo.Store, d deployment.Deployment, runID string) error
}

var (
	update = change{"update", func(ctx context.Context, s *dynamo.Store, d deployment.Deployment, runID string) error {
		_, _, err := s.AdmitDeployment(ctx, dynamo.Admission{Deployment: d, Generation: newGeneration(d, d.Newest+1), Run: newRun(runID, run.Deploy), ExpectedVersion: d.Version})
		return err
	}}
	remove = change{"delete", func(ctx context.Context, s *dynamo.Store, d deployment.Deployment, runID string) error {
		_, _, err := s.AdmitRun(ctx, d, newRun(runID, run.Remove), d.Version, true)
		return err
	}}
	resync = change{"sync", func(ctx context.Context, s *dynamo.Store, d deployment.Deployment, runID string) error {
		_, _, err := s.AdmitRun(ctx, d, newRun(runID, run.Sync), d.Version, false)
		return err
	}}
	rollback = change{"rollback", func(ctx context.Context, s *dynamo.Store, d deployment.Deployment, runID string) error {
		d.Generation = 1
		_, _, err := s.AdmitRun(ctx, d, newRun(runID, run.Rollback), d.Version, false)
		return err
	}}
)

// Two at once: each reads the deployment and writes, at moments of their own. Whatever the order, who wrote over what the other had not seen
// is refused and leaves nothing, and the record says just what was accepted.
func TestTwoChangesAtOnce(t *testing.T) {
	pairs := [][2]change{{update, update}, {update, remove}, {remove, resync}, {rollback, update}, {rollback, remove}}
	for _, pair := range pairs {
		t.Run(pair[0].name+" and "+pair[1].name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			g := given(t, s, orgA, "prod", "one")
			outcomes := map[string]int{}
			for i := range interleavings {
				outcomes[interleave(t, s, g, pair, i)]++
			}
			t.Logf("%d interleavings of %s and %s: %v", interleavings, pair[0].name, pair[1].name, outcomes)
		})
	}
}

// interleave lets both loose on a deployment at generation 2, checks what is there then, and says what happened.
func interleave(t *testing.T, s *dynamo.Store, g group.Group, pair [2]change, i int) string {
	t.Helper()
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, fmt.Sprintf("web-%03d", i)))
	must(t, err)
	d, _ = updated(t, s, d, id.New())
	var errs [2]error
	runIDs := [2]string{id.New(), id.New()}
	read := make(chan struct{})
	var reads, both sync.WaitGroup
	reads.Add(2)
	for n, change := range pair {
		pause := rand.N(3 * time.Millisecond)
		both.Go(func() {
			seen, err := s.FindDeployment(t.Context(), orgA, d.ID)
			reads.Done()
			<-read
			time.Sleep(pause) // either may be first
			if errs[n] = err; err == nil {
				errs[n] = change.do(t.Context(), s, seen, runIDs[n])
			}
		})
	}
	reads.Wait()
	close(read)
	both.Wait()
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("there is not one outcome: %v, %v", errs[0], errs[1])
	}
	code := "deployment-changed"
	if pair[winner].name == "delete" {
		code = "deployment-deleting"
	}
	wantProblem(t, errs[1-winner], code, 409)
	wantOnlyAccepted(t, s, d, pair[winner], runIDs[winner], runIDs[1-winner])
	return pair[winner].name + " won, the other got " + code
}

// wantOnlyAccepted: the deployment, its generations and its runs are as the one change that was accepted makes them.
func wantOnlyAccepted(t *testing.T, s *dynamo.Store, before deployment.Deployment, won change, runID, lostID string) {
	t.Helper()
	after, err := s.FindDeployment(t.Context(), orgA, before.ID)
	must(t, err)
	want := before
	want.Version, want.RunSeq, want.LastRun = before.Version+1, before.RunSeq+1, runID
	switch won.name {
	case "update":
		want.Generation, want.Newest = 3, 3
	case "rollback":
		want.Generation = 1
	case "delete":
		want.Deleting = true
	}
	wantEqual(t, after, want)
	r, err := s.FindRun(t.Context(), orgA, runID)
	must(t, err)
	wantEqual(t, []any{r.Seq, r.Generation}, []any{after.RunSeq, after.Generation})
	_, err = s.FindRun(t.Context(), orgA, lostID)
	if !problem.Is(err, "run-not-found") {
		t.Errorf("the run that was refused: %v", err)
	}
	generations, _, err := s.ListGenerations(t.Context(), orgA, before.ID, dynamo.Page{})
	must(t, err)
	wantEqual(t, len(generations), after.Newest)
	for _, g := range generations {
		if g.RunID == lostID {
			t.Errorf("generation %d is of the run that was refused", g.Number)
		}
	}
}

// site is a release on a cluster: what was written there last.
type site struct {
	key        release.Key
	generation atomic.Int64
}

// roll brings the site to the run's generation as the functions do: it asks whether the run may go on, takes the lease, moves the desired state,
// writes. It says whether it wrote.
func (s *site) roll(ctx context.Context, store *dynamo.Store, r run.Run) (bool, error) {
	for {
		d, err := store.FindDeployment(ctx, r.Org, r.DeploymentID)
		if err != nil {
			return false, err
		}
		if _, stop := r.StoppedBy(d.Generation, d.Deleting); stop {
			return false, nil
		}
		time.Sleep(rand.N(80 * time.Millisecond)) // the deployment may change after it asked
		now := time.Now()
		fence, err := store.AcquireLease(ctx, s.key, r.ID, now, now.Add(time.Minute))
		if taskerr.CodeOf(err) == "release-leased" {
			continue // the machine tries again
		}
		if err != nil {
			return false, err
		}
		err = store.SetDesired(ctx, s.key, release.OwnedByDeployment(r.DeploymentID), release.Desired{Seq: r.Seq, Generation: r.Generation, RunID: r.ID})
		if err == nil {
			time.Sleep(rand.N(5 * time.Millisecond))
			s.generation.Store(int64(r.Generation))
		}
		if err := store.FreeLease(ctx, s.key, r.ID, fence); err != nil {
			return false, err
		}
		if taskerr.CodeOf(err) == "superseded" {
			return false, nil
		}
		return err == nil, err
	}
}

// Whenever a rollback overtakes a deploy, and even where a second one goes back to the deploy's own generation, the cluster ends with what the
// deployment is at.
func TestRollbacksOvertakeADeploy(t *testing.T) {
	for name, steps := range map[string][]int{"back": {1}, "back and forth": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			g := given(t, s, orgA, "prod", "one")
			outcomes := map[string]int{}
			for i := range interleavings {
				outcomes[overtake(t, s, g, i, steps)]++
			}
			t.Logf("%d interleavings of a deploy and rollbacks to %v: %v", interleavings, steps, outcomes)
		})
	}
}

// overtake runs a deploy of generation 2 and rollbacks on their heels, and says who wrote.
func overtake(t *testing.T, s *dynamo.Store, g group.Group, i int, steps []int) string {
	t.Helper()
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, fmt.Sprintf("web-%03d", i)))
	must(t, err)
	target := &site{key: release.Key{Org: orgA, ClusterID: "id-one", Namespace: "web", Name: d.ReleaseName}}
	must(t, s.ClaimRelease(t.Context(), target.key, release.OwnedByDeployment(d.ID)))
	d, deploy := updated(t, s, d, id.New())
	var all sync.WaitGroup
	wrote := make([]bool, 1+len(steps))
	roll := func(n int, r run.Run) {
		all.Go(func() {
			var err error
			if wrote[n], err = target.roll(t.Context(), s, r); err != nil {
				t.Error(err)
			}
		})
	}
	roll(0, deploy)
	for n, generation := range steps {
		time.Sleep(rand.N(10 * time.Millisecond))
		d.Generation = generation
		var r run.Run
		d, r, err = s.AdmitRun(t.Context(), d, newRun(id.New(), run.Rollback), d.Version, false)
		must(t, err)
		roll(n+1, r)
	}
	all.Wait()
	rel, err := s.FindRelease(t.Context(), target.key)
	must(t, err)
	if got := int(target.generation.Load()); got != d.Generation || rel.Desired.Generation != d.Generation || !wrote[len(steps)] {
		t.Errorf("the cluster has generation %d, desired is %d, the deployment is at %d; wrote: %v", got, rel.Desired.Generation, d.Generation, wrote)
	}
	return fmt.Sprintf("wrote: deploy %t, rollbacks %v", wrote[0], wrote[1:])
}
