// Package outbox holds what a relay has to say until Swell has taken it.
package outbox

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"

	"github.com/swell-sh/swell/shared/relay"
)

// The limits of one delivery and of what is held back. Held are 2,000 reports of up to 4 KB: no outage fills the memory.
const (
	maxReports = 100
	maxBytes   = 200 << 10 // of reports; the server takes 256 KB
	maxHeld    = 2000
)

// Outbox keeps the newest report of each object. It lives in memory alone: what a restart loses, the cluster still shows, and reports of the same fact
// have the same id.
type Outbox struct {
	wake chan struct{}

	mu      sync.Mutex
	held    map[slot]entry
	limit   int
	seq     int64
	dropped int
}

// slot is what a newer report takes the place of an older one in: how an object comes along, and what others did to it, are told apart.
type slot struct {
	uid     string
	touched bool
}

type entry struct {
	report relay.Report
	seq    int64
	size   int
}

// New makes an empty Outbox.
func New() *Outbox {
	return &Outbox{wake: make(chan struct{}, 1), held: map[slot]entry{}, limit: maxHeld}
}

// Add takes a report, in place of an older one of the same object. When it is full, reports of no last state go first.
func (o *Outbox) Add(r relay.Report) {
	raw, err := json.Marshal(r)
	if err != nil {
		return // a report is of strings and times alone
	}
	o.mu.Lock()
	o.seq++
	o.held[slot{r.Object.UID, r.State == relay.Changed || r.State == relay.Deleted}] = entry{r, o.seq, len(raw)}
	if len(o.held) > o.limit {
		o.drop()
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// drop forgets the report that is missed least: the last in the order of sending that is none of a last state, else the oldest.
func (o *Outbox) drop() {
	var victim slot
	var least entry
	for s, e := range o.held {
		if worse := rank(e) - rank(least); least.seq == 0 || worse > 0 || worse == 0 && e.seq < least.seq {
			victim, least = s, e
		}
	}
	delete(o.held, victim)
	o.dropped++
}

// rank orders what is sent: last words first, what others did next, progress last.
func rank(e entry) int {
	switch {
	case e.report.State.Terminal():
		return 0
	case e.report.State != relay.Progressing:
		return 1
	}
	return 2
}

// next returns the reports of one delivery, at most n of them, and how many were dropped before. They stay until done is told of them.
func (o *Outbox) next(n int) (batch []entry, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.held {
		batch = append(batch, e)
	}
	slices.SortFunc(batch, func(a, b entry) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.seq, b.seq)) })
	bytes := 0
	for i, e := range batch {
		if bytes += e.size; i > 0 && bytes > maxBytes || i == min(n, maxReports) {
			return batch[:i], o.dropped
		}
	}
	return batch, o.dropped
}

// done forgets what was delivered, but for what has a newer report since.
func (o *Outbox) done(batch []entry, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped -= dropped
	for _, e := range batch {
		s := slot{e.report.Object.UID, e.report.State == relay.Changed || e.report.State == relay.Deleted}
		if o.held[s].seq == e.seq {
			delete(o.held, s)
		}
	}
}

// Len is how many reports wait.
func (o *Outbox) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.held)
}
