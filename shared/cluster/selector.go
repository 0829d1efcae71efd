package cluster

import (
	"fmt"
	"slices"

	"github.com/swell-sh/swell/shared/problem"
)

// Selector chooses clusters by their labels, as Kubernetes does: all of it must hold. An empty one chooses none, since nobody means all
// clusters by saying nothing.
type Selector struct {
	MatchLabels      map[string]string
	MatchExpressions []Requirement
}

// Requirement is one condition on a label.
type Requirement struct {
	Key      string
	Operator Operator
	Values   []string // of In and NotIn
}

// Operator is how a requirement compares.
type Operator string

// Kubernetes' operators.
const (
	In           Operator = "In"
	NotIn        Operator = "NotIn"
	Exists       Operator = "Exists"
	DoesNotExist Operator = "DoesNotExist"
)

// maxTerms bounds a selector, and the values of one of its requirements.
const maxTerms = 50

// Matches says whether a cluster with these labels is chosen. As in Kubernetes, NotIn also chooses a cluster without the label.
func (s Selector) Matches(labels map[string]string) bool {
	for key, want := range s.MatchLabels {
		if got, ok := labels[key]; !ok || got != want {
			return false
		}
	}
	for _, r := range s.MatchExpressions {
		if !r.holds(labels) {
			return false
		}
	}
	return len(s.MatchLabels)+len(s.MatchExpressions) > 0
}

func (r Requirement) holds(labels map[string]string) bool {
	value, ok := labels[r.Key]
	switch r.Operator {
	case In:
		return ok && slices.Contains(r.Values, value)
	case NotIn:
		return !ok || !slices.Contains(r.Values, value)
	case Exists:
		return ok
	case DoesNotExist:
		return !ok
	}
	return false
}

// Validate finds what a user got wrong; field is where the request has the selector.
func (s Selector) Validate(field string) error {
	switch n := len(s.MatchLabels) + len(s.MatchExpressions); {
	case n == 0:
		return problem.Invalid("selector-empty", "an empty selector chooses no cluster").At(field).Try("name at least one label, or name members instead")
	case n > maxTerms:
		return problem.Invalid("selector-too-long", "the selector has %d terms", n).At(field).Try("use at most %d", maxTerms)
	}
	for key, value := range s.MatchLabels {
		if !validLabel(key, value) {
			return labelInvalid(key, field+".matchLabels."+key)
		}
	}
	for i, r := range s.MatchExpressions {
		if err := r.validate(fmt.Sprintf("%s.matchExpressions[%d]", field, i)); err != nil {
			return err
		}
	}
	return nil
}

func (r Requirement) validate(field string) error {
	if !validLabel(r.Key, "") {
		return labelInvalid(r.Key, field+".key")
	}
	if len(r.Values) > maxTerms {
		return problem.Invalid("selector-too-long", "the requirement has %d values", len(r.Values)).At(field+".values").Try("use at most %d", maxTerms)
	}
	for i, value := range r.Values {
		if !validLabel(r.Key, value) {
			return labelInvalid(value, fmt.Sprintf("%s.values[%d]", field, i))
		}
	}
	switch r.Operator {
	case In, NotIn:
		if len(r.Values) == 0 {
			return problem.Invalid("selector-invalid", "%s needs values to compare with", r.Operator).At(field + ".values").Try("give at least one value")
		}
	case Exists, DoesNotExist:
		if len(r.Values) > 0 {
			return problem.Invalid("selector-invalid", "%s takes no values", r.Operator).At(field + ".values").Try("leave values out")
		}
	default:
		return problem.Invalid("selector-invalid", "%q is no operator", r.Operator).At(field+".operator").Try("use %s, %s, %s or %s", In, NotIn, Exists, DoesNotExist)
	}
	return nil
}
