package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
)

// unsure says what is not known of a target, and what is known and not put right.
func unsure(cluster string, e openapi.CheckError, held openapi.HeldBack) []string {
	var notes []string
	if e.Code != "" {
		notes = append(notes, fmt.Sprintf("%s: drift not known since %s, because of %s", cluster, local(e.Since), because(e.Code, e.Cause)))
	}
	switch {
	case held.By == "":
	case held.Until.IsZero():
		notes = append(notes, fmt.Sprintf("%s: held back: no window of the group lets reconcile put it right", cluster))
	default:
		notes = append(notes, fmt.Sprintf("%s: held back by a window until %s", cluster, local(held.Until)))
	}
	return notes
}

func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04 MST") }

// healthText says how many targets are healthy, and what the others are.
func healthText(h openapi.HealthCounts) string {
	text := []string{fmt.Sprintf("%d of %d", h.Healthy, h.Targets)}
	for _, other := range []struct {
		n    int
		name string
	}{{h.Unhealthy, "unhealthy"}, {h.Progressing, "progressing"}, {h.Unknown, "unknown"}} {
		if other.n > 0 {
			text = append(text, fmt.Sprintf("%d %s", other.n, other.name))
		}
	}
	return strings.Join(text, ", ")
}
