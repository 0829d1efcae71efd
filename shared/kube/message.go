package kube

import (
	"fmt"
	"strings"
)

// Message names what is not ready and why, for a person: the first three objects, and how many more.
func (r Readiness) Message() string {
	waiting := r.Waiting()
	parts := make([]string, 0, 4)
	for i, o := range waiting {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(waiting)-3))
			break
		}
		why := o.Reason
		if why == "" {
			why = o.Message
		}
		parts = append(parts, fmt.Sprintf("%s %s: %s", o.Kind, o.Name, why))
	}
	return strings.Join(parts, "; ")
}
