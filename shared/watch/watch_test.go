package watch_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/watch"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// report is one of the deployment web at that generation, seen so many seconds after noon; its fact is its state at its generation.
func report(generation int64, state relay.State, seconds int) relay.Report {
	return relay.Report{
		ID: fmt.Sprintf("web-%d-%s-%d", generation, state, seconds), Namespace: "shop", Release: "web", State: state, SeenAt: noon.Add(time.Duration(seconds) * time.Second),
		Object: relay.Object{Kind: "Deployment", Namespace: "shop", Name: "web", UID: "u", Generation: generation},
	}
}

func of(uid string, r relay.Report) relay.Report {
	r.Object.UID = uid
	return r
}

func TestTake(t *testing.T) {
	later := noon.Add(time.Hour)
	cases := map[string]struct {
		reports  []relay.Report
		progress string // the fact that is left
		touched  string
	}{
		"one":                                {[]relay.Report{report(1, relay.Progressing, 1)}, "web-1-progressing-1", ""},
		"the newer of one generation":        {[]relay.Report{report(1, relay.Progressing, 1), report(1, relay.Complete, 2)}, "web-1-complete-2", ""},
		"in the wrong order":                 {[]relay.Report{report(1, relay.Complete, 2), report(1, relay.Progressing, 1)}, "web-1-complete-2", ""},
		"the newer generation":               {[]relay.Report{report(2, relay.Progressing, 2), report(1, relay.Complete, 3)}, "web-2-progressing-2", ""},
		"a last word stands":                 {[]relay.Report{report(1, relay.Complete, 2), report(1, relay.Progressing, 3)}, "web-1-complete-2", ""},
		"until another last word":            {[]relay.Report{report(1, relay.Complete, 2), report(1, relay.Failed, 3)}, "web-1-failed-3", ""},
		"or another generation":              {[]relay.Report{report(1, relay.Failed, 2), report(2, relay.Progressing, 3)}, "web-2-progressing-3", ""},
		"or another object of the name":      {[]relay.Report{report(7, relay.Complete, 2), of("v", report(1, relay.Progressing, 3))}, "web-1-progressing-3", ""},
		"of which the older one is late":     {[]relay.Report{of("v", report(1, relay.Progressing, 3)), report(7, relay.Complete, 2)}, "web-1-progressing-3", ""},
		"a change beside the progress":       {[]relay.Report{report(1, relay.Complete, 2), report(2, relay.Changed, 3)}, "web-1-complete-2", "web-2-changed-3"},
		"a late change":                      {[]relay.Report{report(3, relay.Deleted, 4), report(2, relay.Changed, 3)}, "", "web-3-deleted-4"},
		"the same twice":                     {[]relay.Report{report(1, relay.Complete, 2), report(1, relay.Complete, 2)}, "web-1-complete-2", ""},
		"a relay whose clock is a day ahead": {[]relay.Report{report(1, relay.Progressing, 48*3600), report(1, relay.Complete, 24*3600)}, "web-1-complete-86400", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var w watch.Watch
			for _, r := range c.reports {
				w.Take([]relay.Report{r}, later)
				later = later.Add(time.Second)
			}
			if len(w.Objects) != 1 || w.Objects[0].Progress.ID != c.progress || w.Objects[0].Touched.ID != c.touched {
				t.Errorf("got %+v", w.Objects)
			}
			before := w.Objects
			if news, touched := w.Take(c.reports, later); news || touched || !cmp.Equal(before, w.Objects) {
				t.Errorf("what came before is news: %v, %v", news, touched)
			}
		})
	}
}

func TestWatchIsBounded(t *testing.T) {
	var w watch.Watch
	for i := range 200 {
		r := report(1, relay.Failed, i)
		r.Object.Name = fmt.Sprintf("web-%03d", i)
		r.Cause = &relay.Cause{Code: "crash-loop", Message: strings.Repeat("é", 4000), Logs: strings.Repeat("é", 4000) + "the end", Image: strings.Repeat("i", 4000), Pod: strings.Repeat("p", 4000)}
		w.Take([]relay.Report{r}, noon.Add(time.Hour))
	}
	if len(w.Objects) != watch.MaxObjects || w.Objects[0].Name != "web-199" {
		t.Errorf("%d objects, the first is %s", len(w.Objects), w.Objects[0].Name)
	}
	raw, err := json.Marshal(w)
	if err != nil || len(raw) > 150<<10 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	if c := w.Objects[0].Progress.Cause; !strings.HasSuffix(c.Logs, "the end") || !strings.HasPrefix(c.Message, "é") || len(c.Message)+len(c.Logs)+len(c.Image)+len(c.Pod) > 2<<10 {
		t.Errorf("%d bytes of words, %d of a log", len(c.Message), len(c.Logs))
	}
}

func TestValid(t *testing.T) {
	if !watch.Valid(report(1, relay.Complete, 1)) {
		t.Error("a good one is refused")
	}
	for name, change := range map[string]func(*relay.Report){
		"no id":          func(r *relay.Report) { r.ID = "" },
		"no release":     func(r *relay.Report) { r.Release = "" },
		"no namespace":   func(r *relay.Report) { r.Namespace = "" },
		"no kind":        func(r *relay.Report) { r.Object.Kind = "" },
		"no name":        func(r *relay.Report) { r.Object.Name = "" },
		"a state to be":  func(r *relay.Report) { r.State = "exploded" },
		"no time":        func(r *relay.Report) { r.SeenAt = time.Time{} },
		"below zero":     func(r *relay.Report) { r.Object.Generation = -1 },
		"a name for two": func(r *relay.Report) { r.Release = strings.Repeat("x", 254) },
	} {
		r := report(1, relay.Complete, 1)
		if change(&r); watch.Valid(r) {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestOver(t *testing.T) {
	web, db := report(2, "", 0).Object, relay.Object{Kind: "StatefulSet", Namespace: "shop", Name: "db", UID: "d", Generation: 1}
	about := func(o relay.Object, r relay.Report) relay.Report { r.Object = o; return r }
	cases := map[string]struct {
		waits   []relay.Object
		reports []relay.Report
		want    bool
	}{
		"nothing reported":                    {[]relay.Object{web}, nil, false},
		"nothing waited for":                  {nil, []relay.Report{report(2, relay.Complete, 1)}, false},
		"complete":                            {[]relay.Object{web}, []relay.Report{report(2, relay.Complete, 1)}, true},
		"complete at a generation before":     {[]relay.Object{web}, []relay.Report{report(1, relay.Complete, 1)}, false},
		"complete at one after":               {[]relay.Object{web}, []relay.Report{report(3, relay.Complete, 1)}, true},
		"failed at a generation before":       {[]relay.Object{web}, []relay.Report{report(1, relay.Failed, 1)}, false},
		"failed":                              {[]relay.Object{web, db}, []relay.Report{report(2, relay.Failed, 1)}, true},
		"another of the name":                 {[]relay.Object{web}, []relay.Report{of("v", report(2, relay.Complete, 1))}, false},
		"one of two":                          {[]relay.Object{web, db}, []relay.Report{report(2, relay.Complete, 1)}, false},
		"both":                                {[]relay.Object{web, db}, []relay.Report{report(2, relay.Complete, 1), about(db, report(1, relay.Complete, 1))}, true},
		"progressing":                         {[]relay.Object{web}, []relay.Report{report(2, relay.Progressing, 1)}, false},
		"changed by hand":                     {[]relay.Object{web}, []relay.Report{report(2, relay.Changed, 1)}, false},
		"deleted by hand":                     {[]relay.Object{web}, []relay.Report{report(2, relay.Deleted, 1)}, true},
		"the one before it of the name was":   {[]relay.Object{web}, []relay.Report{of("v", report(2, relay.Deleted, 1))}, false},
		"failed, then complete of that state": {[]relay.Object{web}, []relay.Report{report(2, relay.Failed, 1), report(2, relay.Complete, 2)}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var w watch.Watch
			w.Take(c.reports, noon.Add(time.Hour))
			if got := (watch.Wait{Objects: c.waits}).Over(w); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestWhy(t *testing.T) {
	web, db := report(2, "", 0).Object, relay.Object{Kind: "StatefulSet", Namespace: "shop", Name: "db", UID: "d", Generation: 1}
	because := func(code string, r relay.Report) relay.Report { r.Cause = &relay.Cause{Code: code}; return r }
	about := func(o relay.Object, r relay.Report) relay.Report { r.Object = o; return r }
	cases := map[string]struct {
		reports []relay.Report
		want    string // the code
		at      int
	}{
		"nothing reported":            {},
		"it failed":                   {[]relay.Report{because("crash-loop", report(2, relay.Failed, 1))}, "crash-loop", 0},
		"it waits":                    {[]relay.Report{because("unschedulable", report(2, relay.Progressing, 1))}, "unschedulable", 0},
		"and does so no more":         {[]relay.Report{because("unschedulable", report(2, relay.Progressing, 1)), report(2, relay.Progressing, 2)}, "", 0},
		"it failed before a change":   {[]relay.Report{because("crash-loop", report(1, relay.Failed, 1))}, "", 0},
		"it was changed since":        {[]relay.Report{because("crash-loop", report(3, relay.Failed, 1))}, "", 0},
		"another of the name failed":  {[]relay.Report{because("crash-loop", of("v", report(2, relay.Failed, 1)))}, "", 0},
		"what failed before a waiter": {[]relay.Report{because("unschedulable", report(2, relay.Progressing, 1)), because("oom-killed", about(db, report(1, relay.Failed, 1)))}, "oom-killed", 1},
		"without saying why":          {[]relay.Report{report(2, relay.Failed, 1)}, "", 0},
		"a change by hand says none":  {[]relay.Report{because("x", report(2, relay.Changed, 1))}, "", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var w watch.Watch
			w.Take(c.reports, noon.Add(time.Hour))
			at, why := w.Why([]relay.Object{web, db})
			if got := why != nil; got != (c.want != "") || got && (why.Code != c.want || at != c.at) {
				t.Errorf("got %d, %+v", at, why)
			}
		})
	}
}

func TestATokenIsNotPrinted(t *testing.T) {
	w := watch.Wait{Token: "sesame"}
	raw, err := json.Marshal(w)
	if err != nil || strings.Contains(fmt.Sprintf("%v %+v %#v %s", w, w, w, w.Token)+string(raw), "sesame") {
		t.Errorf("printed %v", err)
	}
}
