package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
)

type receiverItem struct {
	head
	Org, Name, Kind, Host         string
	CredentialID                  string `dynamodbav:",omitempty"` // of a secret; nothing of the secret is here
	Events                        []string
	Groups, Deployments, Clusters []string
	Template                      string
	LastSentAt, FailingSince      stamp
	LastError                     string
	Version                       int64
	CreatedAt                     stamp
	CreatedBy                     string
	UpdatedAt                     stamp
}

func toReceiverItem(r receiver.Receiver) receiverItem {
	return receiverItem{head: headOf(receiverKey(r.Org, r.Name)), Org: r.Org, Name: r.Name, Kind: string(r.Kind), Host: r.Host, CredentialID: r.CredentialID,
		Events: r.Events, Groups: r.Filter.Groups, Deployments: r.Filter.Deployments, Clusters: r.Filter.Clusters, Template: r.Template,
		LastSentAt: stamp{r.State.LastSentAt}, FailingSince: stamp{r.State.FailingSince}, LastError: r.State.LastError,
		Version: r.Version, CreatedAt: stamp{r.CreatedAt}, CreatedBy: r.CreatedBy, UpdatedAt: stamp{r.UpdatedAt}}
}

func fromReceiverItem(i receiverItem) receiver.Receiver {
	return receiver.Receiver{Org: i.Org, Name: i.Name, Kind: receiver.Kind(i.Kind), Host: i.Host, CredentialID: i.CredentialID, Events: i.Events,
		Filter: receiver.Filter{Groups: i.Groups, Deployments: i.Deployments, Clusters: i.Clusters}, Template: i.Template,
		State:   receiver.State{LastSentAt: i.LastSentAt.Time, FailingSince: i.FailingSince.Time, LastError: i.LastError},
		Version: i.Version, CreatedAt: i.CreatedAt.Time, CreatedBy: i.CreatedBy, UpdatedAt: i.UpdatedAt.Time}
}

func receiverNotFound(name string) *problem.Problem {
	return problem.NotFound("receiver-not-found", "there is no receiver %q", name).Try("list the receivers, or create it")
}

func receiverChanged(name string) *problem.Problem {
	return problem.Conflict("receiver-changed", "receiver %q was changed or removed in the meantime", name).Try("read it again, and repeat the change")
}

// CreateReceiver keeps a receiver under a name that is new in the org.
func (s *Store) CreateReceiver(ctx context.Context, r receiver.Receiver) error {
	err := s.put(ctx, toReceiverItem(r), absent())
	if conditionFailed(err) {
		return problem.Conflict("receiver-name-taken", "a receiver named %q exists already", r.Name).At("name").Try("choose another name")
	}
	return err
}

// ReplaceReceiver changes a receiver that is at that version still.
func (s *Store) ReplaceReceiver(ctx context.Context, r receiver.Receiver, expectedVersion int64) error {
	err := s.put(ctx, toReceiverItem(r), equal("Version", expectedVersion))
	if conditionFailed(err) {
		return receiverChanged(r.Name)
	}
	return err
}

// FindReceiver finds a receiver of the org.
func (s *Store) FindReceiver(ctx context.Context, org, name string) (receiver.Receiver, error) {
	var item receiverItem
	found, err := s.get(ctx, receiverKey(org, name), &item)
	if err == nil && !found {
		err = receiverNotFound(name)
	}
	return fromReceiverItem(item), err
}

// ListReceivers lists the org's receivers by name.
func (s *Store) ListReceivers(ctx context.Context, org string, page Page) (receivers []receiver.Receiver, next string, err error) {
	return listAs(ctx, s, query{pk: orgPK(org), prefix: receiverKey(org, page.NamePrefix).SK, newest: page.Sort.down()}, page, fromReceiverItem)
}

// DeleteReceiver forgets a receiver that is at that version still. What was sent to it stays sent.
func (s *Store) DeleteReceiver(ctx context.Context, org, name string, expectedVersion int64) error {
	err := s.remove(ctx, receiverKey(org, name), equal("Version", expectedVersion))
	if !conditionFailed(err) {
		return err
	}
	if _, err := s.FindReceiver(ctx, org, name); err != nil {
		return err
	}
	return receiverChanged(name)
}

// SetReceiverState records how the last went that a receiver was sent, unless the receiver is gone, or another by now.
func (s *Store) SetReceiverState(ctx context.Context, r receiver.Receiver, state receiver.State) error {
	var u expression.UpdateBuilder
	u = set(u, "LastError", state.LastError)
	for name, at := range map[string]time.Time{"LastSentAt": state.LastSentAt, "FailingSince": state.FailingSince} {
		if at.IsZero() {
			u = u.Remove(expression.Name(name))
		} else {
			u = set(u, name, stamp{at})
		}
	}
	err := s.update(ctx, receiverKey(r.Org, r.Name), u, equal("Version", r.Version), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}

// notificationItem says that a receiver is being told of an event, or was.
type notificationItem struct {
	head
	Sent      bool
	Until     stamp // of an attempt: when it is dead
	ExpiresAt int64 `dynamodbav:"expiresAt"`
}

// notificationKept is how long a notification that comes again is known: longer than its message may lie in a dead-letter queue.
const notificationKept = 15 * 24 * time.Hour

// ClaimNotification says whether the caller is the one to tell a receiver of an event now. sent: the receiver was told before. Neither: somebody is at
// it, who is dead if he has not said so by until.
func (s *Store) ClaimNotification(ctx context.Context, org, eventID, receiverName string, until time.Time) (ours, sent bool, err error) {
	k := notificationKey(org, eventID, receiverName)
	item := notificationItem{head: headOf(k), Until: stamp{until}, ExpiresAt: s.now().Add(notificationKept).Unix()}
	free := absent().Or(equal("Sent", false).And(expression.Name("Until").LessThan(expression.Value(stamp{s.now()}))))
	if err = s.put(ctx, item, free); !conditionFailed(err) {
		return err == nil, false, err
	}
	_, err = s.get(ctx, k, &item)
	return false, item.Sent, err
}

// SettleNotification says that a receiver was told of an event; or, if not, that whoever wants may try.
func (s *Store) SettleNotification(ctx context.Context, org, eventID, receiverName string, sent bool) error {
	k := notificationKey(org, eventID, receiverName)
	if !sent {
		err := s.remove(ctx, k, equal("Sent", false))
		if conditionFailed(err) {
			return nil
		}
		return err
	}
	return s.put(ctx, notificationItem{head: headOf(k), Sent: true, ExpiresAt: s.now().Add(notificationKept).Unix()}, always)
}
