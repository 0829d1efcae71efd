package dynamo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/workflow"
)

// What was reported is of no use to a run a day later, and a wait of none an hour after its deadline.
const (
	watchKept = 24 * time.Hour
	waitKept  = time.Hour
)

// watchItem has its objects as JSON: they are read and written together.
type watchItem struct {
	head
	Org, ClusterID, Namespace, Name string
	Objects                         []byte
	Version                         int64
	ExpiresAt                       int64 `dynamodbav:"expiresAt"`
}

// waitItem: Answering is until when somebody is at the answer.
type waitItem struct {
	head
	Org, ClusterID, Namespace, Name string
	Run                             string
	Objects                         []byte
	Until                           stamp
	Token                           string `dynamodbav:",omitempty"`
	Answering                       stamp
	ExpiresAt                       int64 `dynamodbav:"expiresAt"`
}

// FindWatch finds what was reported of a release; nothing was: a Watch without objects.
func (s *Store) FindWatch(ctx context.Context, k release.Key) (watch.Watch, error) {
	w := watch.Watch{Key: k}
	var item watchItem
	found, err := s.get(ctx, watchKey(k.Org, k.ClusterID, k.Namespace, k.Name), &item)
	if err != nil || !found {
		return w, err
	}
	w.Version = item.Version
	if err := json.Unmarshal(item.Objects, &w.Objects); err != nil {
		return w, fmt.Errorf("reading what was reported of %s: %w", describe(k), err)
	}
	return w, nil
}

// PutWatch keeps what was reported unless somebody else did since it was found: then it is false, and what is to be kept must be found anew.
func (s *Store) PutWatch(ctx context.Context, w watch.Watch) (kept bool, err error) {
	raw, err := json.Marshal(w.Objects)
	if err != nil {
		return false, fmt.Errorf("writing what was reported of %s: %w", describe(w.Key), err)
	}
	item := watchItem{head: headOf(watchKey(w.Org, w.ClusterID, w.Namespace, w.Name)), Org: w.Org, ClusterID: w.ClusterID, Namespace: w.Namespace,
		Name: w.Name, Objects: raw, Version: w.Version + 1, ExpiresAt: s.now().Add(watchKept).Unix()}
	condition := equal("Version", w.Version)
	if w.Version == 0 {
		condition = absent()
	}
	err = s.put(ctx, item, condition)
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

func waitKeyOf(k release.Key) key { return waitKey(k.Org, k.ClusterID, k.Namespace, k.Name) }

// PutWait says what the release's run is about to wait for. The token of a task that waits already stays.
func (s *Store) PutWait(ctx context.Context, w watch.Wait) error {
	raw, err := json.Marshal(w.Objects)
	if err != nil {
		return fmt.Errorf("writing who waits for %s: %w", describe(w.Key), err)
	}
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "Org", w.Org), "ClusterID", w.ClusterID), "Namespace", w.Namespace), "Name", w.Name)
	u = set(set(set(set(u, "Run", w.Run), "Objects", raw), "Until", stamp{w.Until}), "expiresAt", w.Until.Add(waitKept).Unix())
	return s.update(ctx, waitKeyOf(w.Key), u, always, nil)
}

// SetToken says where the answer to the run's task goes. before is the token that stood there. It is false if the run waits for the release no more.
func (s *Store) SetToken(ctx context.Context, k release.Key, runID string, token workflow.TaskToken) (before workflow.TaskToken, ok bool, err error) {
	for range 10 { // each time somebody else was faster
		w, found, err := s.FindWait(ctx, k)
		if err != nil || !found || w.Run != runID {
			return "", false, err
		}
		var u expression.UpdateBuilder
		u = set(u, "Token", string(token)).Remove(expression.Name("Answering"))
		err = s.update(ctx, waitKeyOf(k), u, equal("Run", runID).And(hasToken(w.Token)), nil)
		if !conditionFailed(err) {
			return w.Token, err == nil, err
		}
	}
	return "", false, fmt.Errorf("saying who waits for %s: others always did so first", describe(k))
}

func hasToken(t workflow.TaskToken) expression.ConditionBuilder {
	if t == "" {
		return expression.AttributeNotExists(expression.Name("Token"))
	}
	return equal("Token", string(t))
}

// FindWait finds who waits for a release.
func (s *Store) FindWait(ctx context.Context, k release.Key) (w watch.Wait, found bool, err error) {
	var item waitItem
	if found, err = s.get(ctx, waitKeyOf(k), &item); err != nil || !found {
		return watch.Wait{}, false, err
	}
	w, err = fromWaitItem(item)
	return w, true, err
}

// ListWaits lists the tasks that wait for releases of a cluster.
func (s *Store) ListWaits(ctx context.Context, org, clusterID string) ([]watch.Wait, error) {
	q := query{pk: releasePK(org, clusterID), prefix: "WAIT#", filter: expression.AttributeExists(expression.Name("Token"))}
	items, _, err := listAs(ctx, s, q, Page{}, func(i waitItem) waitItem { return i })
	waits := make([]watch.Wait, 0, len(items))
	for _, item := range items {
		w, err := fromWaitItem(item)
		if err != nil {
			return nil, err
		}
		waits = append(waits, w)
	}
	return waits, err
}

func fromWaitItem(i waitItem) (watch.Wait, error) {
	w := watch.Wait{Key: release.Key{Org: i.Org, ClusterID: i.ClusterID, Namespace: i.Namespace, Name: i.Name}, Run: i.Run, Until: i.Until.Time,
		Token: workflow.TaskToken(i.Token)}
	if err := json.Unmarshal(i.Objects, &w.Objects); err != nil {
		return w, fmt.Errorf("reading who waits for %s: %w", describe(w.Key), err)
	}
	return w, nil
}

// ClaimAnswer lets one caller answer the task, until then: of several at once only one may. It is false for all others, and once it is answered.
func (s *Store) ClaimAnswer(ctx context.Context, w watch.Wait, until time.Time) (bool, error) {
	answering := expression.Name("Answering")
	free := expression.AttributeNotExists(answering).Or(answering.LessThan(expression.Value(stamp{s.now()})))
	var u expression.UpdateBuilder
	err := s.update(ctx, waitKeyOf(w.Key), set(u, "Answering", stamp{until}), equal("Token", string(w.Token)).And(free), nil)
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// FreeAnswer lets another caller try what this one could not.
func (s *Store) FreeAnswer(ctx context.Context, w watch.Wait) error {
	return s.endClaim(ctx, w, expression.UpdateBuilder{}.Remove(expression.Name("Answering")))
}

// EndWait says that the task was answered, or does not wait any more.
func (s *Store) EndWait(ctx context.Context, w watch.Wait) error {
	return s.endClaim(ctx, w, expression.UpdateBuilder{}.Remove(expression.Name("Answering")).Remove(expression.Name("Token")))
}

func (s *Store) endClaim(ctx context.Context, w watch.Wait, change expression.UpdateBuilder) error {
	err := s.update(ctx, waitKeyOf(w.Key), change, equal("Token", string(w.Token)), nil)
	if conditionFailed(err) {
		return nil // another task waits, or nobody does
	}
	return err
}

// SetLearnedBy says how it was learned what became of a target that is not done. By the first look only where nothing else was learned before.
func (s *Store) SetLearnedBy(ctx context.Context, org, runID, clusterID string, by run.LearnedBy) error {
	var u expression.UpdateBuilder
	open := exists().And(expression.Name("Done").NotEqual(expression.Value(true)))
	if by == run.LearnedByLook {
		open = open.And(expression.AttributeNotExists(expression.Name("LearnedBy")).Or(equal("LearnedBy", "")))
	}
	err := s.update(ctx, targetKey(org, runID, clusterID), set(u, "LearnedBy", string(by)), open, nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}

// HearRelay records that the cluster's relay was heard, and what it says of the cluster, if it does. Of two at once the later counts.
func (s *Store) HearRelay(ctx context.Context, org, id string, d relay.Delivery, at time.Time) error {
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "RelayVersion", d.Relay), "RelayKey", d.Key), "RelayHeardAt", stamp{at}), "RelayWatching", d.Watching)
	if c := d.Cluster; c != nil {
		u = set(set(u, "Version", c.Version), "Nodes", c.Nodes)
		u = set(u, "Capacity", cluster.Capacity{ReadyNodes: c.ReadyNodes, MilliCPU: c.MilliCPU, MemoryBytes: c.MemoryBytes, Pods: c.Pods, RequestedMilliCPU: c.RequestedMilliCPU})
	}
	heard := expression.Name("RelayHeardAt")
	err := s.update(ctx, clusterKey(org, id), u, exists().And(expression.AttributeNotExists(heard).Or(heard.LessThan(expression.Value(stamp{at})))), nil)
	if conditionFailed(err) {
		return nil // heard later, or forgotten
	}
	return err
}

type lookItem struct {
	head
	At        stamp
	ExpiresAt int64 `dynamodbav:"expiresAt"`
}

// ScheduleLook says when the cluster is to be looked at next because something changed there now: at once, or so long after the look before, that
// looks are no less than every apart. It is false if a look that will see the change is scheduled already.
func (s *Store) ScheduleLook(ctx context.Context, org, id string, now time.Time, every time.Duration) (at time.Time, ours bool, err error) {
	var last lookItem
	if _, err := s.get(ctx, lookKey(org, id), &last); err != nil {
		return time.Time{}, false, err
	}
	if !last.At.Before(now) {
		return time.Time{}, false, nil
	}
	at = now
	if next := last.At.Add(every); next.After(now) {
		at = next
	}
	condition := absent()
	if !last.At.IsZero() {
		condition = equal("At", last.At)
	}
	err = s.put(ctx, lookItem{head: headOf(lookKey(org, id)), At: stamp{at}, ExpiresAt: at.Add(time.Hour).Unix()}, condition)
	if conditionFailed(err) {
		return time.Time{}, false, nil // another has scheduled one that begins after this
	}
	return at, err == nil, err
}
