package deployment

import (
	"fmt"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/problem"
)

// MaxIgnore is how many rules a deployment may have: each is tried on each difference.
const MaxIgnore = 100

// Settings change how a deployment is treated, without a new generation. What is empty or nil stays as it is.
type Settings struct {
	Mode          Mode
	InstallOnJoin *bool
	RemovalLimit  *int
	Ignore        *[]Ignore
}

// With returns the deployment with those settings.
func (d Deployment) With(s Settings) (Deployment, error) {
	if s.Mode != "" {
		d.Mode = s.Mode
	}
	if s.InstallOnJoin != nil {
		d.InstallOnJoin = *s.InstallOnJoin
	}
	if s.RemovalLimit != nil {
		if err := ValidateRemovalLimit(*s.RemovalLimit); err != nil {
			return d, err
		}
		d.RemovalLimit = *s.RemovalLimit
	}
	if s.Ignore != nil {
		if err := validateIgnore(*s.Ignore); err != nil {
			return d, err
		}
		d.Ignore = *s.Ignore
	}
	return d, nil
}

// validateIgnore refuses rules that match everything or nothing.
func validateIgnore(rules []Ignore) error {
	if len(rules) > MaxIgnore {
		return problem.Invalid("drift-ignore-invalid", "there are %d rules", len(rules)).At("driftIgnore").Try("use at most %d; a pattern names many fields", MaxIgnore)
	}
	for n, rule := range rules {
		at := fmt.Sprintf("driftIgnore[%d]", n)
		if rule == (Ignore{}) {
			return problem.Invalid("drift-ignore-invalid", "the rule is empty and would hide every difference").At(at).Try("name a kind, a namespace, a name or a path")
		}
		if rule.Path == "" {
			continue
		}
		if _, err := diff.Parse(rule.Path); err != nil {
			return problem.Invalid("drift-ignore-invalid", "%s", err).At(at + ".path").Try("write it as the drift does: spec.replicas, or metadata.annotations[\"example.com/a\"]")
		}
	}
	return nil
}
