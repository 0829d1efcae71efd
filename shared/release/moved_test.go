package release_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

func TestMoved(t *testing.T) {
	entry := release.PlanEntry{Action: release.Upgrade, SeenRevision: 3, Capabilities: "c"}
	cases := map[string]struct {
		entry release.PlanEntry
		now   release.Sight
		want  string
	}{
		"nothing":          {entry, release.Sight{Action: release.Upgrade, Revision: 3, Capabilities: "c"}, ""},
		"a newer revision": {entry, release.Sight{Action: release.Upgrade, Revision: 4, Capabilities: "c"}, "revision 4, planned on revision 3"},
		"it is gone":       {entry, release.Sight{Action: release.Install, Capabilities: "c"}, "no release, planned on revision 3"},
		"it is there": {release.PlanEntry{Action: release.Install, Capabilities: "c"}, release.Sight{Action: release.Refuse, Revision: 1, Capabilities: "c"},
			"revision 1, planned on no release"},
		"it became pending": {entry, release.Sight{Action: release.Recover, Revision: 3, Capabilities: "c"}, "revision 3 is another now: it would be recover, planned was upgrade"},
		"other APIs":        {entry, release.Sight{Action: release.Upgrade, Revision: 3, Capabilities: "d"}, "the cluster's version or its APIs changed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.entry.Moved(c.now); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestChanged(t *testing.T) {
	entry := release.PlanEntry{InputHash: "h"}
	made := release.Seen{Revision: 3, LabelRevision: 3, Status: "deployed", InputHash: "h"}
	cases := map[string]struct {
		entry  release.PlanEntry
		change func(*release.Seen)
		want   string
	}{
		"the run's own":             {entry, func(*release.Seen) {}, ""},
		"its own, failed":           {entry, func(s *release.Seen) { s.Status = "failed" }, ""},
		"another run's":             {entry, func(s *release.Seen) { s.InputHash = "i" }, "release-changed"},
		"upgraded by hand":          {entry, func(s *release.Seen) { s.Revision = 4 }, "release-changed"},
		"labels of no revision":     {entry, func(s *release.Seen) { s.LabelRevision = 0 }, "release-changed"},
		"uninstalled, with no hash": {release.PlanEntry{}, func(s *release.Seen) { *s = release.Seen{Absent: true} }, "release-changed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			seen := made
			c.change(&seen)
			err := c.entry.Changed(seen)
			if c.want == "" && err != nil || c.want != "" && taskerr.CodeOf(err) != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The same world gives the same plan; each thing that moved gives another.
func TestPlanHash(t *testing.T) {
	entry := func(change ...func(*release.PlanEntry)) []release.PlanEntry {
		e := release.PlanEntry{ClusterID: "a", Action: release.Upgrade, InputHash: "h", SeenRevision: 3, Capabilities: "c"}
		for _, c := range change {
			c(&e)
		}
		return []release.PlanEntry{{ClusterID: "b"}, e}
	}
	same := entry(func(e *release.PlanEntry) { e.ManifestRef, e.ClusterName = "other", "other" })
	same[0], same[1] = same[1], same[0]
	hash := release.PlanHash("draft", entry())
	if release.PlanHash("draft", same) != hash {
		t.Error("the order of the entries, or what is no precondition, counts")
	}
	for name, other := range map[string]string{
		"basis":        release.PlanHash("another", entry()),
		"action":       release.PlanHash("draft", entry(func(e *release.PlanEntry) { e.Action = release.Install })),
		"input":        release.PlanHash("draft", entry(func(e *release.PlanEntry) { e.InputHash = "i" })),
		"revision":     release.PlanHash("draft", entry(func(e *release.PlanEntry) { e.SeenRevision = 4 })),
		"capabilities": release.PlanHash("draft", entry(func(e *release.PlanEntry) { e.Capabilities = "d" })),
		"a target":     release.PlanHash("draft", entry()[:1]),
	} {
		if other == hash {
			t.Errorf("%s: it is the same plan", name)
		}
	}
}
