package mask

import (
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/drift"
)

// Findings masks the literals in what differs on a cluster, and what a cut left of one. Of a Secret a finding holds no value to begin with.
func Findings(findings []drift.Finding, literals []string) []drift.Finding {
	masked := slices.Clone(findings)
	for i, f := range masked {
		masked[i].Want, masked[i].Live, masked[i].Path = cutOff(rendered(f.Want, literals), literals), cutOff(rendered(f.Live, literals), literals), Hide(f.Path, literals)
	}
	return masked
}

// cutOff is a value whose texts do not end with a part of a literal, where they were cut before anybody masked them.
func cutOff(value any, literals []string) any {
	return walk(value, func(leaf any) any {
		text, ok := leaf.(string)
		if !ok || !strings.HasSuffix(text, drift.Ellipsis) {
			return leaf
		}
		text = strings.TrimSuffix(text, drift.Ellipsis)
		if part := longestPart(text, literals); part > 0 {
			text = text[:len(text)-part] + Text
		}
		return text + drift.Ellipsis
	})
}

// longestPart is how many bytes at the end of text are the begin of a literal.
func longestPart(text string, literals []string) (longest int) {
	for _, literal := range literals {
		for n := min(len(literal)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, literal[:n]) {
				longest = n
			}
		}
	}
	return longest
}
