package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/rollout"
)

var members = []cluster.Cluster{
	{Name: "eu-1", Labels: map[string]string{"region": "eu"}}, {Name: "eu-2", Labels: map[string]string{"region": "eu"}}, {Name: "us-1"},
}

func TestWaveOf(t *testing.T) {
	r := rollout.Rollout{Waves: []rollout.Wave{
		{Name: "canary", Clusters: []string{"eu-1"}}, {Name: "eu", Selector: &cluster.Selector{MatchLabels: map[string]string{"region": "eu"}}},
	}}
	got := map[string]string{}
	for _, c := range members {
		got[c.Name] = r.WaveOf(c.Name, c.Labels)
	}
	if diff := cmp.Diff(map[string]string{"eu-1": "canary", "eu-2": "eu", "us-1": ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLimitsOfAWaveAndThoseOfTheRollOut(t *testing.T) {
	r := rollout.Rollout{Limits: rollout.Limits{MinSuccessTime: new(time.Minute), ProgressDeadline: new(2 * time.Minute)},
		Waves: []rollout.Wave{{Name: "a"}, {Name: "b", Limits: rollout.Limits{MinSuccessTime: new(time.Duration(0)), ProgressDeadline: new(time.Minute)}}}}
	got := []any{r.Bake("a"), r.Bake("b"), r.Bake(""), r.Deadline("a", 600), r.Deadline("b", 600), rollout.Rollout{}.Deadline("", 600), rollout.Rollout{}.Bake("")}
	want := []any{time.Minute, time.Duration(0), time.Minute, 120, 60, 600, time.Duration(0)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.IsZero() || !(rollout.Rollout{}).IsZero() {
		t.Error("only one of them says nothing")
	}
}

func TestParseAmount(t *testing.T) {
	for text, want := range map[string]rollout.Amount{"0": {}, "3": {N: 3}, "25%": {N: 25, Percent: true}, "100%": {N: 100, Percent: true}} {
		if got, err := rollout.ParseAmount(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "-1", "-0", "+1", "101%", "1.5", "ten", "25 %"} {
		if got, err := rollout.ParseAmount(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzParseAmount(f *testing.F) {
	f.Add("25%")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := rollout.ParseAmount(text)
		if err != nil {
			return
		}
		if again, err := rollout.ParseAmount(a.String()); err != nil || again != a || a.N < 0 || a.Percent && a.N > 100 {
			t.Errorf("%q is %+v, and again %+v: %v", text, a, again, err)
		}
	})
}

func TestText(t *testing.T) {
	for text, d := range map[string]time.Duration{"0s": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "1h": time.Hour, "1m30s": 90 * time.Second, "1h30m": 90 * time.Minute} {
		if got := rollout.Text(d); got != text {
			t.Errorf("%s is %s", d, got)
		}
	}
}

func TestValidate(t *testing.T) {
	wave := func(change func(*rollout.Wave)) rollout.Rollout {
		w := rollout.Wave{Name: "canary", Clusters: []string{"eu-1"}}
		change(&w)
		return rollout.Rollout{Waves: []rollout.Wave{w}}
	}
	twice := wave(func(*rollout.Wave) {})
	twice.Waves = append(twice.Waves, twice.Waves[0])
	cases := map[string]struct {
		rollout     rollout.Rollout
		code, field string
	}{
		"nothing":         {rollout.Rollout{}, "", ""},
		"a wave":          {wave(func(*rollout.Wave) {}), "", ""},
		"by labels":       {wave(func(w *rollout.Wave) { w.Selector = &cluster.Selector{MatchLabels: map[string]string{"region": "eu"}} }), "", ""},
		"two of one name": {twice, "rollout-invalid", "rollout.waves[1].name"},
		"no name":         {wave(func(w *rollout.Wave) { w.Name = "" }), "rollout-invalid", "rollout.waves[0].name"},
		"nobody":          {wave(func(w *rollout.Wave) { w.Clusters = nil }), "rollout-invalid", "rollout.waves[0]"},
		"a stranger":      {wave(func(w *rollout.Wave) { w.Clusters = []string{"mars"} }), "rollout-cluster-unknown", "rollout.waves[0].clusters[0]"},
		"labels of nobody": {wave(func(w *rollout.Wave) {
			w.Selector = &cluster.Selector{MatchLabels: map[string]string{"region": "mars"}}
		}), "rollout-cluster-unknown", "rollout.waves[0].selector"},
		"an empty selector":      {wave(func(w *rollout.Wave) { w.Selector = &cluster.Selector{} }), "selector-empty", "rollout.waves[0].selector"},
		"nothing at once":        {wave(func(w *rollout.Wave) { w.MaxConcurrency = amount("0") }), "rollout-invalid", "rollout.waves[0].maxConcurrency"},
		"more than all":          {rollout.Rollout{MaxUnreachable: &rollout.Amount{N: 101, Percent: true}}, "rollout-invalid", "rollout.maxUnreachable"},
		"less than none":         {rollout.Rollout{Limits: rollout.Limits{MaxFailures: &rollout.Amount{N: -1}}}, "rollout-invalid", "rollout.maxFailures"},
		"a bake of days":         {rollout.Rollout{Limits: rollout.Limits{MinSuccessTime: new(48 * time.Hour)}}, "rollout-invalid", "rollout.minSuccessTime"},
		"a deadline of a second": {rollout.Rollout{Limits: rollout.Limits{ProgressDeadline: new(time.Second)}}, "rollout-invalid", "rollout.progressDeadline"},
		"too many waves":         {rollout.Rollout{Waves: make([]rollout.Wave, rollout.MaxWaves+1)}, "rollout-invalid", "rollout.waves"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.rollout.Validate(members)
			p, _ := problem.From(err)
			if p == nil {
				p = &problem.Problem{}
			}
			if p.Code != c.code || p.Field != c.field || err != nil && p.Remedy == "" {
				t.Errorf("code %q at %q: %v", p.Code, p.Field, err)
			}
		})
	}
}

// Every batch bakes, one after the other, and the machine that waits for them lives for thirty days.
func TestBakesOfAllBatches(t *testing.T) {
	fleet := make([]cluster.Cluster, 50)
	for i := range fleet {
		fleet[i] = cluster.Cluster{Name: fmt.Sprint("c", i), Labels: map[string]string{"region": "us"}}
		if i < 10 {
			fleet[i].Labels["region"] = "eu"
		}
	}
	us := &cluster.Selector{MatchLabels: map[string]string{"region": "us"}}
	bakes := func(most string, bake time.Duration) rollout.Limits {
		return rollout.Limits{MaxConcurrency: amount(most), MinSuccessTime: new(bake)}
	}
	eu := func(l rollout.Limits) []rollout.Wave {
		return []rollout.Wave{{Name: "eu", Selector: &cluster.Selector{MatchLabels: map[string]string{"region": "eu"}}, Limits: l}}
	}
	const day = 24 * time.Hour
	cases := map[string]struct {
		rollout rollout.Rollout
		field   string
	}{
		"25 batches of a day":           {rollout: rollout.Rollout{Limits: bakes("2", day)}},
		"50 batches of a day":           {rollout.Rollout{Limits: bakes("1", day)}, "rollout.minSuccessTime"},
		"50 batches of half a day":      {rollout: rollout.Rollout{Limits: bakes("1", day/2)}},
		"by percentage":                 {rollout.Rollout{Limits: bakes("2%", day)}, "rollout.minSuccessTime"},
		"all at once":                   {rollout: rollout.Rollout{Limits: rollout.Limits{MinSuccessTime: new(day)}}},
		"10 in a wave, and 15":          {rollout: rollout.Rollout{Limits: bakes("40%", day), Waves: eu(bakes("1", day))}},
		"10 in a wave, and 20 of a day": {rollout.Rollout{Limits: bakes("2", day), Waves: eu(bakes("1", day))}, "rollout.minSuccessTime"},
		"a wave of 40 of a day":         {rollout.Rollout{Waves: append(eu(rollout.Limits{}), rollout.Wave{Name: "us", Selector: us, Limits: bakes("1", day)})}, "rollout.waves[1].minSuccessTime"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.rollout.Validate(fleet)
			p, _ := problem.From(err)
			if (p == nil) != (c.field == "") || p != nil && (p.Code != "rollout-invalid" || p.Field != c.field || p.Remedy == "") {
				t.Errorf("%v", err)
			}
		})
	}
}
