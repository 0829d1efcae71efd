//go:build stack

package dynamo_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// Every field of what the domain keeps is set and comes back, so that a field that is added and not stored is found here.
func TestEveryFieldIsKept(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()

	c := filled[cluster.Cluster](t)
	c.GroupID = "" // kept in an item of its own
	must(t, s.CreateCluster(ctx, c))
	gotCluster, err := s.FindCluster(ctx, c.Org, c.ID)
	must(t, err)
	wantEqual(t, gotCluster, c)

	g := given(t, s, orgA, "prod")
	d, generation, r := filled[deployment.Deployment](t), filled[deployment.Generation](t), filled[run.Run](t)
	a := newAdmission(orgA, g.ID, "web")
	d.Org, d.ID, d.GroupID, d.Deleting = orgA, "d", g.ID, false
	generation.Org, generation.DeploymentID, generation.RunID = orgA, d.ID, r.ID
	r.Org = orgA
	a.Deployment, a.Generation, a.Run = d, generation, r
	d, r, err = s.AdmitDeployment(ctx, a)
	must(t, err)
	gotDeployment, err := s.FindDeployment(ctx, orgA, d.ID)
	must(t, err)
	wantEqual(t, gotDeployment, d)
	gotGeneration, err := s.FindGeneration(ctx, orgA, d.ID, generation.Number)
	must(t, err)
	wantEqual(t, gotGeneration, generation)
	gotRun, err := s.FindRun(ctx, orgA, r.ID)
	must(t, err)
	wantEqual(t, gotRun, r)

	target, step := filled[run.Target](t), filled[run.Step](t)
	must(t, s.UpdateTarget(ctx, orgA, r.ID, target))
	must(t, s.PutStep(ctx, orgA, r.ID, step))
	_, targets, steps, err := s.ReadRun(ctx, orgA, r.ID)
	must(t, err)
	wantEqual(t, targets, []run.Target{target})
	wantEqual(t, steps, []run.Step{step})
	target.ClusterID = "another"
	must(t, s.PutTargets(ctx, r, []run.Target{target}))
	gotTarget, err := s.FindTarget(ctx, orgA, r.ID, "another")
	must(t, err)
	wantEqual(t, gotTarget, target)

	entry := filled[release.PlanEntry](t)
	entry.Key.Org, entry.Key.ClusterID = orgA, entry.ClusterID
	must(t, s.PutPlan(ctx, orgA, entry.PlanHash, []release.PlanEntry{entry}))
	gotEntry, err := s.FindPlanEntry(ctx, orgA, entry.PlanHash, entry.ClusterID)
	must(t, err)
	wantEqual(t, gotEntry, entry)

	desired, observed := filled[release.Desired](t), filled[release.Observed](t)
	must(t, s.ClaimRelease(ctx, keyA, mine))
	must(t, s.SetDesired(ctx, keyA, mine, desired))
	_, err = s.SetObserved(ctx, keyA, observed, nil)
	must(t, err)
	must(t, s.SetHealthy(ctx, keyA, 7, desired, noon))
	gotRelease, err := s.FindRelease(ctx, keyA)
	must(t, err)
	wantEqual(t, gotRelease.Desired, &desired)
	wantEqual(t, gotRelease.Verified, &desired)
	wantEqual(t, gotRelease.Observed, &observed)
}

// filled is a T none of whose fields is zero.
func filled[T any](t *testing.T) T {
	t.Helper()
	var v T
	fill(t, reflect.ValueOf(&v).Elem(), "x")
	return v
}

func fill(t *testing.T, v reflect.Value, name string) {
	t.Helper()
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(noon))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("some " + name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), name)
		fill(t, v.Index(1), name+" 2")
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		fill(t, element, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), element)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), name)
	default:
		t.Fatalf("field %s has kind %s, which this test cannot fill", name, v.Kind())
	}
}
