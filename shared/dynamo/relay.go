package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/cluster"
)

// relaySetupItem is an attribute of the cluster's item, of which no other write of the cluster says anything.
type relaySetupItem struct {
	Wanted       bool
	Status       string
	ChartVersion string
	Error        string
	ChangedAt    stamp
	KeyRotatedAt stamp
	Rotating     bool
}

func toRelaySetupItem(r cluster.RelaySetup) relaySetupItem {
	return relaySetupItem{Wanted: r.Wanted, Status: string(r.Status), ChartVersion: r.ChartVersion, Error: r.Error,
		ChangedAt: stamp{r.ChangedAt}, KeyRotatedAt: stamp{r.KeyRotatedAt}, Rotating: r.Rotating}
}

func fromRelaySetupItem(i relaySetupItem) cluster.RelaySetup {
	return cluster.RelaySetup{Wanted: i.Wanted, Status: cluster.RelayStatus(i.Status), ChartVersion: i.ChartVersion, Error: i.Error,
		ChangedAt: i.ChangedAt.Time, KeyRotatedAt: i.KeyRotatedAt.Time, Rotating: i.Rotating}
}

// OrderRelay records what is wanted of the cluster's relay. It needs no lease: who carries orders out never writes what is wanted.
func (s *Store) OrderRelay(ctx context.Context, org, id string, wanted bool, status cluster.RelayStatus, at time.Time) error {
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "RelaySetup.Wanted", wanted), "RelaySetup.Status", string(status)), "RelaySetup.Error", ""), "RelaySetup.ChangedAt", stamp{at})
	err := s.update(ctx, clusterKey(org, id), u, exists(), nil)
	if conditionFailed(err) {
		return clusterNotFound(id)
	}
	return err
}

// SetRelaySetup records what became of the cluster's relay, if that is still wanted. If something else was ordered meanwhile it records nothing: the order
// that follows says what is so.
func (s *Store) SetRelaySetup(ctx context.Context, org, id string, r cluster.RelaySetup) error {
	var u expression.UpdateBuilder
	u = set(set(set(u, "RelaySetup.Status", string(r.Status)), "RelaySetup.ChartVersion", r.ChartVersion), "RelaySetup.Error", r.Error)
	u = set(set(set(u, "RelaySetup.ChangedAt", stamp{r.ChangedAt}), "RelaySetup.KeyRotatedAt", stamp{r.KeyRotatedAt}), "RelaySetup.Rotating", r.Rotating)
	err := s.update(ctx, clusterKey(org, id), u, exists().And(equal("RelaySetup.Wanted", r.Wanted)), nil)
	if conditionFailed(err) {
		_, err = s.FindCluster(ctx, org, id)
	}
	return err
}

type relayLeaseItem struct {
	head
	Holder string
	Until  stamp
}

// LeaseRelay takes the right to write the cluster's relay until then, if nobody has it now: false, if somebody has.
func (s *Store) LeaseRelay(ctx context.Context, org, id, holder string, now, until time.Time) (ours bool, err error) {
	free := absent().Or(expression.Name("Until").LessThanEqual(expression.Value(stamp{now}))).Or(equal("Holder", holder))
	err = s.put(ctx, relayLeaseItem{head: headOf(relayLeaseKey(org, id)), Holder: holder, Until: stamp{until}}, free)
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// FreeRelay gives the right back.
func (s *Store) FreeRelay(ctx context.Context, org, id, holder string) error {
	err := s.remove(ctx, relayLeaseKey(org, id), equal("Holder", holder))
	if conditionFailed(err) {
		return nil
	}
	return err
}
