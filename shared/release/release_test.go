package release_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/release"
)

var (
	now   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	mine  = release.OwnedByDeployment("d1")
	label = release.OwnerLabel(mine)
)

func TestDecide(t *testing.T) {
	want, gone := release.Want{Owner: mine, InputHash: "h"}, release.Want{Owner: mine, Absent: true}
	seen := func(status string, change ...func(*release.Seen)) release.Seen {
		s := release.Seen{Revision: 3, Status: status, OwnerLabel: label, InputHash: "h", LabelRevision: 3, ModifiedAt: now.Add(-time.Minute)}
		for _, c := range change {
			c(&s)
		}
		return s
	}
	foreign := func(s *release.Seen) { s.OwnerLabel = "" }
	others := func(s *release.Seen) { s.OwnerLabel = "deployment-d2" }
	byHand := func(s *release.Seen) { s.Revision = 4 }
	old := func(s *release.Seen) { s.ModifiedAt = now.Add(-release.ForeignPendingGrace) }
	another := func(s *release.Seen) { s.InputHash = "other" }
	cases := map[string]struct {
		seen release.Seen
		want release.Want
		do   release.Action
		code string
	}{
		"absent":                              {release.Seen{Absent: true}, want, release.Install, ""},
		"absent, as wanted":                   {release.Seen{Absent: true}, gone, release.None, ""},
		"uninstalled with history":            {seen("uninstalled"), want, release.Install, ""},
		"uninstalled by a stranger":           {seen("uninstalled", foreign), want, release.Install, ""},
		"uninstalled, as wanted":              {seen("uninstalled"), gone, release.None, ""},
		"deployed, as wanted":                 {seen("deployed"), want, release.None, ""},
		"deployed, another input":             {seen("deployed", another), want, release.Upgrade, ""},
		"deployed by hand over ours":          {seen("deployed", byHand), want, release.Upgrade, ""},
		"deployed, to be removed":             {seen("deployed"), gone, release.Uninstall, ""},
		"deployed by hand, to be removed":     {seen("deployed", byHand), gone, release.Uninstall, ""},
		"failed is upgraded, never removed":   {seen("failed"), want, release.Upgrade, ""},
		"failed, to be removed":               {seen("failed"), gone, release.Uninstall, ""},
		"superseded":                          {seen("superseded"), want, release.Upgrade, ""},
		"ours pending: its writer is gone":    {seen("pending-upgrade"), want, release.Recover, ""},
		"ours pending install":                {seen("pending-install"), want, release.Recover, ""},
		"ours pending, to be removed":         {seen("pending-rollback"), gone, release.Uninstall, ""},
		"ours uninstalling":                   {seen("uninstalling"), want, release.Recover, ""},
		"ours uninstalling, to be removed":    {seen("uninstalling"), gone, release.Uninstall, ""},
		"pending by hand over ours":           {seen("pending-upgrade", byHand), want, release.Refuse, "release-foreign-pending"},
		"pending by hand, to be removed":      {seen("pending-upgrade", byHand), gone, release.Refuse, "release-foreign-pending"},
		"pending by hand for long":            {seen("pending-upgrade", byHand, old), want, release.Recover, ""},
		"pending by hand for long, to remove": {seen("pending-upgrade", byHand, old), gone, release.Uninstall, ""},
		"foreign":                             {seen("deployed", foreign), want, release.Refuse, "release-foreign"},
		"another deployment's":                {seen("deployed", others), want, release.Refuse, "release-foreign"},
		"foreign is never removed":            {seen("deployed", foreign), gone, release.None, ""},
		"foreign pending":                     {seen("pending-install", foreign), want, release.Refuse, "release-foreign-pending"},
		"foreign pending for long":            {seen("pending-install", foreign, old), want, release.Refuse, "release-foreign"},
		"foreign failed":                      {seen("failed", foreign), want, release.Refuse, "release-foreign"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := release.Decide(c.seen, c.want, now)
			if got.Action != c.do || got.Code != c.code || (got.Action == release.Refuse) != (got.Reason != "") {
				t.Errorf("got %+v, want %s %s", got, c.do, c.code)
			}
		})
	}
}

func TestDecideProperties(t *testing.T) {
	statuses := rapid.SampledFrom([]string{"unknown", "deployed", "uninstalled", "superseded", "failed", "uninstalling", "pending-install", "pending-upgrade",
		"pending-rollback", "word of a later Helm"})
	anySeen := rapid.Custom(func(t *rapid.T) release.Seen {
		return release.Seen{Absent: rapid.Bool().Draw(t, "absent"), Revision: rapid.IntRange(1, 3).Draw(t, "revision"), Status: statuses.Draw(t, "status"),
			OwnerLabel: rapid.SampledFrom([]string{"", label, "deployment-d2"}).Draw(t, "owner"), InputHash: rapid.SampledFrom([]string{"", "h", "i"}).Draw(t, "hash"),
			LabelRevision: rapid.IntRange(0, 3).Draw(t, "label revision"), ModifiedAt: now.Add(-time.Duration(rapid.IntRange(-60, 60).Draw(t, "minutes")) * time.Minute)}
	})
	anyWant := rapid.Custom(func(t *rapid.T) release.Want {
		return release.Want{Owner: mine, InputHash: "h", Absent: rapid.Bool().Draw(t, "want absent")}
	})
	gone := func(s release.Seen) bool { return s.Absent || s.Status == "uninstalled" }
	pending := func(s release.Seen) bool {
		return strings.HasPrefix(s.Status, "pending-") || s.Status == "uninstalling"
	}
	rules := map[string]func(s release.Seen, w release.Want, d release.Decision) bool{
		"only a release that is there is touched": func(s release.Seen, _ release.Want, d release.Decision) bool {
			return !gone(s) || d.Action == release.None || d.Action == release.Install
		},
		"another's release is never touched": func(s release.Seen, _ release.Want, d release.Decision) bool {
			return gone(s) || s.OwnerLabel == label || d.Action == release.Refuse || d.Action == release.None
		},
		"nothing is uninstalled that is wanted": func(_ release.Seen, w release.Want, d release.Decision) bool {
			return w.Absent || d.Action != release.Uninstall
		},
		"nothing is installed that is not wanted": func(_ release.Seen, w release.Want, d release.Decision) bool {
			return !w.Absent || (d.Action != release.Install && d.Action != release.Upgrade && d.Action != release.Recover)
		},
		"a person's operation is left its time": func(s release.Seen, w release.Want, d release.Decision) bool {
			fresh := pending(s) && s.LabelRevision != s.Revision && now.Sub(s.ModifiedAt) < release.ForeignPendingGrace
			return gone(s) || !fresh || d.Action == release.Refuse || w.Absent && s.OwnerLabel != label && d.Action == release.None
		},
		"nothing is done only if it is in sync": func(s release.Seen, w release.Want, d release.Decision) bool {
			return d.Action != release.None || (w.Absent && (gone(s) || s.OwnerLabel != label)) ||
				(s.Status == "deployed" && s.InputHash == w.InputHash && s.LabelRevision == s.Revision && !w.Absent)
		},
		"a refusal says why": func(_ release.Seen, _ release.Want, d release.Decision) bool {
			return (d.Action == release.Refuse) == (d.Code != "" && d.Reason != "")
		},
	}
	for name, holds := range rules {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			s, w := anySeen.Draw(t, "seen"), anyWant.Draw(t, "want")
			if d := release.Decide(s, w, now); !holds(s, w, d) {
				t.Fatalf("decided %+v", d)
			}
		}))
	}
}

func TestStatusOf(t *testing.T) {
	desired := &release.Desired{Generation: 2, InputHash: "h"}
	observed := func(status string) *release.Observed {
		return &release.Observed{Status: status, Revision: 3, LabelRevision: 3, InputHash: "h"}
	}
	byHand := observed("deployed")
	byHand.Revision = 4
	cases := map[string]struct {
		release release.Release
		away    bool
		current int
		status  release.Status
		stale   bool
	}{
		"in sync":                  {release.Release{Desired: desired, Observed: observed("deployed")}, false, 2, release.StatusDeployed, false},
		"no answer is no guess":    {release.Release{Desired: desired, Observed: observed("deployed")}, true, 2, release.StatusUnknown, true},
		"a newer generation":       {release.Release{Desired: desired, Observed: observed("deployed")}, false, 3, release.StatusStale, true},
		"changed by hand":          {release.Release{Desired: desired, Observed: byHand}, false, 2, release.StatusStale, true},
		"there, not yet wanted":    {release.Release{Observed: observed("deployed")}, false, 1, release.StatusStale, true},
		"wanted away, still there": {release.Release{Desired: &release.Desired{Absent: true, Generation: 2}, Observed: observed("deployed")}, false, 2, release.StatusStale, true},
		"wanted, never looked at":  {release.Release{Desired: desired}, false, 2, release.StatusUnknown, true},
		"no run reached it":        {release.Release{}, false, 1, release.StatusNotInstalled, true},
		"absent":                   {release.Release{Desired: desired, Observed: &release.Observed{Absent: true}}, false, 2, release.StatusNotInstalled, true},
		"failed":                   {release.Release{Desired: desired, Observed: observed("failed")}, false, 2, "FAILED", true},
		"pending":                  {release.Release{Desired: desired, Observed: observed("pending-upgrade")}, false, 2, "PENDING_UPGRADE", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status, stale := release.StatusOf(c.release, !c.away, c.current)
			if status != c.status || stale != c.stale {
				t.Errorf("got %s stale %t, want %s stale %t", status, stale, c.status, c.stale)
			}
		})
	}
}

func TestDiffers(t *testing.T) {
	desired := &release.Desired{Generation: 2, ChartVersion: "1.0.0"}
	cases := map[string]struct {
		release release.Release
		current int
		want    []string
	}{
		"in sync":           {release.Release{Desired: desired, Observed: &release.Observed{ChartVersion: "1.0.0"}}, 2, nil},
		"absent":            {release.Release{Desired: desired, Observed: &release.Observed{Absent: true}}, 2, nil},
		"never looked at":   {release.Release{Desired: desired}, 2, nil},
		"no run reached it": {release.Release{Observed: &release.Observed{Revision: 1}}, 2, []string{"no run has reached this target"}},
		"all": {release.Release{Desired: desired, Observed: &release.Observed{ChartVersion: "0.9.0", Revision: 4, LabelRevision: 3, Differs: []string{"values.replicaCount"}}}, 3,
			[]string{"generation: has 2, newest is 3", "chart version: has 0.9.0, desired 1.0.0", "revision: 4 was not made by Swell", "values.replicaCount"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, release.Differs(c.release, c.current)); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHashes(t *testing.T) {
	in := release.Input{ChartDigest: "sha256:0", ValuesDigest: "v", Name: "web", Namespace: "default"}
	if h := in.Hash(); len(h) != 52 || h != strings.ToLower(h) {
		t.Errorf("%q does not fit a label", h)
	}
	const stored = "6aznutjfbq7abyslrv634bl32iqqlkfbjmwnt4a26f6ycvgldiga"
	if in.Hash() != stored {
		t.Errorf("the hash of the same input is now %s: every stored one would be stale", in.Hash())
	}
	a, b := release.PlanEntry{ClusterID: "a", InputHash: "x"}, release.PlanEntry{ClusterID: "b", InputHash: "x"}
	plan := release.PlanHash("run", []release.PlanEntry{a, b})
	if plan != release.PlanHash("run", []release.PlanEntry{b, a}) {
		t.Error("the order of the entries changes the plan")
	}
	changed := b
	changed.SeenRevision = 4
	for name, other := range map[string]string{
		"another run":      release.PlanHash("run 2", []release.PlanEntry{a, b}),
		"another revision": release.PlanHash("run", []release.PlanEntry{a, changed}),
		"one entry less":   release.PlanHash("run", []release.PlanEntry{a}),
	} {
		if other == plan {
			t.Errorf("%s does not change the plan", name)
		}
	}
	key := release.Key{Org: "o", ClusterID: "c", Namespace: "n", Name: "web"}
	if e := release.AbsentEntry(key, "pke-demo", 2); !e.Absent || e.Action != release.Uninstall || e.ClusterID != "c" || e.InputHash == "" {
		t.Errorf("got %+v", e)
	}
}

// The times of a verb: mutations stop, the lease ends, in that order, and the function is over before both.
func TestLeaseOutlastsTheFunction(t *testing.T) {
	deadline := now.Add(15 * time.Minute)
	end := release.LeaseEnd(deadline)
	if stop := release.StopMutationsAt(end); !deadline.Before(stop) || !stop.Before(end) || end.Sub(stop) < time.Minute {
		t.Errorf("function until %s, mutations until %s, lease until %s", deadline, stop, end)
	}
	if got := release.HookTimeout(deadline, now); got != 14*time.Minute {
		t.Errorf("hooks have %s", got)
	}
	if got := release.HookTimeout(now.Add(time.Second), now); got <= 0 {
		t.Errorf("hooks have %s at the end", got)
	}
}
