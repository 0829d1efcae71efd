package run

import (
	"fmt"
	"strings"
)

// CodeLeftBehind is of a removal by force that could not remove all.
const CodeLeftBehind = "left-behind"

// Forgotten says how a removal by force ended that forgot its deployment: it did what it was to do, though what it could not remove is left.
func Forgotten(targets []Target) (status Status, code, cause string) {
	var left []string
	for _, t := range targets {
		if t.Status != TargetSucceeded {
			left = append(left, t.ClusterName)
		}
	}
	if len(left) == 0 {
		return Succeeded, "", ""
	}
	if more := len(left) - maxNamed; more > 0 {
		left = append(left[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return Partial, CodeLeftBehind, "the deployment is forgotten, and its release is left on " + strings.Join(left, ", ")
}
