package record

import (
	"strconv"
	"time"

	"github.com/swell-sh/swell/shared/release"
)

// KeyOf is a release's key within its cluster.
func KeyOf(key release.Key) Key { return Key{key.Namespace, key.Name} }

// Seen is the newest record of a history as the domain decides by it.
func Seen(history []Meta) release.Seen {
	if len(history) == 0 {
		return release.Seen{Absent: true}
	}
	newest := history[0]
	return release.Seen{
		Revision: newest.Revision, Status: newest.Status, OwnerLabel: newest.Labels[release.LabelOwner], InputHash: newest.Labels[release.LabelInput],
		LabelRevision: labelRevision(newest), ModifiedAt: newest.ModifiedAt,
	}
}

// Observed is the newest record of a history as the domain keeps it. What only the payload tells is left out.
func Observed(history []Meta, at time.Time) release.Observed {
	if len(history) == 0 {
		return release.Observed{Absent: true, At: at}
	}
	newest := history[0]
	return release.Observed{
		Revision: newest.Revision, Status: newest.Status, OwnerLabel: newest.Labels[release.LabelOwner], InputHash: newest.Labels[release.LabelInput],
		LabelRevision: labelRevision(newest), At: at,
	}
}

// Revisions is a history as the domain judges the way back by it.
func Revisions(history []Meta) []release.Revision {
	revisions := make([]release.Revision, 0, len(history))
	for _, m := range history {
		revisions = append(revisions, release.Revision{
			Number: m.Revision, Status: m.Status, OwnerLabel: m.Labels[release.LabelOwner], InputHash: m.Labels[release.LabelInput],
			LabelRevision: labelRevision(m), Run: m.Labels[release.LabelRun],
		})
	}
	return revisions
}

func labelRevision(m Meta) int {
	n, err := strconv.Atoi(m.Labels[release.LabelRevision])
	if err != nil {
		return 0 // no label of ours: no revision is 0
	}
	return n
}
