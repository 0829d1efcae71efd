package openapi

import (
	"strings"

	"github.com/swell-sh/swell/shared/problem"
)

// ParseLabels reads a label selector: key=value, with commas between. Other operators are refused.
func ParseLabels(selector string) (map[string]string, error) {
	if selector == "" {
		return nil, nil
	}
	labels := map[string]string{}
	for term := range strings.SplitSeq(selector, ",") {
		key, value, ok := strings.Cut(term, "=")
		if _, twice := labels[key]; !ok || key == "" || twice || strings.ContainsAny(value, "=!") || strings.ContainsAny(key, "! ()") {
			return nil, problem.Invalid("invalid-parameter", "labelSelector has the term %q", term).At("labelSelector").
				Try("write key=value for each label, with commas between")
		}
		labels[key] = value
	}
	return labels, nil
}
