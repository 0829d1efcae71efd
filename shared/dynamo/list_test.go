//go:build stack

package dynamo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/run"
)

// pages reads a list to its end, limit by limit.
func pages[T any](t *testing.T, limit int, read func(dynamo.Page) ([]T, string, error), nameOf func(T) string) (names []string, count int) {
	t.Helper()
	names = []string{}
	for page := (dynamo.Page{Limit: limit}); ; count++ {
		if count > 100 {
			t.Fatal("the list has no end")
		}
		items, next, err := read(page)
		must(t, err)
		if len(items) > limit {
			t.Errorf("a page of %d has %d items", limit, len(items))
		}
		for _, i := range items {
			names = append(names, nameOf(i))
		}
		if page.Cursor = next; next == "" {
			return names, count + 1
		}
	}
}

func TestListClustersFilteredAndSorted(t *testing.T) {
	s := newStore(t)
	for i, name := range []string{"edge-c", "core-b", "edge-a", "core-d", "edge-b"} { // the ids are in the order of creation
		c := newCluster(orgA, name)
		c.ID, c.Cloud = fmt.Sprintf("id-%d", i), "amazon"
		c.Labels = map[string]string{"tier": strings.Split(name, "-")[0], "topology.example/zone": name[5:]}
		if name == "edge-b" {
			c.Status, c.Cloud = cluster.Unknown, "google"
		}
		must(t, s.CreateCluster(t.Context(), c))
	}
	must(t, s.CreateCluster(t.Context(), newCluster(orgB, "edge-z")))
	cases := map[string]struct {
		filter dynamo.ClusterFilter
		page   dynamo.Page
		want   string
	}{
		"All":              {dynamo.ClusterFilter{}, dynamo.Page{}, "edge-c core-b edge-a core-d edge-b"},
		"NewestFirst":      {dynamo.ClusterFilter{}, dynamo.Page{Sort: dynamo.ByCreatedDown}, "edge-b core-d edge-a core-b edge-c"},
		"ByName":           {dynamo.ClusterFilter{}, dynamo.Page{Sort: dynamo.ByName}, "core-b core-d edge-a edge-b edge-c"},
		"ByNameDown":       {dynamo.ClusterFilter{}, dynamo.Page{Sort: dynamo.ByNameDown}, "edge-c edge-b edge-a core-d core-b"},
		"Label":            {dynamo.ClusterFilter{Labels: map[string]string{"tier": "edge"}}, dynamo.Page{}, "edge-c edge-a edge-b"},
		"LabelByName":      {dynamo.ClusterFilter{Labels: map[string]string{"tier": "edge"}}, dynamo.Page{Sort: dynamo.ByName}, "edge-a edge-b edge-c"},
		"TwoLabels":        {dynamo.ClusterFilter{Labels: map[string]string{"tier": "edge", "topology.example/zone": "b"}}, dynamo.Page{}, "edge-b"},
		"Status":           {dynamo.ClusterFilter{Status: cluster.Unknown}, dynamo.Page{}, "edge-b"},
		"Cloud":            {dynamo.ClusterFilter{Cloud: "amazon"}, dynamo.Page{Sort: dynamo.ByNameDown}, "edge-c edge-a core-d core-b"},
		"NamePrefix":       {dynamo.ClusterFilter{}, dynamo.Page{NamePrefix: "core-"}, "core-b core-d"},
		"NamePrefixByName": {dynamo.ClusterFilter{}, dynamo.Page{NamePrefix: "core-", Sort: dynamo.ByNameDown}, "core-d core-b"},
		"APrefixOfNothing": {dynamo.ClusterFilter{}, dynamo.Page{NamePrefix: "core#", Sort: dynamo.ByName}, ""},
		"Nothing":          {dynamo.ClusterFilter{Cloud: "azure"}, dynamo.Page{}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for limit := 1; limit <= 6; limit++ {
				got, count := pages(t, limit, func(p dynamo.Page) ([]cluster.Cluster, string, error) {
					p.Sort, p.NamePrefix = c.page.Sort, c.page.NamePrefix
					return s.ListClusters(t.Context(), orgA, c.filter, p)
				}, func(c cluster.Cluster) string { return c.Name })
				wantEqual(t, strings.Join(got, " "), c.want)
				if most := len(got)/limit + 1; count > most {
					t.Errorf("%d pages of %d for %d items", count, limit, len(got))
				}
			}
		})
	}
}

// A cursor goes on where its own list stopped, and in no other.
func TestACursorIsOfItsQuery(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"a", "b", "c"} {
		must(t, s.CreateCluster(t.Context(), newCluster(orgA, name)))
		must(t, s.CreateCluster(t.Context(), newCluster(orgB, name)))
	}
	_, next, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{Limit: 1})
	must(t, err)
	if _, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{Limit: 2, Cursor: next}); err != nil {
		t.Errorf("with another limit: %v", err)
	}
	for name, list := range map[string]func() error{
		"another filter": func() error {
			_, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{Cloud: "x"}, dynamo.Page{Limit: 1, Cursor: next})
			return err
		},
		"another order": func() error {
			_, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{Limit: 1, Cursor: next, Sort: dynamo.ByCreatedDown})
			return err
		},
		"by name": func() error {
			_, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{Limit: 1, Cursor: next, Sort: dynamo.ByName})
			return err
		},
		"another prefix": func() error {
			_, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{Limit: 1, Cursor: next, NamePrefix: "b"})
			return err
		},
		"another org": func() error {
			_, _, err := s.ListClusters(t.Context(), orgB, dynamo.ClusterFilter{}, dynamo.Page{Limit: 1, Cursor: next})
			return err
		},
		"another list": func() error {
			_, _, err := s.ListGroups(t.Context(), orgA, dynamo.Page{Limit: 1, Cursor: next})
			return err
		},
		"runs": func() error {
			_, _, err := s.ListRuns(t.Context(), orgA, dynamo.RunFilter{}, dynamo.Page{Limit: 1, Cursor: next})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantProblem(t, list(), "cursor-invalid", 400) })
	}
}

// A filter that lets nothing through ends its pages early, each with a cursor, and comes to an end.
func TestAFilterThatFindsLittleEnds(t *testing.T) {
	s := newStore(t)
	for i := range 120 {
		c := newCluster(orgA, fmt.Sprintf("c%03d", i))
		if i == 119 {
			c.Cloud = "rare"
		}
		must(t, s.CreateCluster(t.Context(), c))
	}
	for _, sort := range []dynamo.Sort{dynamo.ByCreated, dynamo.ByName} {
		got, count := pages(t, 1, func(p dynamo.Page) ([]cluster.Cluster, string, error) {
			p.Sort = sort
			return s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{Cloud: "rare"}, p)
		}, func(c cluster.Cluster) string { return c.Name })
		if !slices.Equal(got, []string{"c119"}) || count > 2 {
			t.Errorf("by %s: %v in %d pages", sort, got, count)
		}
	}
}

func TestListRunsByTimeAndTrigger(t *testing.T) {
	now := noon
	s := newStoreAt(t, func() time.Time { return now })
	g := given(t, s, orgA, "prod", "one")
	a := newAdmission(orgA, g.ID, "web")
	a.Run.ID = "r0"
	d, _, err := s.AdmitDeployment(t.Context(), a)
	must(t, err)
	for i := 1; i < 5; i++ { // a minute apart, by turns
		now = noon.Add(time.Duration(i) * time.Minute)
		trigger := []string{"api", "reconcile"}[i%2]
		d, _, err = s.AdmitRun(t.Context(), d, run.New(fmt.Sprintf("r%d", i), run.Sync, orgA, trigger, "ann", now), d.Version, false)
		must(t, err)
	}
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	cases := map[string]struct {
		filter dynamo.RunFilter
		want   string
	}{
		"All":       {dynamo.RunFilter{}, "r4 r3 r2 r1 r0"},
		"After":     {dynamo.RunFilter{After: at(2)}, "r4 r3"},
		"Before":    {dynamo.RunFilter{Before: at(2)}, "r1 r0"},
		"Between":   {dynamo.RunFilter{After: at(0), Before: at(3)}, "r2 r1"},
		"Nowhere":   {dynamo.RunFilter{After: at(3), Before: at(1)}, ""},
		"Trigger":   {dynamo.RunFilter{Trigger: "reconcile"}, "r3 r1"},
		"All three": {dynamo.RunFilter{Trigger: "api", After: at(1), DeploymentID: d.ID}, "r4 r2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for limit := 1; limit <= 3; limit++ {
				got, _ := pages(t, limit, func(p dynamo.Page) ([]run.Run, string, error) { return s.ListRuns(t.Context(), orgA, c.filter, p) },
					func(r run.Run) string { return r.ID })
				wantEqual(t, strings.Join(got, " "), c.want)
			}
		})
	}
}

func TestListIntents(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	for i, name := range []string{"web", "api", "db"} {
		a := newAdmission(orgA, g.ID, name)
		a.Deployment.Namespace = []string{"front", "back", "back"}[i]
		a.Generation.Chart.Name = []string{"podinfo", "podinfo", "postgres"}[i]
		_, _, err := s.AdmitDeployment(t.Context(), a)
		must(t, err)
	}
	cases := map[string]struct {
		filter dynamo.IntentFilter
		page   dynamo.Page
		want   string
	}{
		"All":        {dynamo.IntentFilter{}, dynamo.Page{}, "api db web"},
		"Down":       {dynamo.IntentFilter{}, dynamo.Page{Sort: dynamo.ByNameDown}, "web db api"},
		"Chart":      {dynamo.IntentFilter{Chart: "podinfo"}, dynamo.Page{}, "api web"},
		"Namespace":  {dynamo.IntentFilter{Namespace: "back"}, dynamo.Page{Sort: dynamo.ByNameDown}, "db api"},
		"Both":       {dynamo.IntentFilter{Chart: "podinfo", Namespace: "back"}, dynamo.Page{}, "api"},
		"NamePrefix": {dynamo.IntentFilter{}, dynamo.Page{NamePrefix: "w"}, "web"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for limit := 1; limit <= 3; limit++ {
				got, _ := pages(t, limit, func(p dynamo.Page) ([]dynamo.Intent, string, error) {
					p.Sort, p.NamePrefix = c.page.Sort, c.page.NamePrefix
					return s.ListIntents(t.Context(), orgA, g.ID, c.filter, p)
				}, func(i dynamo.Intent) string { return i.Deployment.ReleaseName })
				wantEqual(t, strings.Join(got, " "), c.want)
			}
		})
	}
}
