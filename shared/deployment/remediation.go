package deployment

import "github.com/swell-sh/swell/shared/problem"

// Strategy says what a run does about a target on which it failed.
type Strategy string

// The strategies. Rollback goes to the revision that a run saw healthy last; Uninstall takes back a first install, and nothing else.
const (
	Leave         Strategy = "none"
	RollBack      Strategy = "rollback"
	UninstallBack Strategy = "uninstall"
)

// MaxRetries is how often a run may try a target again.
const MaxRetries = 10

// Remediation is what a run does about a target on which it failed. The zero value leaves the target as it is.
type Remediation struct {
	Strategy       Strategy // empty: Leave
	Retries        int      // how often the same is tried again before the strategy has the last word
	RetryOnFailure bool     // try again at once; else go back first, then try again
	AcrossHandMade bool     // a rollback may go across a revision that a person made by hand
}

// Named is the policy with its strategy named.
func (r Remediation) Named() Remediation {
	if r.Strategy == "" {
		r.Strategy = Leave
	}
	return r
}

// Checked returns the policy with its strategy named, and refuses what would do nothing, or nothing sensible.
func (r Remediation) Checked() (Remediation, error) {
	r = r.Named()
	invalid := func(field, format string, args ...any) *problem.Problem {
		return problem.Invalid("remediation-invalid", format, args...).At("remediation." + field)
	}
	switch {
	case r.Strategy != Leave && r.Strategy != RollBack && r.Strategy != UninstallBack:
		return r, invalid("strategy", "there is no strategy %q", r.Strategy).Try("use none, rollback or uninstall")
	case r.Retries < 0 || r.Retries > MaxRetries:
		return r, invalid("retries", "retries is %d", r.Retries).Try("use 0 to %d", MaxRetries)
	case r.RetryOnFailure && r.Retries == 0:
		return r, invalid("retryOnFailure", "without retries nothing is tried again").Try("give retries, or leave retryOnFailure out")
	case r.Strategy == Leave && r.Retries > 0 && !r.RetryOnFailure:
		return r, invalid("retries", "with the strategy none there is nothing to go back to between two tries").
			Try("set retryOnFailure to try the same again at once, or choose the strategy rollback")
	case r.AcrossHandMade && r.Strategy != RollBack:
		return r, invalid("acrossHandMade", "only a rollback goes across a revision").Try("leave acrossHandMade out, or choose the strategy rollback")
	}
	return r, nil
}
