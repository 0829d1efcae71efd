package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

// stepsKept is how long a step is kept: the table's TTL attribute is expiresAt.
const stepsKept = 90 * 24 * time.Hour

// stepRunning is the one status of a step that is not its last.
const stepRunning = "Running"

type targetItem struct {
	head
	ClusterID, ClusterName, Action, Status string
	Done                                   bool
	Code, Cause                            string
	LeftBehind                             bool
	Revision                               int
	LearnedBy                              string
	Warning                                string      `dynamodbav:",omitempty"`
	Diff                                   *diffItem   `dynamodbav:",omitempty"`
	Before                                 *beforeItem `dynamodbav:",omitempty"`
	Remedy                                 *remedyItem `dynamodbav:",omitempty"`
	Wave                                   string      `dynamodbav:",omitempty"`
	StartedAt, EndedAt                     stamp
	SucceededAt, RecheckedAt               stamp
}

type diffItem struct {
	Ref                                               string
	Created, Changed, Deleted, Unchanged, Destructive int
	Reproducible                                      bool
}

type stepItem struct {
	head
	ClusterID, ClusterName, State string
	Attempt, Remedy               int
	Status, Code, Cause           string
	StartedAt, EndedAt            stamp
	ExpiresAt                     int64 `dynamodbav:"expiresAt"`
}

func toTargetItem(r run.Run, t run.Target) targetItem {
	item := targetItem{head: headOf(targetKey(r.Org, r.ID, t.ClusterID)), ClusterID: t.ClusterID, ClusterName: t.ClusterName, Action: t.Action,
		Status: string(t.Status), Done: t.Status.Done(), Code: t.Code, Cause: t.Cause, LeftBehind: t.LeftBehind, Revision: t.Revision, LearnedBy: string(t.LearnedBy), Warning: t.Warning,
		Wave: t.Wave, StartedAt: stamp{t.StartedAt}, EndedAt: stamp{t.EndedAt}, SucceededAt: stamp{t.SucceededAt}, RecheckedAt: stamp{t.RecheckedAt},
		Before: toBeforeItem(t.Before), Remedy: toRemedyItem(t.Remedy)}
	if t.Diff != nil {
		item.Diff = toDiffItem(*t.Diff)
	}
	return item
}

func toDiffItem(d run.Diff) *diffItem {
	return &diffItem{Ref: d.Ref, Created: d.Created, Changed: d.Changed, Deleted: d.Deleted, Unchanged: d.Unchanged,
		Destructive: d.Destructive, Reproducible: d.Reproducible}
}

func fromTargetItem(i targetItem) run.Target {
	t := run.Target{ClusterID: i.ClusterID, ClusterName: i.ClusterName, Action: i.Action, Status: run.TargetStatus(i.Status), Code: i.Code,
		Cause: i.Cause, LeftBehind: i.LeftBehind, Revision: i.Revision, LearnedBy: run.LearnedBy(i.LearnedBy), StartedAt: i.StartedAt.Time, EndedAt: i.EndedAt.Time, Warning: i.Warning,
		Wave: i.Wave, SucceededAt: i.SucceededAt.Time, RecheckedAt: i.RecheckedAt.Time, Before: fromBeforeItem(i.Before), Remedy: fromRemedyItem(i.Remedy)}
	if d := i.Diff; d != nil {
		t.Diff = &run.Diff{Ref: d.Ref, Created: d.Created, Changed: d.Changed, Deleted: d.Deleted, Unchanged: d.Unchanged,
			Destructive: d.Destructive, Reproducible: d.Reproducible}
	}
	return t
}

func fromStepItem(i stepItem) run.Step {
	return run.Step{ClusterID: i.ClusterID, ClusterName: i.ClusterName, State: i.State, Attempt: i.Attempt, Remedy: i.Remedy, Status: i.Status, Code: i.Code,
		Cause: i.Cause, StartedAt: i.StartedAt.Time, EndedAt: i.EndedAt.Time}
}

// PutTargets keeps a run's targets as they are at its beginning. One that is there already stays as it is.
func (s *Store) PutTargets(ctx context.Context, r run.Run, targets []run.Target) error {
	items := make([]any, len(targets))
	for i, t := range targets {
		items[i] = toTargetItem(r, t)
	}
	if err := s.putEach(ctx, items, absent()); err != nil {
		return err
	}
	return s.touchRun(ctx, r.Org, r.ID)
}

// ListTargets lists a run's targets by cluster id.
func (s *Store) ListTargets(ctx context.Context, org, runID string) ([]run.Target, error) {
	targets, _, err := listAs(ctx, s, query{pk: runPK(org, runID), prefix: "TARGET#"}, Page{}, fromTargetItem)
	return targets, err
}

// UpdateTarget makes the target what t says. Its name, action, warning, diff, remedy and times stay where t has none, and so does a start that was recorded. A
// target that is done stays as it is: the first outcome counts.
func (s *Store) UpdateTarget(ctx context.Context, org, runID string, t run.Target) error {
	var u expression.UpdateBuilder
	u = set(set(set(u, "ClusterID", t.ClusterID), "Status", string(t.Status)), "Done", t.Status.Done())
	u = set(set(set(set(u, "Code", t.Code), "Cause", t.Cause), "LeftBehind", t.LeftBehind), "Revision", t.Revision)
	for name, value := range map[string]string{"ClusterName": t.ClusterName, "Action": t.Action, "LearnedBy": string(t.LearnedBy), "Wave": t.Wave, "Warning": t.Warning} {
		if value != "" {
			u = set(u, name, value)
		}
	}
	if !t.StartedAt.IsZero() {
		started := expression.Name("StartedAt")
		u = u.Set(started, expression.IfNotExists(started, expression.Value(stamp{t.StartedAt})))
	}
	for name, at := range map[string]time.Time{"EndedAt": t.EndedAt, "SucceededAt": t.SucceededAt, "RecheckedAt": t.RecheckedAt} {
		if !at.IsZero() {
			u = set(u, name, stamp{at})
		}
	}
	if t.Diff != nil {
		u = set(u, "Diff", toDiffItem(*t.Diff))
	}
	u, open := setRemedy(u, t)
	err := s.update(ctx, targetKey(org, runID, t.ClusterID), u, open, nil)
	if conditionFailed(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.touchRun(ctx, org, runID)
}

// PutStep keeps an attempt of a state: first as it begins, then as it ended. One that ended stays as it is.
func (s *Store) PutStep(ctx context.Context, org, runID string, step run.Step) error {
	item := stepItem{head: headOf(stepKey(org, runID, step)), ClusterID: step.ClusterID,
		ClusterName: step.ClusterName, State: step.State, Attempt: step.Attempt, Remedy: step.Remedy, Status: step.Status, Code: step.Code, Cause: step.Cause,
		StartedAt: stamp{step.StartedAt}, EndedAt: stamp{step.EndedAt}, ExpiresAt: s.now().Add(stepsKept).Unix()}
	err := s.put(ctx, item, absent().Or(equal("Status", stepRunning)))
	if conditionFailed(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.touchRun(ctx, org, runID)
}

// FindTarget finds a target of a run.
func (s *Store) FindTarget(ctx context.Context, org, runID, clusterID string) (run.Target, error) {
	var item targetItem
	found, err := s.get(ctx, targetKey(org, runID, clusterID), &item)
	if err == nil && !found {
		err = problem.NotFound("target-not-found", "run %q has no target %q", runID, clusterID)
	}
	return fromTargetItem(item), err
}
