package dynamo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

// When the sweeper first looks at a run that nobody started, and at one that runs; and when it does again, or first at one that waits: a machine that died
// without a word is found then, and what nobody told one that waits.
const (
	SweepPendingAfter = time.Minute
	SweepRunningAfter = 15 * time.Minute
	SweepAgainAfter   = 5 * time.Minute
)

type runItem struct {
	head
	Org, ID, Type, Trigger, Actor      string
	DeploymentID, GroupID, ReleaseName string
	Generation, Before                 int
	Seq                                int64
	Only                               []string
	Force, ConfirmRemovals             bool
	RedriveOf, Apply                   string
	PlanHash, Status                   string
	CancelRequested, Paused            bool
	Phase                              string      `dynamodbav:",omitempty"`
	Origin                             *run.Origin `dynamodbav:",omitempty"`
	Code, Cause                        string
	CreatedAt, StartedAt, EndedAt      stamp
	Version                            int64 // of the run alone; its counter item adds the changes of targets and steps
}

func toRunItem(r run.Run) runItem {
	h := headOf(runKey(r.Org, r.ID))
	h.GSI2PK, h.GSI2SK = runsPK(r.Org), runTimeSK(r.CreatedAt, r.ID)
	if r.DeploymentID != "" {
		h.GSI1PK, h.GSI1SK = runsOfPK(r.Org, r.DeploymentID), h.GSI2SK
	}
	if !r.Status.Done() {
		h.DuePK, h.DueSK = dueRunsPK(shardOf(r.ID)), sortable(r.CreatedAt.Add(SweepPendingAfter))
	}
	var origin *run.Origin
	if !r.Origin.Zero() {
		origin = &r.Origin
	}
	return runItem{head: h, Origin: origin, Org: r.Org, ID: r.ID, Type: string(r.Type), Trigger: r.Trigger, Actor: r.Actor, DeploymentID: r.DeploymentID,
		GroupID: r.GroupID, ReleaseName: r.ReleaseName, Generation: r.Generation, Before: r.Before, Seq: r.Seq, Only: r.Only, Force: r.Force,
		ConfirmRemovals: r.ConfirmRemovals, RedriveOf: r.RedriveOf, Apply: r.Apply, PlanHash: r.PlanHash, Status: string(r.Status), CancelRequested: r.CancelRequested, Paused: r.Paused, Phase: string(r.Phase), Code: r.Code, Cause: r.Cause,
		CreatedAt: stamp{r.CreatedAt}, StartedAt: stamp{r.StartedAt}, EndedAt: stamp{r.EndedAt}, Version: r.Version}
}

func fromRunItem(i runItem) run.Run {
	var origin run.Origin
	if i.Origin != nil {
		origin = *i.Origin
	}
	return run.Run{Origin: origin, Org: i.Org, ID: i.ID, Type: run.Type(i.Type), Trigger: i.Trigger, Actor: i.Actor, DeploymentID: i.DeploymentID,
		GroupID: i.GroupID, ReleaseName: i.ReleaseName, Generation: i.Generation, Before: i.Before, Seq: i.Seq, Only: i.Only, Force: i.Force,
		ConfirmRemovals: i.ConfirmRemovals, RedriveOf: i.RedriveOf, Apply: i.Apply, PlanHash: i.PlanHash, Status: run.Status(i.Status), CancelRequested: i.CancelRequested, Paused: i.Paused, Phase: run.Phase(i.Phase), Code: i.Code, Cause: i.Cause,
		CreatedAt: i.CreatedAt.Time, StartedAt: i.StartedAt.Time, EndedAt: i.EndedAt.Time, Version: i.Version}
}

// pending is a run as it is admitted.
func (s *Store) pending(r run.Run) run.Run {
	r.Status, r.Version, r.CreatedAt = run.Pending, 1, s.now()
	return r
}

func runNotFound(id string) *problem.Problem {
	return problem.NotFound("run-not-found", "there is no run %q", id).Try("list the runs; those older than their retention are gone")
}

// FindRun finds a run of the org.
func (s *Store) FindRun(ctx context.Context, org, id string) (run.Run, error) {
	return s.readRun(ctx, org, id, "RUN", func(map[string]types.AttributeValue) error { return nil })
}

// ReadRun finds a run of the org with its targets and steps, in one read.
func (s *Store) ReadRun(ctx context.Context, org, id string) (r run.Run, targets []run.Target, steps []run.Step, err error) {
	targets, steps = []run.Target{}, []run.Step{}
	r, err = s.readRun(ctx, org, id, "", func(av map[string]types.AttributeValue) error {
		if strings.HasPrefix(text(av, "SK"), "STEP#") {
			var item stepItem
			err := unmarshal(av, &item)
			steps = append(steps, fromStepItem(item))
			return err
		}
		var item targetItem
		err := unmarshal(av, &item)
		targets = append(targets, fromTargetItem(item))
		return err
	})
	return r, targets, steps, err
}

// readRun reads the run's own items and hands the others on.
func (s *Store) readRun(ctx context.Context, org, id, prefix string, other func(map[string]types.AttributeValue) error) (run.Run, error) {
	var item runItem
	var changes struct{ Version int64 }
	_, err := s.list(ctx, query{pk: runPK(org, id), prefix: prefix}, Page{}, func(av map[string]types.AttributeValue) error {
		switch text(av, "SK") {
		case runKey(org, id).SK:
			return unmarshal(av, &item)
		case runVersionKey(org, id).SK:
			return unmarshal(av, &changes)
		case draftKey(org, id).SK, turnKey(org, id).SK:
			return nil
		}
		if strings.HasPrefix(text(av, "SK"), gatePrefix) {
			return nil
		}
		return other(av)
	})
	if err != nil {
		return run.Run{}, err
	}
	if item.ID == "" {
		return run.Run{}, runNotFound(id)
	}
	r := fromRunItem(item)
	r.Version += changes.Version
	return r, nil
}

// FindRuns finds several runs of an org at once; one that does not exist is not in the map. Version is not the whole run's here: use FindRun
// for it.
func (s *Store) FindRuns(ctx context.Context, org string, ids []string) (map[string]run.Run, error) {
	keys := make([]key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, runKey(org, id))
	}
	found := make(map[string]run.Run, len(ids))
	err := s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
		var item runItem
		err := unmarshal(av, &item)
		found[item.ID] = fromRunItem(item)
		return err
	})
	return found, err
}

// touchRun raises the run's version after a change of a target or step. It has an item of its own: the run's is larger, and indexed.
// Who is killed before it is called leaves a version too low until the run's next change, which follows.
func (s *Store) touchRun(ctx context.Context, org, id string) error {
	return s.update(ctx, runVersionKey(org, id), expression.Add(expression.Name("Version"), expression.Value(1)), always, nil)
}

// RunFilter says which runs to list; what is empty matches all.
type RunFilter struct {
	Type         run.Type
	Status       run.Status
	DeploymentID string
	Trigger      string
	After        time.Time // accepted after it
	Before       time.Time // accepted before it
}

// ListRuns lists the org's runs, newest first. It reads an index and may lag behind a write by a moment. Version is not the whole
// run's here: use FindRun for it.
func (s *Store) ListRuns(ctx context.Context, org string, f RunFilter, page Page) (runs []run.Run, next string, err error) {
	q := query{index: indexGSI2, pk: runsPK(org), newest: true, by: fmt.Sprintf("%q %q %q", f.Type, f.Status, f.Trigger)}
	if !f.After.IsZero() || !f.Before.IsZero() { // a sort key is a time, '#' and an id
		q.from, q.upTo = "0", "9"
		if !f.After.IsZero() {
			q.from = sortable(f.After) + "$"
		}
		if !f.Before.IsZero() {
			q.upTo = sortable(f.Before)
		}
		if q.from > q.upTo {
			return []run.Run{}, "", nil
		}
	}
	if f.DeploymentID != "" {
		q.index, q.pk = indexGSI1, runsOfPK(org, f.DeploymentID)
	}
	for name, value := range map[string]string{"Type": string(f.Type), "Status": string(f.Status), "Trigger": f.Trigger} {
		switch {
		case value == "":
		case q.filter.IsSet():
			q.filter = q.filter.And(equal(name, value))
		default:
			q.filter = equal(name, value)
		}
	}
	q.resume = func(sk string) (map[string]types.AttributeValue, bool) {
		_, id, ok := strings.Cut(sk, "#")
		start := runKey(org, id).attributes()
		pkName, skName := q.keys()
		start[pkName] = &types.AttributeValueMemberS{Value: q.pk}
		start[skName] = &types.AttributeValueMemberS{Value: sk}
		return start, ok
	}
	return listAs(ctx, s, q, page, fromRunItem)
}

// changeRun changes a run if it is so far as the condition says, and returns it as it then is. Refused, it returns it as it stands.
func (s *Store) changeRun(ctx context.Context, org, id string, u expression.UpdateBuilder, condition expression.ConditionBuilder) (r run.Run, changed bool, err error) {
	u = u.Add(expression.Name("Version"), expression.Value(1))
	err = s.update(ctx, runKey(org, id), u, exists().And(condition), nil)
	if err != nil && !conditionFailed(err) {
		return run.Run{}, false, err
	}
	changed = err == nil
	r, err = s.FindRun(ctx, org, id)
	return r, changed, err
}

func notDone() expression.ConditionBuilder {
	return expression.Name("Status").In(expression.Value(string(run.Pending)), expression.Value(string(run.Running)))
}

// StartRun says that a pending run's execution began. A run that runs or is done is returned as it stands.
func (s *Store) StartRun(ctx context.Context, org, id string, at time.Time) (run.Run, error) {
	var u expression.UpdateBuilder
	u = set(set(u, "Status", string(run.Running)), "StartedAt", stamp{at})
	u = set(u, "DueSK", sortable(at.Add(SweepRunningAfter)))
	r, _, err := s.changeRun(ctx, org, id, u, equal("Status", string(run.Pending)))
	return r, err
}

// FinishRun says how a run ended, if nobody said so before, and returns it as it stands. of is the run as it was when that was decided: one that was
// canceled or turned around since is refused, so that this is not lost.
func (s *Store) FinishRun(ctx context.Context, of run.Run, status run.Status, code, cause string, at time.Time) (run.Run, error) {
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "Status", string(status)), "Code", code), "Cause", cause), "EndedAt", stamp{at})
	u = u.Remove(expression.Name("DuePK")).Remove(expression.Name("DueSK"))
	asDecided := is("CancelRequested", true, of.CancelRequested).And(is("Phase", string(run.Reverting), of.Phase == run.Reverting))
	r, changed, err := s.changeRun(ctx, of.Org, of.ID, u, notDone().And(asDecided))
	if err == nil && !changed && !r.Status.Done() {
		err = fmt.Errorf("ending run %s: it was canceled or turned around meanwhile", r.ID)
	}
	return r, err
}

// is holds if the attribute has that value or, where it must not, if it has another or is not there.
func is(name string, value any, must bool) expression.ConditionBuilder {
	if must {
		return equal(name, value)
	}
	return expression.Name(name).NotEqual(expression.Value(value))
}

// RequestCancel asks a run to stop before its next targets. A run that is done cannot be.
func (s *Store) RequestCancel(ctx context.Context, org, id string) (run.Run, error) {
	var u expression.UpdateBuilder
	r, changed, err := s.changeRun(ctx, org, id, set(u, "CancelRequested", true), notDone())
	if err == nil && !changed {
		err = r.Steerable()
	}
	return r, err
}

// SetPlanHash says which plan the run carries out.
func (s *Store) SetPlanHash(ctx context.Context, org, id, planHash string) error {
	var u expression.UpdateBuilder
	u = set(u, "PlanHash", planHash).Add(expression.Name("Version"), expression.Value(1))
	err := s.update(ctx, runKey(org, id), u, exists(), nil)
	if conditionFailed(err) {
		return runNotFound(id)
	}
	return err
}

// DueRuns lists up to limit runs, of all orgs, that are not done and that the sweeper should look at. Several sweepers may get the
// same: what they do is idempotent by the run's id.
func (s *Store) DueRuns(ctx context.Context, now time.Time, limit int) ([]run.Run, error) {
	var runs []run.Run
	err := s.listDue(ctx, dueRunsPK, now, limit, func(k key, _ string) (bool, error) {
		org, id, err := k.orgAndID()
		if err != nil {
			return false, err
		}
		r, err := s.FindRun(ctx, org, id)
		if err != nil || r.Status.Done() {
			if problem.Is(err, "run-not-found") {
				err = nil
			}
			return false, err
		}
		runs = append(runs, r)
		return true, nil
	})
	return runs, err
}

// DeferRun says when the sweeper should look again at a run, unless it is done.
func (s *Store) DeferRun(ctx context.Context, org, id string, until time.Time) error {
	var u expression.UpdateBuilder
	err := s.update(ctx, runKey(org, id), set(u, "DueSK", sortable(until)), notDone(), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}
