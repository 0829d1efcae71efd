package group_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/group"
)

// 2026-06-05 is a Friday.
func TestOpensAt(t *testing.T) {
	const budapest = "Europe/Budapest"
	night := group.Window{From: "22:00", To: "06:00", Zone: budapest}
	weekend := group.Window{Deny: true, Days: []time.Weekday{time.Saturday, time.Sunday}, Zone: budapest}
	cases := map[string]struct {
		windows  []group.Window
		at, want string // none: never
	}{
		"it is open":                 {nil, "2026-06-05T12:00:00Z", "2026-06-05T12:00:00Z"},
		"an allow window begins":     {[]group.Window{night}, "2026-06-05T12:00:00Z", "2026-06-05T20:00:00Z"},
		"a deny window ends":         {[]group.Window{weekend}, "2026-06-06T12:00:00Z", "2026-06-07T22:00:00Z"},
		"the first that both let":    {[]group.Window{night, weekend}, "2026-06-06T12:00:00Z", "2026-06-07T22:00:00Z"},
		"in a week":                  {[]group.Window{{Days: []time.Weekday{time.Friday}, From: "12:00", To: "12:30"}}, "2026-06-05T12:30:00Z", "2026-06-12T12:00:00Z"},
		"it is always denied":        {[]group.Window{{Deny: true}}, "2026-06-05T12:00:00Z", ""},
		"a zone that nobody knows":   {[]group.Window{{Zone: "Mars/Olympus"}}, "2026-06-05T12:00:00Z", ""},
		"up to midnight in its zone": {[]group.Window{{Deny: true, From: "08:00", To: "24:00", Zone: budapest}}, "2026-06-05T12:00:00Z", "2026-06-05T22:00:00Z"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want time.Time
			if c.want != "" {
				want = at(t, c.want)
			}
			if got := (group.Reconcile{Windows: c.windows}).OpensAt(at(t, c.at)); !got.Equal(want) {
				t.Errorf("it opens at %s, want %s", got, want)
			}
		})
	}
}
