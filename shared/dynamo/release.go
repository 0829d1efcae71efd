package dynamo

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

// releaseItem without an owner is what a deleted release leaves: its fence, which never falls, and a lease that may still run.
type releaseItem struct {
	head
	Org, ClusterID, Namespace, Name string
	OwnerKind                       string `dynamodbav:",omitempty"`
	OwnerID                         string `dynamodbav:",omitempty"`
	Healthy                         int
	Drift                           *driftItem      `dynamodbav:",omitempty"`
	CheckError                      *checkErrorItem `dynamodbav:",omitempty"`
	Verified                        *desiredItem    `dynamodbav:",omitempty"`
	Desired                         *desiredItem    `dynamodbav:",omitempty"`
	Observed                        *observedItem   `dynamodbav:",omitempty"`
	Health, HealthMessage           string
	HealthAt                        stamp
	ActiveRun                       string
	CatchUp                         *catchUpItem `dynamodbav:",omitempty"`
	LeaseHolder                     string       `dynamodbav:",omitempty"`
	LeaseUntil                      stamp        // null or absent: no lease
	Fence                           int64
}

type driftItem struct {
	Revision, Objects, Fields int
	Ref                       string
	Since, At                 stamp
}

type desiredItem struct {
	Seq                        int64
	Generation                 int
	RunID, PlanHash, InputHash string
	ChartName, ChartVersion    string
	HealthChecks               bool `dynamodbav:",omitempty"`
	Absent                     bool
	SetAt                      stamp
}

type observedItem struct {
	Absent                  bool
	Revision                int
	Status                  string
	ChartName, ChartVersion string
	OwnerLabel, InputHash   string
	LabelRevision           int
	RolledBackTo            int
	ValuesDigest            string
	Differs                 []string
	At                      stamp
}

func toDriftItem(d release.Drift) driftItem {
	return driftItem{Revision: d.Revision, Objects: d.Objects, Fields: d.Fields, Ref: d.Ref, Since: stamp{d.Since}, At: stamp{d.At}}
}

func toDesiredItem(d release.Desired) desiredItem {
	return desiredItem{Seq: d.Seq, Generation: d.Generation, RunID: d.RunID, PlanHash: d.PlanHash, InputHash: d.InputHash,
		ChartName: d.ChartName, ChartVersion: d.ChartVersion, HealthChecks: d.HealthChecks, Absent: d.Absent, SetAt: stamp{d.SetAt}}
}

func fromDesiredItem(i *desiredItem) *release.Desired {
	if i == nil {
		return nil
	}
	return &release.Desired{Seq: i.Seq, Generation: i.Generation, RunID: i.RunID, PlanHash: i.PlanHash, InputHash: i.InputHash,
		ChartName: i.ChartName, ChartVersion: i.ChartVersion, HealthChecks: i.HealthChecks, Absent: i.Absent, SetAt: i.SetAt.Time}
}

func toObservedItem(o release.Observed) observedItem {
	return observedItem{Absent: o.Absent, Revision: o.Revision, Status: o.Status, ChartName: o.ChartName, ChartVersion: o.ChartVersion,
		OwnerLabel: o.OwnerLabel, InputHash: o.InputHash, LabelRevision: o.LabelRevision, RolledBackTo: o.RolledBackTo,
		ValuesDigest: o.ValuesDigest, Differs: o.Differs, At: stamp{o.At}}
}

func fromReleaseItem(i releaseItem) release.Release {
	r := release.Release{Key: release.Key{Org: i.Org, ClusterID: i.ClusterID, Namespace: i.Namespace, Name: i.Name},
		Owner: release.Owner{Kind: i.OwnerKind, ID: i.OwnerID}, Healthy: i.Healthy, Health: release.Health(i.Health), HealthMessage: i.HealthMessage,
		HealthAt: i.HealthAt.Time, ActiveRun: i.ActiveRun, Lease: release.Lease{Holder: i.LeaseHolder, ExpiresAt: i.LeaseUntil.Time}, Fence: i.Fence}
	if c := i.CatchUp; c != nil {
		r.CatchUp = &release.CatchUp{RunID: c.RunID, Generation: c.Generation}
	}
	if d := i.Drift; d != nil {
		r.Drift = &release.Drift{Revision: d.Revision, Objects: d.Objects, Fields: d.Fields, Ref: d.Ref, Since: d.Since.Time, At: d.At.Time}
	}
	if e := i.CheckError; e != nil {
		r.CheckError = &release.CheckError{Code: e.Code, Cause: e.Cause, Since: e.Since.Time}
	}
	r.Desired, r.Verified = fromDesiredItem(i.Desired), fromDesiredItem(i.Verified)
	if o := i.Observed; o != nil {
		r.Observed = &release.Observed{Absent: o.Absent, Revision: o.Revision, Status: o.Status, ChartName: o.ChartName,
			ChartVersion: o.ChartVersion, OwnerLabel: o.OwnerLabel, InputHash: o.InputHash, LabelRevision: o.LabelRevision,
			RolledBackTo: o.RolledBackTo, ValuesDigest: o.ValuesDigest, Differs: o.Differs, At: o.At.Time}
	}
	return r
}

func keyOf(k release.Key) key { return releaseKey(k.Org, k.ClusterID, k.Namespace, k.Name) }

func describe(k release.Key) string {
	return fmt.Sprintf("release %s/%s on cluster %s", k.Namespace, k.Name, k.ClusterID)
}

func releaseNotFound(k release.Key) *problem.Problem {
	return problem.NotFound("release-not-found", "there is no %s", describe(k))
}

func ownedBy(o release.Owner) expression.ConditionBuilder {
	return equal("OwnerKind", o.Kind).And(equal("OwnerID", o.ID))
}

func owned() expression.ConditionBuilder {
	return expression.AttributeExists(expression.Name("OwnerID"))
}

// ClaimRelease makes owner the one owner of the release's name. Its own release already is a success.
func (s *Store) ClaimRelease(ctx context.Context, k release.Key, owner release.Owner) error {
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "Org", k.Org), "ClusterID", k.ClusterID), "Namespace", k.Namespace), "Name", k.Name)
	u = set(set(u, "OwnerKind", owner.Kind), "OwnerID", owner.ID)
	u = set(set(u, "GSI1PK", ownerPK(k.Org, owner.Kind, owner.ID)), "GSI1SK", k.ClusterID)
	free := expression.AttributeNotExists(expression.Name("OwnerID"))
	err := s.update(ctx, keyOf(k), u, free, nil)
	if !conditionFailed(err) {
		return err
	}
	holder, err := s.FindRelease(ctx, k)
	if err != nil {
		return err // gone again meanwhile: the caller tries again
	}
	if holder.Owner == owner {
		return nil
	}
	return problem.Conflict("release-claimed", "the %s belongs to another %s", describe(k), holder.Owner.Kind).At("releaseName").
		Try("choose another release name or namespace")
}

// FindRelease finds a release.
func (s *Store) FindRelease(ctx context.Context, k release.Key) (release.Release, error) {
	var item releaseItem
	found, err := s.get(ctx, keyOf(k), &item)
	if err == nil && (!found || item.OwnerID == "") {
		return release.Release{}, releaseNotFound(k)
	}
	return fromReleaseItem(item), err
}

// FindReleases finds several releases of an org at once; one that does not exist is not in the map.
func (s *Store) FindReleases(ctx context.Context, keys []release.Key) (map[release.Key]release.Release, error) {
	all := make([]key, len(keys))
	for i, k := range keys {
		all[i] = keyOf(k)
	}
	found := map[release.Key]release.Release{}
	err := s.getMany(ctx, all, func(av map[string]types.AttributeValue) error {
		var item releaseItem
		if err := unmarshal(av, &item); err != nil {
			return err
		}
		if item.OwnerID != "" {
			r := fromReleaseItem(item)
			found[r.Key] = r
		}
		return nil
	})
	return found, err
}

// ListReleasesOfOwner lists what an owner has, by cluster. It reads an index and may lag behind a write by a moment.
func (s *Store) ListReleasesOfOwner(ctx context.Context, org string, owner release.Owner) ([]release.Release, error) {
	releases, _, err := listAs(ctx, s, query{index: indexGSI1, pk: ownerPK(org, owner.Kind, owner.ID)}, Page{}, fromReleaseItem)
	return releases, err
}

// ListReleasesOfCluster lists the releases that Swell keeps for a cluster.
func (s *Store) ListReleasesOfCluster(ctx context.Context, org, clusterID string) ([]release.Release, error) {
	q := query{pk: releasePK(org, clusterID), prefix: "RELEASE#", filter: owned()}
	releases, _, err := listAs(ctx, s, q, Page{}, fromReleaseItem)
	return releases, err
}

// SetDesired points the owner's release at a plan entry, unless a newer run did: then the target fails as superseded. The same again
// is a success.
func (s *Store) SetDesired(ctx context.Context, k release.Key, owner release.Owner, d release.Desired) error {
	seq := expression.Name("Desired.Seq")
	mayMove := expression.AttributeNotExists(seq).Or(seq.LessThanEqual(expression.Value(d.Seq)))
	var u expression.UpdateBuilder
	err := s.update(ctx, keyOf(k), set(u, "Desired", toDesiredItem(d)), ownedBy(owner).And(mayMove), nil)
	if !conditionFailed(err) {
		return err
	}
	r, err := s.FindRelease(ctx, k)
	switch {
	case err != nil:
		return err
	case r.Owner != owner:
		return taskerr.Failed("release-claimed", "the %s belongs to another %s", describe(k), r.Owner.Kind)
	default:
		return taskerr.Failed("superseded", "a newer run took over the %s", describe(k))
	}
}

// AcquireLease takes the right to write the release until the given time, if nobody has it now. holder names one invocation. The
// fence that it returns is higher than every one before. Held by another: a ReleaseLeased error, to try again later.
func (s *Store) AcquireLease(ctx context.Context, k release.Key, holder string, now, until time.Time) (fence int64, err error) {
	holderName, untilName := expression.Name("LeaseHolder"), expression.Name("LeaseUntil")
	free := expression.AttributeNotExists(holderName).Or(untilName.LessThanEqual(expression.Value(stamp{now})))
	var u expression.UpdateBuilder
	u = set(set(u, "LeaseHolder", holder), "LeaseUntil", stamp{until}).Add(expression.Name("Fence"), expression.Value(1))
	var item releaseItem
	err = s.update(ctx, keyOf(k), u, owned().And(free), &item)
	if !conditionFailed(err) {
		return item.Fence, err
	}
	r, err := s.FindRelease(ctx, k)
	switch {
	case err != nil:
		return 0, err
	case r.Lease.Holder == holder && r.Lease.ExpiresAt.Equal(until):
		return r.Fence, nil // it is this very call, whose answer was lost and which the SDK sent again
	default:
		return 0, taskerr.New(taskerr.ReleaseLeased, "release-leased",
			fmt.Errorf("%s has the %s until %s", r.Lease.Holder, describe(k), r.Lease.ExpiresAt.Format(time.RFC3339)))
	}
}

// FreeLease gives a lease back, if it is still the one with that fence. If it is not, there is nothing to give back.
func (s *Store) FreeLease(ctx context.Context, k release.Key, holder string, fence int64) error {
	u := expression.Remove(expression.Name("LeaseHolder")).Remove(expression.Name("LeaseUntil"))
	err := s.update(ctx, keyOf(k), u, equal("LeaseHolder", holder).And(equal("Fence", fence)), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}

// SetObserved records what the cluster showed and says whether it wrote: not if it is what previous says apart from the time, nor
// over what was seen later, nor for a release that is gone.
func (s *Store) SetObserved(ctx context.Context, k release.Key, o release.Observed, previous *release.Observed) (wrote bool, err error) {
	if previous != nil && sameSight(o, *previous) {
		return false, nil
	}
	at := expression.Name("Observed.At")
	newer := expression.AttributeNotExists(at).Or(at.LessThanEqual(expression.Value(stamp{o.At})))
	var u expression.UpdateBuilder
	u = set(u, "Observed", toObservedItem(o))
	if o.Absent { // the next install counts its revisions from 1 again
		u = u.Remove(expression.Name("Healthy")).Remove(expression.Name("Verified"))
	}
	err = s.update(ctx, keyOf(k), u, owned().And(newer), nil)
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

func sameSight(a, b release.Observed) bool {
	a.At = b.At
	if len(a.Differs) == 0 && len(b.Differs) == 0 {
		a.Differs, b.Differs = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// SetDrift records how far the live objects were from the release's manifest and says whether it wrote: not if previous tells the same, nor
// over what was seen later, nor for a release that is gone.
func (s *Store) SetDrift(ctx context.Context, k release.Key, d release.Drift, previous *release.Drift) (wrote bool, err error) {
	d, news := d.After(previous)
	if !news {
		return false, nil
	}
	at := expression.Name("Drift.At")
	newer := expression.AttributeNotExists(at).Or(at.LessThanEqual(expression.Value(stamp{d.At})))
	var u expression.UpdateBuilder
	err = s.update(ctx, keyOf(k), set(u, "Drift", toDriftItem(d)), owned().And(newer), nil)
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// SetHealth records how the release's workloads were at the given time, unless they were looked at later.
func (s *Store) SetHealth(ctx context.Context, k release.Key, health release.Health, message string, at time.Time) error {
	var u expression.UpdateBuilder
	return s.setHealth(ctx, k, u, health, message, at)
}

// SetHealthy records that the workloads of that revision, which a run made of verified, were ready at the given time, unless they were looked at later.
func (s *Store) SetHealthy(ctx context.Context, k release.Key, revision int, verified release.Desired, at time.Time) error {
	var u expression.UpdateBuilder
	u = set(set(u, "Healthy", revision), "Verified", toDesiredItem(verified))
	return s.setHealth(ctx, k, u, release.Healthy, "", at)
}

func (s *Store) setHealth(ctx context.Context, k release.Key, u expression.UpdateBuilder, health release.Health, message string, at time.Time) error {
	last := expression.Name("HealthAt")
	newer := expression.AttributeNotExists(last).Or(last.LessThanEqual(expression.Value(stamp{at})))
	u = set(set(set(u, "Health", string(health)), "HealthMessage", message), "HealthAt", stamp{at})
	err := s.update(ctx, keyOf(k), u, owned().And(newer), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}

// SetFailed records that a run made the release's record failed, and why it is Unhealthy. observed is what was recorded of it before; nil: nothing, and
// only its health is. Each of the two stays as it is where it was looked at later; a call that died between them may be sent again.
func (s *Store) SetFailed(ctx context.Context, k release.Key, observed *release.Observed, cause string, at time.Time) error {
	if observed != nil {
		failed := *observed
		failed.Status, failed.At = "failed", at
		if _, err := s.SetObserved(ctx, k, failed, observed); err != nil {
			return err
		}
	}
	return s.SetHealth(ctx, k, release.Unhealthy, cause, at)
}

// SetActiveRun says which run has the release in its batch.
func (s *Store) SetActiveRun(ctx context.Context, k release.Key, runID string) error {
	var u expression.UpdateBuilder
	err := s.update(ctx, keyOf(k), set(u, "ActiveRun", runID), owned(), nil)
	if conditionFailed(err) {
		return releaseNotFound(k)
	}
	return err
}

// ClearActiveRun says that the run is done with the release, unless another run took it meanwhile.
func (s *Store) ClearActiveRun(ctx context.Context, k release.Key, runID string) error {
	var u expression.UpdateBuilder
	err := s.update(ctx, keyOf(k), set(u, "ActiveRun", ""), equal("ActiveRun", runID), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}

// DeleteRelease forgets the owner's release and frees its name, unless another run than runID has moved its desired state since; an empty
// runID means whichever did. The fence stays, and a lease that somebody holds. Gone already is a success; another owner's is left alone.
func (s *Store) DeleteRelease(ctx context.Context, k release.Key, owner release.Owner, runID string) error {
	var u expression.UpdateBuilder
	for _, name := range strings.Fields("OwnerKind OwnerID GSI1PK GSI1SK Desired Observed Drift CheckError Healthy Verified Health HealthMessage HealthAt ActiveRun CatchUp") {
		u = u.Remove(expression.Name(name))
	}
	mayForget := ownedBy(owner)
	if runID != "" {
		mayForget = mayForget.And(expression.AttributeNotExists(expression.Name("Desired")).Or(equal("Desired.RunID", runID)))
	}
	err := s.update(ctx, keyOf(k), u, mayForget, nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}
