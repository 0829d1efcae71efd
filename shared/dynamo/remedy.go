package dynamo

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

type remediationItem struct {
	Strategy       string
	Retries        int
	RetryOnFailure bool
	AcrossHandMade bool
}

type takeBackItem struct {
	TakesBack      bool
	RollbackTo     int
	AcrossHandMade bool
	TryAgain       bool
}

type remedyItem struct {
	Number, Tries   int
	Action, Plan    string
	Revision        int
	Status          string
	Code, Cause     string
	OfCode, OfCause string
	Reverts         bool
}

type beforeItem struct {
	Absent   bool
	Revision int
	PlanHash string
}

func toRemediationItem(r deployment.Remediation) *remediationItem {
	if r == (deployment.Remediation{}) {
		return nil
	}
	return &remediationItem{Strategy: string(r.Strategy), Retries: r.Retries, RetryOnFailure: r.RetryOnFailure, AcrossHandMade: r.AcrossHandMade}
}

func fromRemediationItem(i *remediationItem) deployment.Remediation {
	if i == nil {
		return deployment.Remediation{}
	}
	return deployment.Remediation{Strategy: deployment.Strategy(i.Strategy), Retries: i.Retries, RetryOnFailure: i.RetryOnFailure, AcrossHandMade: i.AcrossHandMade}
}

func toTakeBackItem(t release.TakeBack) *takeBackItem {
	if t == (release.TakeBack{}) {
		return nil
	}
	item := takeBackItem(t)
	return &item
}

func fromTakeBackItem(i *takeBackItem) release.TakeBack {
	if i == nil {
		return release.TakeBack{}
	}
	return release.TakeBack(*i)
}

func toRemedyItem(r *run.Remedy) *remedyItem {
	if r == nil {
		return nil
	}
	return &remedyItem{Number: r.Number, Tries: r.Tries, Action: string(r.Action), Plan: r.Plan, Revision: r.Revision, Status: string(r.Status),
		Code: r.Code, Cause: r.Cause, OfCode: r.OfCode, OfCause: r.OfCause, Reverts: r.Reverts}
}

func fromRemedyItem(i *remedyItem) *run.Remedy {
	if i == nil {
		return nil
	}
	return &run.Remedy{Number: i.Number, Tries: i.Tries, Action: release.Action(i.Action), Plan: i.Plan, Revision: i.Revision,
		Status: run.RemedyStatus(i.Status), Code: i.Code, Cause: i.Cause, OfCode: i.OfCode, OfCause: i.OfCause, Reverts: i.Reverts}
}

func toBeforeItem(b *run.Before) *beforeItem {
	if b == nil {
		return nil
	}
	item := beforeItem(*b)
	return &item
}

func fromBeforeItem(i *beforeItem) *run.Before {
	if i == nil {
		return nil
	}
	before := run.Before(*i)
	return &before
}

// setRemedy adds what was there before the run, which is said once, and the target's remedy, and returns when the target may be changed: not once it
// is done, nor by who does not know of its newest remedy.
func setRemedy(u expression.UpdateBuilder, t run.Target) (expression.UpdateBuilder, expression.ConditionBuilder) {
	open := expression.Name("Done").NotEqual(expression.Value(true))
	if t.Before != nil {
		before := expression.Name("Before")
		u = u.Set(before, expression.IfNotExists(before, expression.Value(toBeforeItem(t.Before))))
	}
	if t.Remedy == nil {
		return u, open
	}
	number := expression.Name("Remedy.Number")
	known := expression.AttributeNotExists(number).Or(number.LessThanEqual(expression.Value(t.Remedy.Number)))
	return set(u, "Remedy", toRemedyItem(t.Remedy)), open.And(known)
}

// RevertTarget opens a target that is done, so that the run takes it back by its remedy. One that it takes back already stays as it is.
func (s *Store) RevertTarget(ctx context.Context, org, runID string, t run.Target) error {
	var u expression.UpdateBuilder
	u = set(set(set(u, "Status", string(t.Status)), "Done", t.Status.Done()), "Remedy", toRemedyItem(t.Remedy))
	u = set(set(set(u, "Code", t.Code), "Cause", t.Cause), "LeftBehind", t.LeftBehind)
	fresh := expression.AttributeNotExists(expression.Name("Remedy.Reverts")).Or(equal("Remedy.Reverts", false))
	err := s.update(ctx, targetKey(org, runID, t.ClusterID), u, exists().And(fresh), nil)
	if conditionFailed(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.touchRun(ctx, org, runID)
}

// BeginReverting says that the run takes its targets back. One that has ended, or was canceled, cannot.
func (s *Store) BeginReverting(ctx context.Context, org, id string) (run.Run, error) {
	var u expression.UpdateBuilder
	r, changed, err := s.changeRun(ctx, org, id, set(u, "Phase", string(run.Reverting)), notDone().And(is("CancelRequested", true, false)))
	if err == nil && !changed {
		err = cmp.Or(r.Steerable(), r.Revertible())
	}
	return r, err
}
