package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
)

type planItem struct {
	head
	PlanHash, ClusterID, ClusterName     string
	Org, Namespace, Name                 string
	Action, InputHash                    string
	ChartName, ChartVersion, ChartDigest string
	ValuesRef, ValuesDigest              string
	CRDsRef, ManifestRef, Capabilities   string
	Absent                               bool
	SeenRevision, Generation, Timeout    int
	HealthChecks                         bool          `dynamodbav:",omitempty"`
	Tests                                int           `dynamodbav:",omitempty"`
	DependsOn                            []string      `dynamodbav:",omitempty"`
	TakeBack                             *takeBackItem `dynamodbav:",omitempty"`
	ExpiresAt                            int64         `dynamodbav:"expiresAt,omitempty"`
}

type planHeadItem struct {
	draftItem
	Hash, RunID, CreatedBy string
	CreatedAt              stamp
}

func toPlanItem(org, planHash string, e release.PlanEntry) planItem {
	return planItem{head: headOf(planKey(org, planHash, e.ClusterID)), PlanHash: planHash, ClusterID: e.ClusterID, ClusterName: e.ClusterName,
		Org: org, Namespace: e.Key.Namespace, Name: e.Key.Name, Action: string(e.Action), InputHash: e.InputHash, ChartName: e.ChartName,
		ChartVersion: e.ChartVersion, ChartDigest: e.ChartDigest, ValuesRef: e.ValuesRef, ValuesDigest: e.ValuesDigest, CRDsRef: e.CRDsRef, ManifestRef: e.ManifestRef,
		Capabilities: e.Capabilities, Absent: e.Absent,
		SeenRevision: e.SeenRevision, Generation: e.Generation, Timeout: e.Timeout, TakeBack: toTakeBackItem(e.TakeBack),
		HealthChecks: e.HealthChecks, Tests: e.Tests, DependsOn: e.DependsOn}
}

func fromPlanItem(i planItem) release.PlanEntry {
	return release.PlanEntry{PlanHash: i.PlanHash, ClusterID: i.ClusterID, ClusterName: i.ClusterName,
		Key:    release.Key{Org: i.Org, ClusterID: i.ClusterID, Namespace: i.Namespace, Name: i.Name},
		Action: release.Action(i.Action), InputHash: i.InputHash, ChartName: i.ChartName, ChartVersion: i.ChartVersion,
		ChartDigest: i.ChartDigest, ValuesRef: i.ValuesRef, ValuesDigest: i.ValuesDigest, CRDsRef: i.CRDsRef, ManifestRef: i.ManifestRef,
		Capabilities: i.Capabilities, Absent: i.Absent, SeenRevision: i.SeenRevision,
		Generation: i.Generation, Timeout: i.Timeout, TakeBack: fromTakeBackItem(i.TakeBack),
		HealthChecks: i.HealthChecks, Tests: i.Tests, DependsOn: i.DependsOn}
}

// PutPlan keeps a plan's entries. They are found by the hash of what they say, so writing them again changes nothing.
func (s *Store) PutPlan(ctx context.Context, org, planHash string, entries []release.PlanEntry) error {
	writes := make([]types.WriteRequest, 0, len(entries))
	for _, e := range entries {
		attributes, err := marshal(toPlanItem(org, planHash, e))
		if err != nil {
			return err
		}
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: attributes}})
	}
	return wrap(s.batch(ctx, writes), "writing plan %s", planHash)
}

// PutShownPlan keeps a plan that is shown, with its entries, until it expires. The same plan made again takes its place, and is the same but
// for who made it and when. Entries that a run applies have no end, and keep none.
func (s *Store) PutShownPlan(ctx context.Context, p deployment.Plan, entries []release.PlanEntry) error {
	org := p.Draft.Deployment.Org
	items := make([]any, len(entries))
	for i, e := range entries {
		item := toPlanItem(org, p.Hash, e)
		item.ExpiresAt = p.ExpiresAt.Add(applyTime).Unix()
		items[i] = item
	}
	if err := s.putEach(ctx, items, absent().Or(expression.AttributeExists(expression.Name("expiresAt")))); err != nil {
		return wrap(err, "writing plan %s", p.Hash)
	}
	return s.put(ctx, planHeadItem{draftItem: toDraftItem(planHeadKey(org, p.Hash), p.Draft, p.ExpiresAt), Hash: p.Hash, RunID: p.RunID,
		CreatedAt: stamp{p.CreatedAt}, CreatedBy: p.CreatedBy}, always)
}

// applyTime is how long the entries outlive their plan: a run may have begun to apply it at its last moment.
const applyTime = 7 * 24 * time.Hour

// FindPlan finds a plan that is shown.
func (s *Store) FindPlan(ctx context.Context, org, planHash string) (deployment.Plan, error) {
	var item planHeadItem
	found, err := s.get(ctx, planHeadKey(org, planHash), &item)
	if err == nil && !found {
		err = problem.NotFound("plan-not-found", "there is no plan %q", planHash).Try("make one with dryRun: a plan is kept for 30 days")
	}
	return deployment.Plan{Hash: item.Hash, RunID: item.RunID, Draft: fromDraftItem(item.draftItem), CreatedAt: item.CreatedAt.Time,
		CreatedBy: item.CreatedBy, ExpiresAt: time.Unix(item.ExpiresAt, 0).UTC()}, err
}

// FindPlanEntry finds what a plan says about a cluster.
func (s *Store) FindPlanEntry(ctx context.Context, org, planHash, clusterID string) (release.PlanEntry, error) {
	var item planItem
	found, err := s.get(ctx, planKey(org, planHash, clusterID), &item)
	if err == nil && !found {
		err = problem.NotFound("plan-not-found", "plan %q has no entry for cluster %q", planHash, clusterID)
	}
	return fromPlanItem(item), err
}

// ListPlan lists a plan's entries by cluster.
func (s *Store) ListPlan(ctx context.Context, org, planHash string) ([]release.PlanEntry, error) {
	entries, _, err := listAs(ctx, s, query{pk: planKey(org, planHash, "").PK, prefix: "TARGET#"}, Page{}, fromPlanItem)
	return entries, err
}
