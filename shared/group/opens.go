package group

import (
	"slices"
	"time"
)

// OpensAt says when reconcile may change something by itself: now, or when the next window begins or ends that lets it. Zero: no window ever does.
func (r Reconcile) OpensAt(now time.Time) time.Time {
	if r.Open(now) {
		return now
	}
	var edges []time.Time
	for _, w := range r.Windows {
		edges = append(edges, w.edges(now)...)
	}
	slices.SortFunc(edges, time.Time.Compare)
	for _, at := range edges {
		if r.Open(at) {
			return at
		}
	}
	return time.Time{}
}

// edges are the times after now at which the window may begin or end, for a week and a day: a week later all is as it was.
func (w Window) edges(now time.Time) []time.Time {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return nil
	}
	from, to := w.hours()
	year, month, day := now.In(zone).Date()
	var edges []time.Time
	for days := range 9 {
		for _, clock := range []string{from, to, "00:00"} { // a day's begin too: a window of whole days
			hour := 10*int(clock[0]-'0') + int(clock[1]-'0')
			minute := 10*int(clock[3]-'0') + int(clock[4]-'0')
			if at := time.Date(year, month, day+days, hour, minute, 0, 0, zone); at.After(now) {
				edges = append(edges, at.UTC())
			}
		}
	}
	return edges
}
