package release_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/release"
)

var us = release.OwnedByDeployment("d")

// revision is one of ours, made by that run.
func revision(n int, status, run string) release.Revision {
	return release.Revision{Number: n, Status: status, OwnerLabel: release.OwnerLabel(us), InputHash: "good", LabelRevision: n, Run: run}
}

func TestMayTakeBack(t *testing.T) {
	byHand := revision(4, "deployed", "old") // by helm upgrade: the labels are inherited
	byHand.LabelRevision = 3
	foreign := release.Revision{Number: 4, Status: "deployed"}
	anothers := revision(4, "deployed", "x")
	anothers.OwnerLabel = "deployment-other"
	anotherInput := revision(3, "superseded", "old")
	anotherInput.InputHash = "other"
	tried := []release.Revision{revision(5, "failed", "r"), revision(4, "superseded", "r"), revision(3, "superseded", "old"), revision(2, "failed", "older")}
	cases := map[string]struct {
		history []release.Revision
		entry   release.TakeBack
		code    string   // empty: it may be
		says    []string // in what is said of it
	}{
		"to the one before":                {tried[1:], release.TakeBack{RollbackTo: 3}, "", nil},
		"over the run's own tries":         {tried, release.TakeBack{RollbackTo: 3}, "", nil},
		"a second time":                    {append([]release.Revision{revision(6, "deployed", "r")}, tried...), release.TakeBack{RollbackTo: 3}, "", nil},
		"nothing was written":              {tried[2:], release.TakeBack{RollbackTo: 3}, "", nil},
		"still deployed, the upgrade fell": {[]release.Revision{revision(4, "failed", "r"), revision(3, "deployed", "old")}, release.TakeBack{RollbackTo: 3}, "", nil},
		"its record is gone":               {tried[:2], release.TakeBack{RollbackTo: 3}, "rollback-gone", []string{"revision 3"}},
		"everything is gone":               {nil, release.TakeBack{RollbackTo: 3}, "rollback-gone", nil},
		"to one that failed":               {tried, release.TakeBack{RollbackTo: 2}, "rollback-across-failed", []string{"revision 3 of run old"}},
		"to one that failed since":         {[]release.Revision{revision(4, "failed", "r"), revision(3, "failed", "old")}, release.TakeBack{RollbackTo: 3}, "rollback-across-failed", []string{"revision 3 is failed"}},
		"across one that failed":           {[]release.Revision{revision(5, "failed", "r"), revision(4, "failed", "before"), revision(3, "superseded", "old")}, release.TakeBack{RollbackTo: 3}, "rollback-across-failed", []string{"revision 4 of run before"}},
		"across a person's":                {[]release.Revision{revision(5, "failed", "r"), byHand, revision(3, "superseded", "old")}, release.TakeBack{RollbackTo: 3}, "rollback-hand-made", []string{"revision 4", "by hand", "revision 3"}},
		"across a person's, allowed":       {[]release.Revision{revision(5, "failed", "r"), byHand, revision(3, "superseded", "old")}, release.TakeBack{RollbackTo: 3, AcrossHandMade: true}, "", []string{"revision 4", "by hand"}},
		"under a person's":                 {[]release.Revision{byHand, revision(3, "superseded", "old")}, release.TakeBack{RollbackTo: 3}, "rollback-hand-made", nil},
		"across a foreign one":             {[]release.Revision{revision(5, "failed", "r"), foreign, revision(3, "superseded", "old")}, release.TakeBack{RollbackTo: 3}, "rollback-hand-made", []string{"somebody else's Helm"}},
		"across another deployment's":      {[]release.Revision{revision(5, "failed", "r"), anothers, revision(3, "superseded", "old")}, release.TakeBack{RollbackTo: 3}, "rollback-hand-made", []string{"deployment-other"}},
		"to another than was verified":     {[]release.Revision{revision(4, "failed", "r"), anotherInput}, release.TakeBack{RollbackTo: 3}, "rollback-hand-made", []string{"revision 3"}},
		"a first install":                  {[]release.Revision{revision(1, "failed", "r")}, release.TakeBack{}, "", nil},
		"a first install, tried twice":     {[]release.Revision{revision(2, "failed", "r"), revision(1, "failed", "r")}, release.TakeBack{}, "", nil},
		"not the first":                    {[]release.Revision{revision(2, "failed", "r"), revision(1, "failed", "old")}, release.TakeBack{}, "remedy-not-first", []string{"run old"}},
		"a person's is never uninstalled":  {[]release.Revision{byHand}, release.TakeBack{AcrossHandMade: true}, "rollback-hand-made", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			entry := release.PlanEntry{InputHash: "good", TakeBack: c.entry}
			across, refused := entry.MayTakeBack(c.history, us, "r")
			if refused.Code != c.code || (c.code != "") != (refused.Action == release.Refuse) {
				t.Errorf("refused with %+v, want %q", refused, c.code)
			}
			for _, word := range c.says {
				if !strings.Contains(across+refused.Reason, word) {
					t.Errorf("%q is not in %q, %q", word, across, refused.Reason)
				}
			}
		})
	}
}

// Whatever the history is: what is allowed leads to a revision of ours with the verified input that did not fail, and crosses only this run's own
// revisions, or a person's where that is allowed and said.
func TestWhatIsTakenBackIsOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "revisions")
		var history []release.Revision
		for i := n; i > 0; i-- {
			r := revision(i, rapid.SampledFrom([]string{"deployed", "superseded", "failed", "pending-upgrade", "uninstalled"}).Draw(t, "status"),
				rapid.SampledFrom([]string{"r", "old"}).Draw(t, "run"))
			r.OwnerLabel = rapid.SampledFrom([]string{release.OwnerLabel(us), release.OwnerLabel(us), "", "deployment-x"}).Draw(t, "owner")
			r.InputHash = rapid.SampledFrom([]string{"good", "other"}).Draw(t, "input")
			r.LabelRevision = max(i-rapid.IntRange(0, 1).Draw(t, "inherited"), 1)
			history = append(history, r)
		}
		entry := release.PlanEntry{InputHash: "good", TakeBack: release.TakeBack{RollbackTo: rapid.IntRange(0, 6).Draw(t, "to"), AcrossHandMade: rapid.Bool().Draw(t, "across")}}
		across, refused := entry.MayTakeBack(history, us, "r")
		if refused.Action == release.Refuse {
			if refused.Code == "" || refused.Reason == "" {
				t.Fatalf("refused without a reason: %+v", refused)
			}
			return
		}
		reached := entry.RollbackTo == 0
		for _, r := range history {
			mine := r.OwnerLabel == release.OwnerLabel(us) && r.LabelRevision == r.Number
			if r.Number == entry.RollbackTo {
				reached = true
				if !mine || r.InputHash != "good" || r.Status != "deployed" && r.Status != "superseded" {
					t.Fatalf("it leads to %+v", r)
				}
				break
			}
			if !mine && (!entry.AcrossHandMade || across == "") || mine && r.Run != "r" {
				t.Fatalf("it crosses %+v, and says %q", r, across)
			}
		}
		if !reached {
			t.Fatalf("it leads to a revision that is not there")
		}
	})
}

func TestDecideToRollBack(t *testing.T) {
	want := release.Want{Owner: us, InputHash: "good", Rollback: true}
	label := release.OwnerLabel(us)
	cases := map[string]struct {
		seen release.Seen
		want release.Action
	}{
		"failed":            {release.Seen{Revision: 4, LabelRevision: 4, Status: "failed", OwnerLabel: label, InputHash: "bad"}, release.Rollback},
		"deployed, unwell":  {release.Seen{Revision: 4, LabelRevision: 4, Status: "deployed", OwnerLabel: label, InputHash: "bad"}, release.Rollback},
		"rolled back":       {release.Seen{Revision: 5, LabelRevision: 5, Status: "deployed", OwnerLabel: label, InputHash: "good"}, release.None},
		"died in the verb":  {release.Seen{Revision: 5, LabelRevision: 5, Status: "pending-rollback", OwnerLabel: label, InputHash: "good"}, release.Recover},
		"gone":              {release.Seen{Absent: true}, release.Refuse},
		"somebody else's":   {release.Seen{Revision: 9, Status: "deployed"}, release.Refuse},
		"drifted since":     {release.Seen{Revision: 5, LabelRevision: 5, Status: "deployed", OwnerLabel: label, InputHash: "good", Drifted: 1}, release.Repair},
		"uninstalled, kept": {release.Seen{Revision: 5, LabelRevision: 5, Status: "uninstalled", OwnerLabel: label}, release.Refuse},
	}
	for name, c := range cases {
		if got := release.Decide(c.seen, want, release.Policy{}, time.Now()); got.Action != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
	if !release.Rollback.Writes() {
		t.Error("a rollback writes")
	}
}
