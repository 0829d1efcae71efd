package openapi

import (
	"log/slog"
	"slices"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/run"
)

// GenerationOf describes a generation of d without its values; r is the run that first brought it to the targets, if it is known.
func GenerationOf(d deployment.Deployment, g deployment.Generation, r run.Run) Generation {
	return Generation{
		Number: g.Number, Current: g.Number == d.Generation, Chart: g.Chart.Ref, ChartName: g.Chart.Name, ChartVersion: g.Chart.Version,
		ChartDigest: g.Chart.Digest, TimeoutSeconds: g.TimeoutSeconds, Remediation: remediationOf(g.Remediation), Atomic: g.Atomic, ReusedValuesOf: g.Reused, CreatedAt: g.CreatedAt, CreatorName: g.CreatedBy,
		PlanHash: g.PlanHash, Run: g.RunID, Result: RunStatus(r.Status),
	}
}

// AddRuns says of each generation, from the deployment's newest runs, which one brought it to the targets last, and which rolled back to it.
func AddRuns(docs []Generation, newest []run.Run) {
	for i := range docs {
		for _, r := range newest {
			if r.Generation != docs[i].Number || !r.BringsAll() {
				continue
			}
			doc := GenerationRun{ID: r.ID, Type: RunType(r.Type), Status: RunStatus(r.Status), Actor: r.Actor, CreatedAt: r.CreatedAt}
			if docs[i].LastRun.ID == "" {
				docs[i].LastRun = doc
			}
			if r.IsRollback() {
				doc.From = r.Before
				docs[i].Rollbacks = append(docs[i].Rollbacks, doc)
			}
		}
	}
}

// GenerationDetailsOf describes a generation whole.
func GenerationDetailsOf(g Generation, v deployment.Values, secret mask.Paths) GenerationDetails {
	return GenerationDetails{
		Number: g.Number, Current: g.Current, Chart: g.Chart, ChartName: g.ChartName, ChartVersion: g.ChartVersion, ChartDigest: g.ChartDigest,
		TimeoutSeconds: g.TimeoutSeconds, Remediation: g.Remediation, Atomic: g.Atomic, ReusedValuesOf: g.ReusedValuesOf, CreatedAt: g.CreatedAt, CreatorName: g.CreatorName, PlanHash: g.PlanHash,
		Run: g.Run, Result: g.Result, Values: secret.Mask(v.Common), ValueOverrides: OverridesOf(secret.MaskEach(v.Overrides)),
	}
}

// GenerationDiffOf describes what after has instead of before.
func GenerationDiffOf(before, after Generation, was, is deployment.Values, secret mask.Paths) GenerationDiff {
	doc := GenerationDiff{Before: before, After: after, Values: changesOf(was.Common, is.Common, secret), ValueOverrides: map[string][]ValueChange{}}
	for _, overrides := range []map[string]map[string]any{was.Overrides, is.Overrides} {
		for cluster := range overrides {
			if changes := changesOf(was.Overrides[cluster], is.Overrides[cluster], secret); len(changes) > 0 {
				doc.ValueOverrides[cluster] = changes
			}
		}
	}
	return doc
}

// changesOf compares first and masks then: that a secret changed is no secret.
func changesOf(before, after map[string]any, secret mask.Paths) []ValueChange {
	changes := make([]ValueChange, 0)
	for _, c := range secret.Changes(diff.Compare(before, after)) {
		changes = append(changes, ValueChange{Path: c.Path.String(), Op: ChangeOp(c.Op), Before: c.Before, After: c.After})
	}
	return slices.Clip(changes)
}

// LogValue is what a log gets: a handler that writes JSON would otherwise write the values.
func (g GenerationDetails) LogValue() slog.Value { return slog.IntValue(g.Number) }

// LogValue is what a log gets: a handler that writes JSON would otherwise write the values.
func (d GenerationDiff) LogValue() slog.Value { return slog.IntValue(d.After.Number) }
