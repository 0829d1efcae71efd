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
	drifted := func(s *release.Seen) { s.Drifted = 2 }
	rolledBack := func(s *release.Seen) { s.Revision, s.RolledBackTo = 4, 2 }
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
		"deployed, its objects drifted":       {seen("deployed", drifted), want, release.Repair, ""},
		"drifted, another input":              {seen("deployed", drifted, another), want, release.Upgrade, ""},
		"drifted, to be removed":              {seen("deployed", drifted), gone, release.Uninstall, ""},
		"drifted, and foreign":                {seen("deployed", drifted, foreign), want, release.Refuse, "release-foreign"},
		"rolled back by hand":                 {seen("deployed", rolledBack), want, release.Upgrade, ""},
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
			got := release.Decide(c.seen, c.want, release.Policy{}, now)
			if got.Action != c.do || got.Code != c.code || (got.Action == release.Refuse) != (got.Reason != "") {
				t.Errorf("got %+v, want %s %s", got, c.do, c.code)
			}
		})
	}
}

// Reconcile does what a person's run does, where the mode lets it and nobody chose otherwise.
func TestDecideForReconcile(t *testing.T) {
	want := release.Want{Owner: mine, InputHash: "h"}
	sync := release.Seen{Revision: 3, Status: "deployed", OwnerLabel: label, InputHash: "h", LabelRevision: 3, ModifiedAt: now.Add(-time.Minute)}
	with := func(change func(*release.Seen)) release.Seen {
		s := sync
		change(&s)
		return s
	}
	cases := map[string]struct {
		seen            release.Seen
		detect, correct release.Action
	}{
		"in sync":                          {sync, release.None, release.None},
		"absent":                           {release.Seen{Absent: true}, release.Report, release.Install},
		"drifted":                          {with(func(s *release.Seen) { s.Drifted = 1 }), release.Report, release.Repair},
		"another input":                    {with(func(s *release.Seen) { s.InputHash = "other" }), release.Report, release.Upgrade},
		"upgraded by hand":                 {with(func(s *release.Seen) { s.Revision = 4 }), release.Report, release.Upgrade},
		"failed":                           {with(func(s *release.Seen) { s.Status = "failed" }), release.Report, release.Upgrade},
		"ours pending":                     {with(func(s *release.Seen) { s.Status = "pending-upgrade" }), release.Report, release.Recover},
		"rolled back by hand":              {with(func(s *release.Seen) { s.Revision, s.RolledBackTo = 4, 2 }), release.Hold, release.Hold},
		"a rollback by hand failed":        {with(func(s *release.Seen) { s.Revision, s.RolledBackTo, s.Status = 4, 2, "failed" }), release.Report, release.Upgrade},
		"our own upgrade after a rollback": {with(func(s *release.Seen) { s.RolledBackTo = 2 }), release.None, release.None},
		"foreign":                          {with(func(s *release.Seen) { s.OwnerLabel = "" }), release.Refuse, release.Refuse},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for correct, action := range map[bool]release.Action{false: c.detect, true: c.correct} {
				if got := release.Decide(c.seen, want, release.Policy{Reconcile: true, Correct: correct}, now); got.Action != action {
					t.Errorf("correct %t: got %+v, want %s", correct, got, action)
				}
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
			LabelRevision: rapid.IntRange(0, 3).Draw(t, "label revision"), RolledBackTo: rapid.IntRange(0, 1).Draw(t, "rolled back to"),
			Drifted: rapid.IntRange(0, 1).Draw(t, "drifted"), ModifiedAt: now.Add(-time.Duration(rapid.IntRange(-60, 60).Draw(t, "minutes")) * time.Minute)}
	})
	anyWant := rapid.Custom(func(t *rapid.T) release.Want {
		return release.Want{Owner: mine, InputHash: "h", Absent: rapid.Bool().Draw(t, "want absent")}
	})
	anyPolicy := rapid.Custom(func(t *rapid.T) release.Policy {
		return release.Policy{Reconcile: rapid.Bool().Draw(t, "reconcile"), Correct: rapid.Bool().Draw(t, "correct")}
	})
	gone := func(s release.Seen) bool { return s.Absent || s.Status == "uninstalled" }
	pending := func(s release.Seen) bool {
		return strings.HasPrefix(s.Status, "pending-") || s.Status == "uninstalling"
	}
	type decided struct {
		release.Seen
		want   release.Want
		policy release.Policy
		release.Decision
	}
	rules := map[string]func(d decided) bool{
		"only a release that is there is touched": func(d decided) bool {
			return !gone(d.Seen) || !d.Action.Writes() || d.Action == release.Install
		},
		"another's release is never touched": func(d decided) bool {
			return gone(d.Seen) || d.OwnerLabel == label || !d.Action.Writes()
		},
		"nothing is uninstalled that is wanted": func(d decided) bool { return d.want.Absent || d.Action != release.Uninstall },
		"nothing is installed that is not wanted": func(d decided) bool {
			return !d.want.Absent || !d.Action.Writes() || d.Action == release.Uninstall
		},
		"a person's operation is left its time": func(d decided) bool {
			fresh := pending(d.Seen) && d.LabelRevision != d.Revision && now.Sub(d.ModifiedAt) < release.ForeignPendingGrace
			return gone(d.Seen) || !fresh || !d.Action.Writes()
		},
		"nothing is done only if it is in sync": func(d decided) bool {
			return d.Action != release.None || (d.want.Absent && (gone(d.Seen) || d.OwnerLabel != label)) ||
				(d.Status == "deployed" && d.InputHash == d.want.InputHash && d.LabelRevision == d.Revision && d.Drifted == 0 && !d.want.Absent)
		},
		"only the objects of a release in sync are repaired": func(d decided) bool {
			return d.Action != release.Repair || d.Status == "deployed" && d.InputHash == d.want.InputHash && d.LabelRevision == d.Revision
		},
		"a refusal says why": func(d decided) bool { return (d.Action == release.Refuse) == (d.Code != "" && d.Reason != "") },
		"reconcile writes only where it may": func(d decided) bool {
			return !d.policy.Reconcile || d.policy.Correct || !d.Action.Writes()
		},
		"reconcile never fights a person's choice": func(d decided) bool {
			chosen := !gone(d.Seen) && d.Status == "deployed" && d.LabelRevision != d.Revision && d.RolledBackTo > 0
			return !d.policy.Reconcile || !chosen || !d.Action.Writes()
		},
		"a person is never put off": func(d decided) bool {
			return d.policy.Reconcile || d.Action != release.Report && d.Action != release.Hold
		},
		"reconcile does nothing else than a person's run would": func(d decided) bool {
			return !d.Action.Writes() || d.Decision == release.Decide(d.Seen, d.want, release.Policy{}, now)
		},
	}
	for name, holds := range rules {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			s, w, p := anySeen.Draw(t, "seen"), anyWant.Draw(t, "want"), anyPolicy.Draw(t, "policy")
			if d := (decided{s, w, p, release.Decide(s, w, p, now)}); !holds(d) {
				t.Fatalf("decided %+v", d.Decision)
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
	drift := &release.Drift{Revision: 3, Objects: 1}
	cases := map[string]struct {
		release release.Release
		away    bool
		current int
		status  release.Status
		stale   bool
	}{
		"in sync":                  {release.Release{Desired: desired, Observed: observed("deployed")}, false, 2, release.StatusDeployed, false},
		"no answer is no guess":    {release.Release{Desired: desired, Observed: observed("deployed")}, true, 2, release.StatusUnknown, true},
		"objects drifted":          {release.Release{Desired: desired, Observed: observed("deployed"), Drift: drift}, false, 2, release.StatusDrifted, true},
		"drifted, now upgraded":    {release.Release{Desired: desired, Observed: byHand, Drift: drift}, false, 2, release.StatusStale, true},
		"nothing drifted":          {release.Release{Desired: desired, Observed: observed("deployed"), Drift: &release.Drift{Revision: 3}}, false, 2, release.StatusDeployed, false},
		"drifted, no answer":       {release.Release{Desired: desired, Observed: observed("deployed"), Drift: drift}, true, 2, release.StatusUnknown, true},
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
		"rolled back by hand": {release.Release{Desired: desired, Observed: &release.Observed{ChartVersion: "1.0.0", Revision: 5, LabelRevision: 2, RolledBackTo: 2}}, 2,
			[]string{"revision 5: rolled back by hand to 2"}},
		"all": {release.Release{Desired: desired, Observed: &release.Observed{ChartVersion: "0.9.0", Revision: 4, LabelRevision: 3, Differs: []string{"values.replicaCount"}}}, 3,
			[]string{"generation: has 2, should have 3", "chart version: has 0.9.0, desired 1.0.0", "revision: 4 was not made by Swell", "values.replicaCount"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, release.Differs(c.release, c.current)); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDriftAfter(t *testing.T) {
	since, earlier := now.Add(-time.Hour), now.Add(-time.Minute)
	found := release.Drift{Revision: 3, Objects: 1, Fields: 2, Ref: "a", At: now}
	with := func(d release.Drift, ref string, revision int) *release.Drift {
		d.Ref, d.Revision, d.Since, d.At = ref, revision, since, earlier
		return &d
	}
	cases := map[string]struct {
		now      release.Drift
		previous *release.Drift
		since    time.Time
		news     bool
	}{
		"nothing, as ever":        {release.Drift{Revision: 3, At: now}, nil, time.Time{}, false},
		"nothing, as before":      {release.Drift{Revision: 3, At: now}, &release.Drift{Revision: 2, At: earlier}, time.Time{}, false},
		"nothing any more":        {release.Drift{Revision: 3, At: now}, with(found, "a", 3), time.Time{}, true},
		"the first":               {found, nil, now, true},
		"the first in a while":    {found, &release.Drift{Revision: 3, At: earlier}, now, true},
		"the same":                {found, with(found, "a", 3), since, false},
		"others":                  {found, with(found, "b", 3), since, true},
		"the same, of a revision": {found, with(found, "a", 2), now, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, news := c.now.After(c.previous)
			if !got.Since.Equal(c.since) || news != c.news {
				t.Errorf("since %s, news %t; want %s, %t", got.Since, news, c.since, c.news)
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
