package release

import "time"

// A Helm verb writes only while it holds the release's lease. Helm cannot be fenced by a database, so times are: the function ends
// first, the Task's timeout follows, the lease ends last, and the verb's transport refuses mutations in the lease's last LeaseMargin,
// more than an API server takes to end a request (60 s).
const (
	LeaseMargin = 65 * time.Second
	// LeaseSlack is what the lease outlasts the function by, beyond the margin.
	LeaseSlack = 10 * time.Second
	// hookReserve is what a verb that waits for hooks leaves of the function's time, to record how it ended.
	hookReserve = 60 * time.Second
)

// LeaseEnd is when a lease taken by a function with that deadline ends.
func LeaseEnd(functionDeadline time.Time) time.Time {
	return functionDeadline.Add(LeaseMargin + LeaseSlack)
}

// StopMutationsAt is from when on a verb must not write any more.
func StopMutationsAt(leaseEnd time.Time) time.Time { return leaseEnd.Add(-LeaseMargin) }

// HookTimeout is how long a verb may wait for hooks.
func HookTimeout(functionDeadline, now time.Time) time.Duration {
	return max(functionDeadline.Sub(now)-hookReserve, 10*time.Second)
}
