package group

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
)

// Limits on how often a group's clusters are looked at, and on its windows.
const (
	MinEvery   = time.Minute
	MaxEvery   = 24 * time.Hour
	MaxWindows = 20
)

// A group whose clusters were changed is reviewed once they have been left alone for QuietFor, so that many changes are judged as one; every group
// is reviewed after ReviewEvery, whatever was or was not noticed.
const (
	QuietFor    = time.Minute
	ReviewEvery = time.Hour
)

// IntervalFor is how often the cluster is looked at: the shortest time that a group asks for which has it.
func IntervalFor(c cluster.Cluster, groups []Group) time.Duration {
	var shortest time.Duration
	for _, g := range groups {
		if every := g.Reconcile.Interval(); g.Has(c) && (shortest == 0 || every < shortest) {
			shortest = every
		}
	}
	return cmp.Or(shortest, cluster.CheckEvery)
}

// Interval is how often the members are looked at.
func (r Reconcile) Interval() time.Duration {
	if r.Every == 0 {
		return cluster.CheckEvery
	}
	return r.Every
}

// Open says whether reconcile may change something by itself now: outside every deny window and, where there are allow windows, inside one. A
// person's runs do not ask, and neither do looks.
func (r Reconcile) Open(now time.Time) bool {
	open := !slices.ContainsFunc(r.Windows, func(w Window) bool { return !w.Deny })
	for _, w := range r.Windows {
		inside, known := w.contains(now)
		switch {
		case !known, w.Deny && inside:
			return false
		case inside:
			open = true
		}
	}
	return open
}

// contains compares with the clock on the wall in the window's zone. An hour that the clock skips is in no window; one that it shows twice is in
// the window both times.
func (w Window) contains(now time.Time) (inside, known bool) {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return false, false
	}
	local := now.In(zone)
	clock := local.Format("15:04")
	today, yesterday := w.on(local.Weekday()), w.on((local.Weekday()+6)%7)
	from, to := w.hours()
	if from < to {
		return today && from <= clock && clock < to, true
	}
	return today && from <= clock || yesterday && clock < to, true
}

// on says whether the window begins on that day.
func (w Window) on(day time.Weekday) bool { return len(w.Days) == 0 || slices.Contains(w.Days, day) }

// hours are those of the whole day, where the window names none.
func (w Window) hours() (from, to string) {
	from, to = w.From, w.To
	if from == "" {
		from = "00:00"
	}
	if to == "" {
		to = "24:00"
	}
	return from, to
}

// Validate finds what a user got wrong; each problem is at its field of the request.
func (r Reconcile) Validate() error {
	if r.Every != 0 && (r.Every < MinEvery || r.Every > MaxEvery) {
		return problem.Invalid("interval-invalid", "intervalSeconds is %d", int(r.Every/time.Second)).At("reconcile.intervalSeconds").
			Try("use %d to %d seconds", int(MinEvery/time.Second), int(MaxEvery/time.Second))
	}
	if len(r.Windows) > MaxWindows {
		return problem.Invalid("too-many-windows", "%d windows are given", len(r.Windows)).At("reconcile.windows").Try("use at most %d", MaxWindows)
	}
	for i, w := range r.Windows {
		if err := w.validate(); err != nil {
			return err.At(fmt.Sprintf("reconcile.windows[%d]%s", i, err.Field))
		}
	}
	return nil
}

func (w Window) validate() *problem.Problem {
	from, to := w.hours()
	switch {
	case !isClock(from):
		return problem.Invalid("window-invalid", "%q is no time of the day", from).At(".from").Try("write it as 22:00, from 00:00 to 23:59")
	case to != "24:00" && !isClock(to):
		return problem.Invalid("window-invalid", "%q is no time of the day", to).At(".to").Try("write it as 06:00, up to 24:00")
	case from == to:
		return problem.Invalid("window-invalid", "the window begins and ends at %s", from).At(".to").
			Try("leave from and to out for whole days")
	case w.Zone == "Local":
		return zoneUnknown(w.Zone)
	}
	if _, err := time.LoadLocation(w.Zone); err != nil {
		return zoneUnknown(w.Zone)
	}
	return nil
}

func zoneUnknown(zone string) *problem.Problem {
	return problem.Invalid("time-zone-unknown", "there is no time zone %q", zone).At(".timeZone").Try("use a name of the IANA database, such as Europe/Budapest")
}

func isClock(s string) bool {
	_, err := time.Parse("15:04", s)
	return err == nil && len(s) == 5
}
