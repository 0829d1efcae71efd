package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// planned is a plan of version 7 of a deployment on the clusters a and b, and the world that it saw.
func planned() (shown, world) {
	d := deployment.Deployment{Org: "o", ID: "d", GroupID: "g", ReleaseName: "web", Namespace: "web", Generation: 3, Version: 7}
	key := func(cluster string) release.Key {
		return release.Key{Org: "o", ClusterID: cluster, Namespace: "web", Name: "web"}
	}
	p := shown{
		Plan: deployment.Plan{Hash: "h", CreatedAt: noon, ExpiresAt: noon.Add(time.Hour), Draft: deployment.Draft{Deployment: d, ExpectedVersion: 7}},
		run:  run.Run{ID: "r", Status: run.Succeeded},
	}
	w := world{deployment: &d, group: &group.Group{Members: []string{"a", "b"}}, clusters: map[string]cluster.Cluster{}, releases: map[release.Key]release.Release{}}
	for _, id := range []string{"a", "b"} {
		p.entries = append(p.entries, release.PlanEntry{ClusterID: id, ClusterName: "name-" + id, Key: key(id), Action: release.Upgrade, SeenRevision: 3, Capabilities: "c"})
		p.targets = append(p.targets, run.Target{ClusterID: id, ClusterName: "name-" + id, Status: run.TargetSucceeded})
		w.clusters[id] = cluster.Cluster{ID: id, Name: "name-" + id}
		w.releases[key(id)] = release.Release{Key: key(id), Owner: release.OwnedByDeployment("d"), Observed: &release.Observed{Revision: 2, At: noon.Add(-time.Minute)}}
	}
	return p, w
}

func TestWhatMovedSinceAPlan(t *testing.T) {
	on := func(w *world, change func(*release.Release)) {
		key := release.Key{Org: "o", ClusterID: "b", Namespace: "web", Name: "web"}
		rel := w.releases[key]
		change(&rel)
		w.releases[key] = rel
	}
	create := func(p *shown, w *world) { p.Draft.ExpectedVersion, w.deployment = 0, nil }
	cases := map[string]struct {
		change func(*shown, *world)
		want   []string
	}{
		"nothing":                   {func(*shown, *world) {}, nil},
		"nothing, it would be made": {create, nil},
		"it was made meanwhile":     {func(p *shown, _ *world) { p.Draft.ExpectedVersion = 0 }, []string{"a deployment named web was made"}},
		"it was removed":            {func(_ *shown, w *world) { w.deployment = nil }, []string{"the deployment was removed"}},
		"another was made":          {func(_ *shown, w *world) { w.deployment.ID = "e" }, []string{"the deployment was removed and another of its name was made"}},
		"it is being removed":       {func(_ *shown, w *world) { w.deployment.Deleting = true }, []string{"the deployment is being removed"}},
		"a newer generation":        {func(_ *shown, w *world) { w.deployment.Version, w.deployment.Generation = 8, 4 }, []string{"the deployment changed: it is at generation 4 and version 8, and was planned on version 7"}},
		"the group is gone":         {func(_ *shown, w *world) { w.group = nil }, []string{"the group was deleted"}},
		"a cluster joined":          {func(_ *shown, w *world) { w.group.Members = []string{"a", "b", "c"} }, []string{"these clusters joined the group: c"}},
		"a cluster left":            {func(_ *shown, w *world) { w.group.Members = []string{"a"} }, []string{"cluster name-b left the group"}},
		"a cluster is gone":         {func(_ *shown, w *world) { delete(w.clusters, "b") }, []string{"cluster name-b was removed"}},
		"a cluster was renamed":     {func(_ *shown, w *world) { w.clusters["b"] = cluster.Cluster{ID: "b", Name: "new"} }, []string{"cluster name-b was renamed to new"}},
		"another owner":             {func(_ *shown, w *world) { on(w, func(r *release.Release) { r.Owner.ID = "e" }) }, []string{"cluster name-b: another deployment has release web"}},
		"a newer revision": {func(_ *shown, w *world) {
			on(w, func(r *release.Release) { r.Observed = &release.Observed{Revision: 4, At: noon.Add(time.Minute)} })
		}, []string{"cluster name-b: revision 4, planned on revision 3"}},
		"it was seen to be gone": {func(_ *shown, w *world) {
			on(w, func(r *release.Release) { r.Observed = &release.Observed{Absent: true, At: noon.Add(time.Minute)} })
		}, []string{"cluster name-b: no release, planned on revision 3"}},
		"it was looked at, unchanged": {func(_ *shown, w *world) {
			on(w, func(r *release.Release) { r.Observed = &release.Observed{Revision: 3, At: noon.Add(time.Minute)} })
		}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, w := planned()
			head := *w.deployment
			w.deployment = &head
			c.change(&p, &w)
			if d := cmp.Diff(c.want, w.moved(p)); d != "" {
				t.Errorf("moved (-want +got):\n%s", d)
			}
		})
	}
}

func TestWhichPlansCanBeApplied(t *testing.T) {
	cases := map[string]struct {
		change func(*shown)
		at     time.Time
		code   string
		says   string
	}{
		"whole and young":    {func(*shown) {}, noon, "", ""},
		"expired":            {func(*shown) {}, noon.Add(time.Hour), "plan-expired", "2026-11-21T13:00:00Z"},
		"still planning":     {func(p *shown) { p.run.Status = run.Running }, noon, "plan-incomplete", "run r is still planning"},
		"a target is failed": {func(p *shown) { p.targets[1].Status, p.targets[1].Code = run.TargetFailed, "cluster-unreachable" }, noon, "plan-incomplete", "1 of 2 targets could not be planned: name-b (cluster-unreachable)"},
		"it was canceled":    {func(p *shown) { p.run.Status, p.targets[0].Status = run.Canceled, run.TargetCanceled }, noon, "plan-incomplete", "name-a"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, _ := planned()
			c.change(&p)
			err := p.usable(c.at)
			if c.code == "" && err != nil || c.code != "" && (!problem.Is(err, c.code) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %s with %q", err, c.code, c.says)
			}
		})
	}
}

func TestPagesOfObjects(t *testing.T) {
	var objects []diff.Object
	for i := range 5 {
		objects = append(objects, diff.Object{Kind: "ConfigMap", Name: fmt.Sprint(i), Action: diff.Create})
	}
	big := diff.Object{Kind: "ConfigMap", Name: "big", Action: diff.Update, Changes: []diff.Change{{Op: diff.Changed, After: strings.Repeat("x", maxPage)}}}
	cases := map[string]struct {
		objects []diff.Object
		limit   int
		want    []int // objects a page
	}{
		"none":                         {nil, 10, []int{0}},
		"all on one page":              {objects, 10, []int{5}},
		"in pages":                     {objects, 2, []int{2, 2, 1}},
		"a page that is full ends":     {objects, 5, []int{5}},
		"large ones have pages of own": {[]diff.Object{objects[0], big, big, objects[1]}, 10, []int{1, 1, 1, 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []int
			for cursor := ""; ; {
				page, next, err := pageOf(c.objects, c.limit, cursor)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, len(page))
				if cursor = next; cursor == "" {
					break
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("pages (-want +got):\n%s", d)
			}
		})
	}
	for _, bad := range []string{"!", "MA", "LTE", "OTk", "eA"} {
		if _, _, err := pageOf(objects, 2, bad); !problem.Is(err, "cursor-invalid") {
			t.Errorf("cursor %s: %v", bad, err)
		}
	}
}
