package openapi

import (
	"log/slog"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/provenance"
)

// LeavesOf describes where values come from, but for what is secret; within leaves out what is elsewhere.
func LeavesOf(e provenance.Explained, within diff.Pattern, secret mask.Paths) []ValueLeaf {
	leaves := e.Leaves(within)
	docs := make([]ValueLeaf, 0, len(leaves))
	for _, l := range leaves {
		doc := ValueLeaf{
			Path: l.Path.String(), Value: secret.At(l.Path, l.Value), Layer: ValueLayer(l.Origin.Layer), Source: l.Origin.Source,
			Generation: l.Origin.Generation, Removed: l.Removed,
		}
		for _, h := range l.Hides {
			doc.Overridden = append(doc.Overridden, HiddenValue{
				Value: secret.At(l.Path, h.Value), Layer: ValueLayer(h.Origin.Layer), Source: h.Origin.Source, Generation: h.Origin.Generation,
			})
		}
		docs = append(docs, doc)
	}
	return docs
}

// LogValue is what a log gets: a handler that writes JSON would otherwise write the values.
func (d DeploymentValues) LogValue() slog.Value { return slog.IntValue(d.Generation) }
