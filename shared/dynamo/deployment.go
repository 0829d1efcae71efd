package dynamo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
)

type deploymentItem struct {
	head
	Org, ID, GroupID, ReleaseName, Namespace string
	Generation, Newest                       int
	Mode                                     string
	InstallOnJoin                            bool
	RemovalLimit                             int
	Ignore                                   []ignoreItem `dynamodbav:",omitempty"`
	DependsOn                                []string     `dynamodbav:",omitempty"`
	Deleting                                 bool
	LastRun                                  string
	RunSeq, Version                          int64
	CreatedAt, UpdatedAt                     stamp
	CreatedBy                                string
}

type ignoreItem struct{ Kind, Namespace, Name, Path string }

type generationItem struct {
	head
	Org, DeploymentID                 string
	Number                            int
	ChartRef, ChartName, ChartVersion string
	ChartDigest, ChartDescription     string
	ValuesRef                         string
	Overridden                        []string
	TimeoutSeconds                    int
	Remediation                       *remediationItem `dynamodbav:",omitempty"`
	Atomic                            bool
	Rollout                           *rollout.Rollout         `dynamodbav:",omitempty"`
	HealthChecks                      []deployment.HealthCheck `dynamodbav:",omitempty"`
	Tests                             *deployment.Tests        `dynamodbav:",omitempty"`
	SecretPaths                       []string
	OwnValuesRef                      string
	Reused, Before                    int
	PlanHash, RunID                   string
	CreatedAt                         stamp
	CreatedBy                         string
}

func toDeploymentItem(d deployment.Deployment) deploymentItem {
	item := deploymentItem{head: headOf(deploymentKey(d.Org, d.ID)), Org: d.Org, ID: d.ID, GroupID: d.GroupID, ReleaseName: d.ReleaseName,
		Namespace: d.Namespace, Generation: d.Generation, Newest: d.Newest, Mode: string(d.Mode), InstallOnJoin: d.InstallOnJoin,
		RemovalLimit: d.RemovalLimit, DependsOn: d.DependsOn, Deleting: d.Deleting, LastRun: d.LastRun, RunSeq: d.RunSeq,
		Version: d.Version, CreatedAt: stamp{d.CreatedAt}, UpdatedAt: stamp{d.UpdatedAt}, CreatedBy: d.CreatedBy}
	for _, i := range d.Ignore {
		item.Ignore = append(item.Ignore, ignoreItem(i))
	}
	return item
}

func fromDeploymentItem(i deploymentItem) deployment.Deployment {
	d := deployment.Deployment{Org: i.Org, ID: i.ID, GroupID: i.GroupID, ReleaseName: i.ReleaseName, Namespace: i.Namespace,
		Generation: i.Generation, Newest: max(i.Newest, i.Generation), Mode: deployment.Mode(i.Mode), InstallOnJoin: i.InstallOnJoin,
		RemovalLimit: i.RemovalLimit, DependsOn: i.DependsOn, Deleting: i.Deleting, LastRun: i.LastRun, RunSeq: i.RunSeq,
		Version: i.Version, CreatedAt: i.CreatedAt.Time, UpdatedAt: i.UpdatedAt.Time, CreatedBy: i.CreatedBy}
	for _, rule := range i.Ignore {
		d.Ignore = append(d.Ignore, deployment.Ignore(rule))
	}
	return d
}

func toGenerationItem(g deployment.Generation) generationItem {
	item := generationItem{head: headOf(generationKey(g.Org, g.DeploymentID, g.Number)), Org: g.Org, DeploymentID: g.DeploymentID,
		Number: g.Number, ChartRef: g.Chart.Ref, ChartName: g.Chart.Name, ChartVersion: g.Chart.Version, ChartDigest: g.Chart.Digest,
		ChartDescription: g.Chart.Description, ValuesRef: g.ValuesRef, Overridden: g.Overridden, TimeoutSeconds: g.TimeoutSeconds, Remediation: toRemediationItem(g.Remediation), Atomic: g.Atomic,
		SecretPaths: g.SecretPaths, OwnValuesRef: g.OwnValuesRef, Reused: g.Reused, Before: g.Before, PlanHash: g.PlanHash, RunID: g.RunID,
		CreatedAt: stamp{g.CreatedAt}, CreatedBy: g.CreatedBy}
	item.HealthChecks = g.HealthChecks
	if g.Tests != (deployment.Tests{}) {
		item.Tests = &g.Tests
	}
	if !g.Rollout.IsZero() {
		item.Rollout = &g.Rollout
	}
	return item
}

func fromGenerationItem(i generationItem) deployment.Generation {
	g := deployment.Generation{Org: i.Org, DeploymentID: i.DeploymentID, Number: i.Number,
		Chart:     deployment.Chart{Ref: i.ChartRef, Name: i.ChartName, Version: i.ChartVersion, Digest: i.ChartDigest, Description: i.ChartDescription},
		ValuesRef: i.ValuesRef, Overridden: i.Overridden, TimeoutSeconds: i.TimeoutSeconds, Remediation: fromRemediationItem(i.Remediation), Atomic: i.Atomic, SecretPaths: i.SecretPaths,
		OwnValuesRef: i.OwnValuesRef, Reused: i.Reused, Before: i.Before, PlanHash: i.PlanHash, RunID: i.RunID, CreatedAt: i.CreatedAt.Time, CreatedBy: i.CreatedBy}
	g.HealthChecks = i.HealthChecks
	if i.Tests != nil {
		g.Tests = *i.Tests
	}
	if i.Rollout != nil {
		g.Rollout = *i.Rollout
	}
	return g
}

func deploymentNotFound(id string) *problem.Problem {
	return problem.NotFound("deployment-not-found", "there is no deployment %q", id).Try("list the group's deployments: the path takes a release name")
}

// Admission is a new generation of a deployment and the run that brings it to the targets.
type Admission struct {
	Deployment      deployment.Deployment // as it shall be
	Generation      deployment.Generation
	Run             run.Run
	ExpectedVersion int64 // of the deployment that Deployment was made from; 0 creates it
}

// AdmitDeployment keeps the deployment, its generation and the run that was asked for, all or nothing. It sets what follows from the
// rest: Deployment.Generation, RunSeq, LastRun, Version and UpdatedAt; Run.Seq, Generation, Status and Version.
func (s *Store) AdmitDeployment(ctx context.Context, a Admission) (deployment.Deployment, run.Run, error) {
	d := a.Deployment
	if a.Generation.Number < 1 || a.Generation.DeploymentID != d.ID || a.Generation.Org != d.Org {
		return d, a.Run, fmt.Errorf("admitting deployment %s: generation %d of %s is not one of it", d.ID, a.Generation.Number, a.Generation.DeploymentID)
	}
	d.Generation, d.Newest = a.Generation.Number, a.Generation.Number
	a.Generation.RunID, a.Run.Before = a.Run.ID, a.Generation.Before
	d, r := s.nextRun(d, a.Run, a.ExpectedVersion)
	t := s.transaction()
	name, target := -1, -1
	if a.ExpectedVersion == 0 {
		d.CreatedAt = d.UpdatedAt
		name = t.put(nameItem{head: headOf(deploymentNameKey(d.Org, d.GroupID, d.ReleaseName)), ID: d.ID}, absent())
		target = t.update(groupKey(d.Org, d.GroupID), expression.Add(expression.Name("Deployments"), expression.Value(1)), exists())
		t.put(toDeploymentItem(d), absent())
	} else {
		t.put(toDeploymentItem(d), equal("Version", a.ExpectedVersion).And(equal("Deleting", false)))
	}
	t.put(toGenerationItem(a.Generation), absent())
	t.put(toRunItem(r), absent())
	err := t.commit(ctx)
	failed, ok := refused(err)
	switch {
	case !ok:
		return d, r, wrap(err, "admitting deployment %s", d.ReleaseName)
	case failed[name]:
		return d, r, problem.Conflict("release-name-taken", "the cluster group has a deployment named %q already", d.ReleaseName).
			At("releaseName").Try("choose another name, or update that deployment with PUT")
	case failed[target]:
		return d, r, groupNotFound(d.GroupID)
	case a.ExpectedVersion == 0:
		return d, r, fmt.Errorf("admitting deployment %s: an id is taken: %w", d.ReleaseName, err)
	default:
		return d, r, s.admissionRefused(ctx, d)
	}
}

// AdmitRun keeps a run of the deployment without a new generation, all or nothing. deleting also marks the deployment as being
// removed. A run that only looks neither changes the deployment nor needs its version.
func (s *Store) AdmitRun(ctx context.Context, d deployment.Deployment, r run.Run, expectedVersion int64, deleting bool) (deployment.Deployment, run.Run, error) {
	t := s.transaction()
	if r.Type == run.Check {
		r = s.pending(r)
		t.check(deploymentKey(d.Org, d.ID), exists())
	} else {
		condition := equal("Version", expectedVersion)
		if !deleting {
			condition = condition.And(equal("Deleting", false))
		}
		d.Deleting = d.Deleting || deleting
		d, r = s.nextRun(d, r, expectedVersion)
		t.put(toDeploymentItem(d), condition)
	}
	t.put(toRunItem(r), absent())
	err := t.commit(ctx)
	if _, ok := refused(err); ok {
		return d, r, s.admissionRefused(ctx, d)
	}
	return d, r, wrap(err, "admitting a run of deployment %s", d.ReleaseName)
}

// SetDeployment keeps the deployment's settings as d has them, if it still is at that version.
func (s *Store) SetDeployment(ctx context.Context, d deployment.Deployment, expectedVersion int64) (deployment.Deployment, error) {
	d.Version, d.UpdatedAt = expectedVersion+1, s.now()
	item := toDeploymentItem(d)
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "Mode", item.Mode), "InstallOnJoin", item.InstallOnJoin), "RemovalLimit", item.RemovalLimit), "Ignore", item.Ignore)
	u = set(u, "DependsOn", item.DependsOn)
	u = set(set(u, "Version", item.Version), "UpdatedAt", item.UpdatedAt)
	err := s.update(ctx, deploymentKey(d.Org, d.ID), u, equal("Version", expectedVersion).And(equal("Deleting", false)), nil)
	if conditionFailed(err) {
		return d, s.admissionRefused(ctx, d)
	}
	return d, wrap(err, "changing deployment %s", d.ReleaseName)
}

// nextRun makes r the deployment's newest run.
func (s *Store) nextRun(d deployment.Deployment, r run.Run, version int64) (deployment.Deployment, run.Run) {
	r = s.pending(r)
	d.RunSeq, d.LastRun, d.Version, d.UpdatedAt = d.RunSeq+1, r.ID, version+1, s.now()
	r.Org, r.DeploymentID, r.GroupID, r.ReleaseName = d.Org, d.ID, d.GroupID, d.ReleaseName
	r.Seq, r.Generation = d.RunSeq, d.Generation
	return d, r
}

func (s *Store) admissionRefused(ctx context.Context, d deployment.Deployment) error {
	now, err := s.FindDeployment(ctx, d.Org, d.ID)
	if err != nil {
		return err
	}
	if now.Deleting {
		return problem.Conflict("deployment-deleting", "deployment %q is being removed", d.ReleaseName).
			Try("wait for run %s; if that has ended and something was left, delete it again, with force to leave what cannot be reached", now.LastRun)
	}
	return problem.Conflict("deployment-changed", "deployment %q was changed by somebody else meanwhile", d.ReleaseName).
		Try("read it again and repeat the change")
}

// FindDeployment finds a deployment of the org.
func (s *Store) FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error) {
	var item deploymentItem
	found, err := s.get(ctx, deploymentKey(org, id), &item)
	if err == nil && !found {
		err = deploymentNotFound(id)
	}
	return fromDeploymentItem(item), err
}

// FindDeploymentByName finds the deployment of that release name on a group of the org.
func (s *Store) FindDeploymentByName(ctx context.Context, org, groupID, releaseName string) (deployment.Deployment, error) {
	var item nameItem
	found, err := s.get(ctx, deploymentNameKey(org, groupID, releaseName), &item)
	if err != nil {
		return deployment.Deployment{}, err
	}
	if !found {
		return deployment.Deployment{}, deploymentNotFound(releaseName)
	}
	return s.FindDeployment(ctx, org, item.ID)
}

// ListDeployments lists a group's deployments by release name; with no group, all of the org's, by id.
func (s *Store) ListDeployments(ctx context.Context, org, groupID string, page Page) (deployments []deployment.Deployment, next string, err error) {
	if groupID == "" {
		return listAs(ctx, s, query{pk: orgPK(org), prefix: "DEPLOYMENT#"}, page, fromDeploymentItem)
	}
	var keys []key
	next, err = s.list(ctx, query{pk: orgPK(org), prefix: deploymentNamePrefix(groupID)}, page, func(av map[string]types.AttributeValue) error {
		keys = append(keys, deploymentKey(org, text(av, "ID")))
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	deployments = make([]deployment.Deployment, 0, len(keys))
	err = s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
		var item deploymentItem
		if err := unmarshal(av, &item); err != nil {
			return err
		}
		deployments = append(deployments, fromDeploymentItem(item))
		return nil
	})
	slices.SortFunc(deployments, func(a, b deployment.Deployment) int { return strings.Compare(a.ReleaseName, b.ReleaseName) })
	return deployments, next, err
}

// FindGeneration finds a generation of a deployment.
func (s *Store) FindGeneration(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error) {
	var item generationItem
	found, err := s.get(ctx, generationKey(org, deploymentID, n), &item)
	if err == nil && !found {
		err = problem.NotFound("generation-not-found", "deployment %q has no generation %d", deploymentID, n).Try("list the deployment's generations")
	}
	return fromGenerationItem(item), err
}

// FindGenerations finds the generation that each deployment is at, by the deployment's id; one that is lost is not in the map.
func (s *Store) FindGenerations(ctx context.Context, deployments []deployment.Deployment) (map[string]deployment.Generation, error) {
	keys := make([]key, 0, len(deployments))
	for _, d := range deployments {
		keys = append(keys, generationKey(d.Org, d.ID, d.Generation))
	}
	found := make(map[string]deployment.Generation, len(keys))
	err := s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
		var item generationItem
		err := unmarshal(av, &item)
		found[item.DeploymentID] = fromGenerationItem(item)
		return err
	})
	return found, err
}

// ListGenerations lists the generations of a deployment, newest first.
func (s *Store) ListGenerations(ctx context.Context, org, deploymentID string, page Page) (generations []deployment.Generation, next string, err error) {
	return listAs(ctx, s, query{pk: generationPK(org, deploymentID), prefix: "GEN#", newest: true}, page, fromGenerationItem)
}

// Withdraw makes the generation before g the one that the targets should have again, since the run that was to bring g refused before it
// touched any. Whoever moved the deployment since has the last word, and the first generation stays: there is none to go back to.
func (s *Store) Withdraw(ctx context.Context, g deployment.Generation, runID string) error {
	if g.Before == 0 {
		return nil
	}
	var u expression.UpdateBuilder
	u = set(u, "Generation", g.Before).Add(expression.Name("Version"), expression.Value(1))
	err := s.update(ctx, deploymentKey(g.Org, g.DeploymentID), u, equal("Generation", g.Number).And(equal("LastRun", runID)), nil)
	if conditionFailed(err) {
		return nil
	}
	return wrap(err, "withdrawing generation %d of deployment %s", g.Number, g.DeploymentID)
}

// ForgetDeployment forgets a deployment that is being removed, its name and its generations. It refuses while a release is still
// owned by it. A deployment that is gone already is a success.
func (s *Store) ForgetDeployment(ctx context.Context, org, id string) error {
	var item deploymentItem
	found, err := s.get(ctx, deploymentKey(org, id), &item)
	if err != nil {
		return err
	}
	if found {
		if err := s.forgetHead(ctx, fromDeploymentItem(item)); err != nil {
			return err
		}
	}
	var writes []types.WriteRequest
	_, err = s.list(ctx, query{pk: generationPK(org, id), prefix: "GEN#"}, Page{}, func(av map[string]types.AttributeValue) error {
		k := key{text(av, "PK"), text(av, "SK")}
		writes = append(writes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: k.attributes()}})
		return nil
	})
	if err != nil {
		return err
	}
	return wrap(s.batch(ctx, writes), "forgetting the generations of deployment %s", id)
}

func (s *Store) forgetHead(ctx context.Context, d deployment.Deployment) error {
	owned, err := s.ListReleasesOfOwner(ctx, d.Org, release.OwnedByDeployment(d.ID))
	if err != nil {
		return err
	}
	for _, o := range owned { // the index may still show what is gone
		r, err := s.FindRelease(ctx, o.Key)
		if err == nil && r.Owner == release.OwnedByDeployment(d.ID) {
			return problem.Conflict("deployment-has-releases", "deployment %q still has a release on cluster %q", d.ReleaseName, o.ClusterID).
				Try("remove it with force to forget releases that could not be uninstalled")
		}
		if err != nil && !problem.Is(err, "release-not-found") {
			return err
		}
	}
	t := s.transaction()
	t.remove(deploymentKey(d.Org, d.ID), equal("Deleting", true).And(equal("Version", d.Version)))
	t.remove(deploymentNameKey(d.Org, d.GroupID, d.ReleaseName), equal("ID", d.ID).Or(absent()))
	t.update(groupKey(d.Org, d.GroupID), expression.Add(expression.Name("Deployments"), expression.Value(-1)), exists())
	err = t.commit(ctx)
	if _, ok := refused(err); ok {
		now, findErr := s.FindDeployment(ctx, d.Org, d.ID)
		switch {
		case problem.Is(findErr, "deployment-not-found"):
			return nil
		case findErr != nil:
			return findErr
		case !now.Deleting:
			return problem.Conflict("deployment-not-deleting", "deployment %q is not being removed", d.ReleaseName)
		}
	}
	return wrap(err, "forgetting deployment %s", d.ReleaseName)
}
