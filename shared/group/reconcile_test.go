package group_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zones

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// 2026-06-05 is a Friday; Budapest is at UTC+2 in summer and UTC+1 in winter.
func TestOpen(t *testing.T) {
	const budapest = "Europe/Budapest"
	night := group.Window{From: "22:00", To: "06:00", Zone: budapest}
	weekend := group.Window{Deny: true, Days: []time.Weekday{time.Saturday, time.Sunday}, Zone: budapest}
	friday := group.Window{Days: []time.Weekday{time.Friday}, From: "22:00", To: "06:00", Zone: budapest}
	cases := map[string]struct {
		windows []group.Window
		at      string
		want    bool
	}{
		"no windows": {nil, "2026-06-05T12:00:00Z", true},

		"allow: before it":          {[]group.Window{night}, "2026-06-05T19:59:59Z", false},
		"allow: as it begins":       {[]group.Window{night}, "2026-06-05T20:00:00Z", true},
		"allow: after midnight":     {[]group.Window{night}, "2026-06-06T03:59:59Z", true},
		"allow: as it ends":         {[]group.Window{night}, "2026-06-06T04:00:00Z", false},
		"allow: an hour in winter":  {[]group.Window{night}, "2026-12-04T21:00:00Z", true},
		"allow: before it, winter":  {[]group.Window{night}, "2026-12-04T20:59:00Z", false},
		"allow: one of two is open": {[]group.Window{night, {From: "12:00", To: "13:00"}}, "2026-06-05T12:30:00Z", true},

		"days: the night that begins on Friday":    {[]group.Window{friday}, "2026-06-06T01:00:00Z", true},
		"days: the night that begins on Saturday":  {[]group.Window{friday}, "2026-06-06T21:00:00Z", false},
		"days: the morning before Friday's window": {[]group.Window{friday}, "2026-06-05T01:00:00Z", false},

		"deny: outside":                      {[]group.Window{weekend}, "2026-06-05T21:59:59Z", true},
		"deny: whole days, in its own zone":  {[]group.Window{weekend}, "2026-06-05T22:00:00Z", false},
		"deny: until the last day ends":      {[]group.Window{weekend}, "2026-06-07T21:59:59Z", false},
		"deny: and no more after":            {[]group.Window{weekend}, "2026-06-07T22:00:00Z", true},
		"deny wins over allow":               {[]group.Window{night, weekend}, "2026-06-06T01:00:00Z", false},
		"deny wins, whatever the order":      {[]group.Window{weekend, night}, "2026-06-06T01:00:00Z", false},
		"deny and no allow that holds":       {[]group.Window{night, weekend}, "2026-06-05T12:00:00Z", false},
		"a zone that nobody knows is closed": {[]group.Window{{Zone: "Mars/Olympus"}}, "2026-06-05T12:00:00Z", false},

		// On 2026-03-29 the clock in Budapest skips from 02:00 to 03:00, on 2026-10-25 it goes back from 03:00 to 02:00.
		"spring: before the gap":             {[]group.Window{{From: "01:30", To: "03:30", Zone: budapest}}, "2026-03-29T00:59:00Z", true},
		"spring: after the gap":              {[]group.Window{{From: "01:30", To: "03:30", Zone: budapest}}, "2026-03-29T01:29:00Z", true},
		"spring: the end, an hour earlier":   {[]group.Window{{From: "01:30", To: "03:30", Zone: budapest}}, "2026-03-29T01:30:00Z", false},
		"autumn: 02:30 for the first time":   {[]group.Window{{From: "02:15", To: "02:45", Zone: budapest}}, "2026-10-25T00:30:00Z", true},
		"autumn: 02:30 for the second time":  {[]group.Window{{From: "02:15", To: "02:45", Zone: budapest}}, "2026-10-25T01:30:00Z", true},
		"autumn: between the two":            {[]group.Window{{From: "02:15", To: "02:45", Zone: budapest}}, "2026-10-25T00:50:00Z", false},
		"autumn: deny the whole long Sunday": {[]group.Window{{Deny: true, Days: []time.Weekday{time.Sunday}, Zone: budapest}}, "2026-10-25T22:30:00Z", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := group.Reconcile{Windows: c.windows}
			if got := r.Open(at(t, c.at)); got != c.want {
				t.Errorf("open is %t at %s", got, c.at)
			}
			if opens := r.OpensAt(at(t, c.at)); c.want && !opens.Equal(at(t, c.at)) || !opens.IsZero() && !r.Open(opens) {
				t.Errorf("it is said to open at %s", opens)
			}
		})
	}
}

func TestValidateReconcile(t *testing.T) {
	window := func(w group.Window) group.Reconcile {
		return group.Reconcile{Windows: []group.Window{{}, w}}
	}
	cases := map[string]struct {
		reconcile   group.Reconcile
		code, field string // none: acceptable
	}{
		"nothing":          {group.Reconcile{}, "", ""},
		"the shortest":     {group.Reconcile{Every: time.Minute}, "", ""},
		"the longest":      {group.Reconcile{Every: 24 * time.Hour}, "", ""},
		"too short":        {group.Reconcile{Every: 59 * time.Second}, "interval-invalid", "reconcile.intervalSeconds"},
		"negative":         {group.Reconcile{Every: -time.Minute}, "interval-invalid", "reconcile.intervalSeconds"},
		"too long":         {group.Reconcile{Every: 24*time.Hour + time.Second}, "interval-invalid", "reconcile.intervalSeconds"},
		"a night":          {window(group.Window{From: "22:00", To: "06:00", Zone: "Europe/Budapest"}), "", ""},
		"up to midnight":   {window(group.Window{From: "22:00", To: "24:00"}), "", ""},
		"too many":         {group.Reconcile{Windows: make([]group.Window, 21)}, "too-many-windows", "reconcile.windows"},
		"no such hour":     {window(group.Window{From: "25:00"}), "window-invalid", "reconcile.windows[1].from"},
		"from 24:00":       {window(group.Window{From: "24:00"}), "window-invalid", "reconcile.windows[1].from"},
		"one digit":        {window(group.Window{To: "6:00"}), "window-invalid", "reconcile.windows[1].to"},
		"with seconds":     {window(group.Window{To: "06:00:00"}), "window-invalid", "reconcile.windows[1].to"},
		"empty":            {window(group.Window{From: "06:00", To: "06:00"}), "window-invalid", "reconcile.windows[1].to"},
		"no such zone":     {window(group.Window{Zone: "Europe/Buda"}), "time-zone-unknown", "reconcile.windows[1].timeZone"},
		"the machine's":    {window(group.Window{Zone: "Local"}), "time-zone-unknown", "reconcile.windows[1].timeZone"},
		"out of the house": {window(group.Window{Zone: "../../etc/passwd"}), "time-zone-unknown", "reconcile.windows[1].timeZone"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := group.Group{Name: "prod", Reconcile: c.reconcile}.Validate()
			if p, ok := problem.From(err); ok != (c.code != "") || ok && (p.Code != c.code || p.Field != c.field || p.Remedy == "") {
				t.Errorf("got %v, want %s at %s with a remedy", err, c.code, c.field)
			}
		})
	}
}

func TestIntervalIsTheShortestOfACluster(t *testing.T) {
	prod := &cluster.Selector{MatchLabels: map[string]string{"env": "prod"}}
	groups := []group.Group{
		{Members: []string{"a"}, Reconcile: group.Reconcile{Every: time.Hour}},
		{Selector: prod, Reconcile: group.Reconcile{Every: time.Minute}},
		{Members: []string{"b"}},
	}
	cases := map[string]struct {
		cluster cluster.Cluster
		want    time.Duration
	}{
		"named":              {cluster.Cluster{ID: "a"}, time.Hour},
		"named and selected": {cluster.Cluster{ID: "a", Labels: prod.MatchLabels}, time.Minute},
		"the default":        {cluster.Cluster{ID: "b"}, cluster.CheckEvery},
		"in no group":        {cluster.Cluster{ID: "c"}, cluster.CheckEvery},
	}
	for name, c := range cases {
		if got := group.IntervalFor(c.cluster, groups); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
