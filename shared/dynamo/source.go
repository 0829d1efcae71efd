package dynamo

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

type sourceItem struct {
	head
	Org, Name, Kind, URL string
	APIURL               string `dynamodbav:",omitempty"`
	Rules                []source.Rule
	SecretID             string // of a secret; nothing of the secret is here
	HasCredential        bool
	RotatedAt            stamp
	Version              int64
	CreatedAt            stamp
	CreatedBy            string
	UpdatedAt            stamp
}

func toSourceItem(s source.Source) sourceItem {
	h := headOf(sourceKey(s.Org, s.Name))
	if s.Kind == source.ECR {
		h.GSI2PK, h.GSI2SK = ecrPK(s.URL), s.Org+"#"+s.Name
	}
	return sourceItem{head: h, Org: s.Org, Name: s.Name, Kind: string(s.Kind), URL: s.URL, APIURL: s.APIURL, Rules: s.Rules, SecretID: s.SecretID,
		HasCredential: s.HasCredential, RotatedAt: stamp{s.RotatedAt}, Version: s.Version, CreatedAt: stamp{s.CreatedAt}, CreatedBy: s.CreatedBy,
		UpdatedAt: stamp{s.UpdatedAt}}
}

func fromSourceItem(i sourceItem) source.Source {
	return source.Source{Org: i.Org, Name: i.Name, Kind: source.Kind(i.Kind), URL: i.URL, APIURL: i.APIURL, Rules: i.Rules, SecretID: i.SecretID,
		HasCredential: i.HasCredential, RotatedAt: i.RotatedAt.Time, Version: i.Version, CreatedAt: i.CreatedAt.Time, CreatedBy: i.CreatedBy,
		UpdatedAt: i.UpdatedAt.Time}
}

func ecrPK(registry string) string {
	if u, err := url.Parse(registry); err == nil && u.Host != "" {
		registry = u.Host
	}
	return join("ECR", strings.ToLower(registry))
}

func sourceNotFound(name string) *problem.Problem {
	return problem.NotFound("source-not-found", "there is no source %q", name).Try("list the sources, or create it")
}

func sourceChanged(name string) *problem.Problem {
	return problem.Conflict("source-changed", "source %q was changed or deleted in the meantime", name).Try("read it again, and repeat the change")
}

// CreateSource keeps a source under a name that is new in the org.
func (s *Store) CreateSource(ctx context.Context, src source.Source) error {
	err := s.put(ctx, toSourceItem(src), absent())
	if conditionFailed(err) {
		return problem.Conflict("source-name-taken", "a source named %q exists already", src.Name).At("name").Try("choose another name")
	}
	return err
}

// ReplaceSource changes a source that is at that version still.
func (s *Store) ReplaceSource(ctx context.Context, src source.Source, expectedVersion int64) error {
	err := s.put(ctx, toSourceItem(src), equal("Version", expectedVersion))
	if conditionFailed(err) {
		return sourceChanged(src.Name)
	}
	return err
}

// FindSource finds a source of the org.
func (s *Store) FindSource(ctx context.Context, org, name string) (source.Source, error) {
	var item sourceItem
	found, err := s.get(ctx, sourceKey(org, name), &item)
	if err == nil && !found {
		err = sourceNotFound(name)
	}
	return fromSourceItem(item), err
}

// ListSources lists the org's sources by name.
func (s *Store) ListSources(ctx context.Context, org string, page Page) (sources []source.Source, next string, err error) {
	return listAs(ctx, s, query{pk: orgPK(org), prefix: sourceKey(org, page.NamePrefix).SK, newest: page.Sort.down()}, page, fromSourceItem)
}

// ListSourcesOfRegistry lists the sources of all orgs that follow an ECR registry: its events know no org. It reads an index and may lag behind.
func (s *Store) ListSourcesOfRegistry(ctx context.Context, registry string) ([]source.Source, error) {
	sources, _, err := listAs(ctx, s, query{index: indexGSI2, pk: ecrPK(registry)}, Page{}, fromSourceItem)
	return sources, err
}

// DeleteSource forgets a source that is at that version still. Its deliveries go with their time.
func (s *Store) DeleteSource(ctx context.Context, org, name string, expectedVersion int64) error {
	err := s.remove(ctx, sourceKey(org, name), equal("Version", expectedVersion))
	if !conditionFailed(err) {
		return err
	}
	if _, err := s.FindSource(ctx, org, name); err != nil {
		return err
	}
	return sourceChanged(name)
}

type deliveryItem struct {
	head
	Source     string
	Event      source.Event
	Outcome    string
	Why        string              `dynamodbav:",omitempty"`
	Rules      []source.RuleRecord `dynamodbav:",omitempty"`
	ReceivedAt stamp
	EndedAt    stamp
	ExpiresAt  int64 `dynamodbav:"expiresAt"` // the table's TTL takes it away some time after
}

func toDeliveryItem(r source.Record) deliveryItem {
	h := headOf(deliveryKey(r.Org, r.Source, r.Event.Delivery))
	h.GSI1PK, h.GSI1SK = deliveriesPK(r.Org, r.Source), sortable(r.ReceivedAt)+"#"+r.Event.Delivery
	return deliveryItem{head: h, Source: r.Source, Event: r.Event, Outcome: string(r.Outcome), Why: r.Why, Rules: r.Rules,
		ReceivedAt: stamp{r.ReceivedAt}, EndedAt: stamp{r.EndedAt}, ExpiresAt: r.ReceivedAt.Add(source.Keep).Unix()}
}

// ClaimDelivery keeps a delivery that was received, unless it was before. One that was received and never done with is taken again after
// source.Again: whoever should have sent it on died.
func (s *Store) ClaimDelivery(ctx context.Context, r source.Record) (first bool, err error) {
	stale := equal("Outcome", string(source.Received)).And(expression.Name("ReceivedAt").LessThan(expression.Value(stamp{r.ReceivedAt.Add(-source.Again)})))
	err = s.put(ctx, toDeliveryItem(r), absent().Or(stale, expression.Name("expiresAt").LessThan(expression.Value(s.now().Unix()))))
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// ReleaseDelivery lets a delivery that could not be sent on be taken again at once.
func (s *Store) ReleaseDelivery(ctx context.Context, r source.Record) error {
	r.ReceivedAt = r.ReceivedAt.Add(-source.Again - time.Second)
	err := s.put(ctx, toDeliveryItem(r), equal("Outcome", string(source.Received)))
	if conditionFailed(err) {
		return nil
	}
	return err
}

// FindDelivery finds a delivery that was taken.
func (s *Store) FindDelivery(ctx context.Context, org, src, id string) (source.Record, error) {
	var item deliveryItem
	found, err := s.get(ctx, deliveryKey(org, src, id), &item)
	if err == nil && !found {
		err = problem.NotFound("delivery-not-found", "there is no delivery %q of source %s", id, src)
	}
	return fromDeliveryItem(org, item), err
}

func fromDeliveryItem(org string, i deliveryItem) source.Record {
	return source.Record{Org: org, Source: i.Source, Event: i.Event, Outcome: source.Outcome(i.Outcome), Why: i.Why, Rules: i.Rules,
		ReceivedAt: i.ReceivedAt.Time, EndedAt: i.EndedAt.Time}
}

// PutDelivery writes what became of a delivery.
func (s *Store) PutDelivery(ctx context.Context, r source.Record) error {
	return s.put(ctx, toDeliveryItem(r), always)
}

// ListDeliveries lists a source's deliveries, newest first. It reads an index and may lag behind a write by a moment.
func (s *Store) ListDeliveries(ctx context.Context, org, src string, page Page) (records []source.Record, next string, err error) {
	q := query{index: indexGSI1, pk: deliveriesPK(org, src), newest: true}
	return listAs(ctx, s, q, page, func(i deliveryItem) source.Record { return fromDeliveryItem(org, i) })
}

type ruleItem struct {
	head
	Step                      int64
	Rule, Commit, Inputs, Run string
	Intent                    source.Intent
	Changed                   stamp
}

// FindRuleState finds how far a rule is; the zero State where it never began.
func (s *Store) FindRuleState(ctx context.Context, org, src, rule string) (source.State, error) {
	var item ruleItem
	_, err := s.get(ctx, ruleKey(org, src, rule), &item)
	return source.State{Step: item.Step, Rule: item.Rule, Commit: item.Commit, Inputs: item.Inputs, Run: item.Run, Intent: item.Intent, Changed: item.Changed.Time}, err
}

// PutRuleState moves a rule from the step before. wrote is false where somebody else moved it meanwhile.
func (s *Store) PutRuleState(ctx context.Context, org, src, rule string, state source.State) (wrote bool, err error) {
	state.Changed = s.now()
	item := ruleItem{head: headOf(ruleKey(org, src, rule)), Step: state.Step, Rule: state.Rule, Commit: state.Commit, Inputs: state.Inputs, Run: state.Run,
		Intent: state.Intent, Changed: stamp{state.Changed}}
	err = s.put(ctx, item, absent().Or(equal("Step", state.Step-1)))
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

type commentItem struct {
	head
	Comment   string `dynamodbav:",omitempty"`
	PlannedAt stamp
	ExpiresAt int64 `dynamodbav:"expiresAt"`
}

// FindComment finds the host's id of the comment about a deployment on a pull request; empty if there is none.
func (s *Store) FindComment(ctx context.Context, org, src string, pullRequest int, deployment string) (string, error) {
	var item commentItem
	_, err := s.get(ctx, commentKey(org, src, pullRequest, deployment), &item)
	return item.Comment, err
}

// PutComment remembers for a year which comment says what a plan found that was asked for at that time; empty: it is still to be written. newest is false
// where it says what a plan found that was asked for later.
func (s *Store) PutComment(ctx context.Context, org, src string, pullRequest int, deployment, comment string, plannedAt time.Time) (newest bool, err error) {
	item := commentItem{head: headOf(commentKey(org, src, pullRequest, deployment)), Comment: comment, PlannedAt: stamp{plannedAt},
		ExpiresAt: s.now().Add(365 * 24 * time.Hour).Unix()}
	at := expression.Name("PlannedAt")
	err = s.put(ctx, item, at.AttributeNotExists().Or(at.LessThanEqual(expression.Value(stamp{plannedAt}))))
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}
