package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

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
}

func toPlanItem(org, planHash string, e release.PlanEntry) planItem {
	return planItem{head: headOf(planKey(org, planHash, e.ClusterID)), PlanHash: planHash, ClusterID: e.ClusterID, ClusterName: e.ClusterName,
		Org: org, Namespace: e.Key.Namespace, Name: e.Key.Name, Action: string(e.Action), InputHash: e.InputHash, ChartName: e.ChartName,
		ChartVersion: e.ChartVersion, ChartDigest: e.ChartDigest, ValuesRef: e.ValuesRef, ValuesDigest: e.ValuesDigest, CRDsRef: e.CRDsRef, ManifestRef: e.ManifestRef,
		Capabilities: e.Capabilities, Absent: e.Absent,
		SeenRevision: e.SeenRevision, Generation: e.Generation, Timeout: e.Timeout}
}

func fromPlanItem(i planItem) release.PlanEntry {
	return release.PlanEntry{PlanHash: i.PlanHash, ClusterID: i.ClusterID, ClusterName: i.ClusterName,
		Key:    release.Key{Org: i.Org, ClusterID: i.ClusterID, Namespace: i.Namespace, Name: i.Name},
		Action: release.Action(i.Action), InputHash: i.InputHash, ChartName: i.ChartName, ChartVersion: i.ChartVersion,
		ChartDigest: i.ChartDigest, ValuesRef: i.ValuesRef, ValuesDigest: i.ValuesDigest, CRDsRef: i.CRDsRef, ManifestRef: i.ManifestRef,
		Capabilities: i.Capabilities, Absent: i.Absent, SeenRevision: i.SeenRevision,
		Generation: i.Generation, Timeout: i.Timeout}
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
