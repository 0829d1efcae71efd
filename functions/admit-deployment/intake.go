package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// intake is one request for a deployment on its way to a generation. Nothing is written before all of it was found good, but for values
// and charts, which are kept by their digest.
type intake struct {
	handler
	org   string
	actor string
	body  openapi.DeploymentRequest

	ifMatch string
	role    string
}

type accepted struct {
	deployment deployment.Deployment
	run        run.Run
	members    []cluster.Cluster
}

func (in intake) admit(ctx context.Context, groupID string, field openapi.FieldQuery, releaseName string) (accepted, error) {
	if err := notBuilt(in.body); err != nil {
		return accepted{}, err
	}
	g, members, err := in.group(ctx, groupID, field)
	if err != nil {
		return accepted{}, err
	}
	head, was, err := in.head(ctx, g, releaseName)
	if err == nil {
		head, err = in.settings(head)
	}
	if err == nil {
		head, err = in.dependsOn(ctx, head)
	}
	if err != nil {
		return accepted{}, err
	}
	rules, err := in.rules(ctx, was, members)
	if err != nil {
		return accepted{}, err
	}
	if err := in.free(ctx, head, members); err != nil {
		return accepted{}, err
	}
	resolved, archive, err := in.chart(ctx, was)
	if err != nil {
		return accepted{}, err
	}
	secret, err := in.secret(ctx, head, was, archive)
	if err != nil {
		return accepted{}, err
	}
	intended, err := in.values(ctx, was, members, secret)
	if err != nil {
		return accepted{}, err
	}
	values := intended.values
	if err := in.render(ctx, archive, head, values, members); err != nil {
		return accepted{}, err
	}
	ref, own, err := in.keep(ctx, intended)
	if err != nil {
		return accepted{}, fmt.Errorf("keeping the values of deployment %s: %w", head.ReleaseName, err)
	}
	generation := deployment.Generation{
		Org: in.org, DeploymentID: head.ID, Number: head.Newest + 1, Chart: resolved, ValuesRef: ref,
		SecretPaths: secret.Strings(), OwnValuesRef: own, Reused: intended.reused, Before: head.Generation,
		Overridden: slices.Sorted(maps.Keys(values.Overrides)), TimeoutSeconds: in.timeout(was), CreatedAt: in.now().UTC(), CreatedBy: in.actor,
	}
	generation.Remediation, generation.Atomic, generation.Rollout = rules.Remediation, rules.Atomic, rules.Rollout
	generation.HealthChecks, generation.Tests = rules.HealthChecks, rules.Tests
	expected := head.Version
	head.Generation = generation.Number
	if in.body.DryRun || in.body.DryRunPipeline {
		planned, err := in.plan(ctx, deployment.Draft{Deployment: head, Generation: generation, ExpectedVersion: expected})
		return accepted{deployment: head, run: planned, members: members}, err
	}
	admitted, err := in.from(ctx, run.New(id.New(), run.Deploy, in.org, "api", in.actor, in.now().UTC()).About(head.ID, g.ID, head.ReleaseName, generation.Number))
	if err != nil {
		return accepted{}, err
	}
	head, admitted, err = in.store.AdmitDeployment(ctx, dynamo.Admission{Deployment: head, Generation: generation, Run: admitted, ExpectedVersion: expected})
	return accepted{deployment: head, run: admitted, members: members}, err
}

// plan starts no deployment: a run finds what the draft would change, and nothing else is written.
func (in intake) plan(ctx context.Context, d deployment.Draft) (run.Run, error) {
	if d.Deployment.Deleting {
		return run.Run{}, problem.Conflict("deployment-deleting", "deployment %q is being removed", d.Deployment.ReleaseName).
			Try("wait for run %s, then create it again", d.Deployment.LastRun)
	}
	planned, err := in.from(ctx, run.New(id.New(), run.Plan, in.org, "api", in.actor, in.now().UTC()))
	if err != nil {
		return planned, err
	}
	return in.store.AdmitPlan(ctx, d, planned)
}

func (in intake) group(ctx context.Context, idOrName string, field openapi.FieldQuery) (group.Group, []cluster.Cluster, error) {
	find := in.store.FindGroup
	if field == openapi.FieldName {
		find = in.store.FindGroupByName
	}
	g, err := find(ctx, in.org, idOrName)
	if err != nil {
		return g, nil, err
	}
	if err := g.Fits(); err != nil {
		return g, nil, err
	}
	found, err := in.store.FindClusters(ctx, in.org, g.Members)
	if err != nil {
		return g, nil, fmt.Errorf("finding the members of group %s: %w", g.Name, err)
	}
	members := make([]cluster.Cluster, 0, len(g.Members))
	for _, member := range g.Members {
		members = append(members, found[member])
	}
	return g, members, nil
}

// head is the deployment as it shall be, and the generation it comes from; none when it is new.
func (in intake) head(ctx context.Context, g group.Group, releaseName string) (deployment.Deployment, *deployment.Generation, error) {
	if releaseName == "" {
		d, err := in.newHead(g)
		if err != nil {
			return d, nil, err
		}
		_, err = in.store.FindDeploymentByName(ctx, in.org, g.ID, d.ReleaseName)
		if p, ok := problem.From(err); ok && p.Status == http.StatusNotFound {
			return d, nil, nil
		}
		if err == nil {
			err = problem.Conflict("release-name-taken", "the group has a deployment named %s", d.ReleaseName).At("releaseName").Try("update it with PUT, or choose another name")
		}
		return d, nil, err
	}
	d, err := in.store.FindDeploymentByName(ctx, in.org, g.ID, releaseName)
	if err == nil {
		err = openapi.CheckIfMatch(in.ifMatch, d.Version)
	}
	if err != nil {
		return d, nil, err
	}
	was, err := in.store.FindGeneration(ctx, in.org, d.ID, d.Generation)
	if err != nil {
		return d, nil, fmt.Errorf("finding generation %d of deployment %s: %w", d.Generation, d.ReleaseName, err)
	}
	if name := in.body.ReleaseName; name != "" && name != d.ReleaseName {
		return d, nil, problem.Invalid("release-name-fixed", "a release cannot be renamed to %s", name).At("releaseName").Try("leave it out, or create another deployment")
	}
	if ns := in.body.Namespace; ns != "" && ns != d.Namespace {
		return d, nil, problem.Invalid("namespace-fixed", "a release cannot be moved from namespace %s to %s", d.Namespace, ns).At("namespace").
			Try("leave it out, or create another deployment")
	}
	if in.body.Mode != "" {
		d.Mode = deployment.Mode(in.body.Mode)
	}
	return d, &was, nil
}

// settings are those that the request names; the others stay.
func (in intake) settings(d deployment.Deployment) (deployment.Deployment, error) {
	if install := in.body.InstallOnJoin; install != nil {
		d.InstallOnJoin = *install
	}
	if percent := in.body.RemovalLimitPercent; percent != nil {
		d.RemovalLimit = *percent
		return d, deployment.ValidateRemovalLimit(*percent)
	}
	return d, nil
}

func (in intake) newHead(g group.Group) (deployment.Deployment, error) {
	d := deployment.Deployment{
		Org: in.org, ID: id.New(), GroupID: g.ID, ReleaseName: in.body.ReleaseName, Namespace: in.body.Namespace, Mode: deployment.Mode(in.body.Mode),
		CreatedAt: in.now().UTC(), CreatedBy: in.actor,
	}
	if d.ReleaseName == "" {
		d.ReleaseName = deployment.RandomName()
	}
	if d.Namespace == "" {
		d.Namespace = deployment.DefaultNamespace
	}
	if d.Mode == "" {
		d.Mode = deployment.Detect
	}
	if err := deployment.ValidateReleaseName(d.ReleaseName); err != nil {
		return d, err
	}
	return d, deployment.ValidateNamespace(d.Namespace)
}

// free refuses a release name that another owner holds on a target. What only the clusters know is found by the run.
func (in intake) free(ctx context.Context, d deployment.Deployment, members []cluster.Cluster) error {
	keys := make([]release.Key, 0, len(members))
	names := map[string]string{}
	for _, c := range members {
		keys = append(keys, release.Key{Org: in.org, ClusterID: c.ID, Namespace: d.Namespace, Name: d.ReleaseName})
		names[c.ID] = c.Name
	}
	held, err := in.store.FindReleases(ctx, keys)
	if err != nil {
		return fmt.Errorf("finding who holds release %s: %w", d.ReleaseName, err)
	}
	for key, rel := range held {
		if rel.Owner != release.OwnedByDeployment(d.ID) {
			return problem.Conflict("release-claimed", "another deployment has release %s in namespace %s of cluster %s", key.Name, key.Namespace, names[key.ClusterID]).
				At("releaseName").Try("choose another name or namespace")
		}
	}
	return nil
}

func (in intake) timeout(was *deployment.Generation) int {
	switch {
	case in.body.TimeoutSeconds != nil:
		return *in.body.TimeoutSeconds
	case was != nil:
		return was.TimeoutSeconds
	}
	return deployment.DefaultTimeout
}

// chart resolves the chart asked for to bytes that are kept. An update that names neither chart nor version keeps what it has.
func (in intake) chart(ctx context.Context, was *deployment.Generation) (deployment.Chart, []byte, error) {
	if t := in.body.TimeoutSeconds; t != nil {
		if err := deployment.ValidateTimeout(*t); err != nil {
			return deployment.Chart{}, nil, err
		}
	}
	name := in.body.Name
	if name == "" && was != nil {
		name = was.Chart.Ref
		if in.body.Version == "" {
			archive, err := in.objects.GetChart(ctx, in.org, was.Chart.Digest)
			return was.Chart, archive, err
		}
	}
	ref, err := catalog.ParseRef(name)
	if err != nil {
		return deployment.Chart{}, nil, atName(err)
	}
	archive, err := in.fetch(ctx, ref)
	if err != nil {
		return deployment.Chart{}, nil, atName(err)
	}
	meta, digest, err := in.keepChart(ctx, in.org, archive)
	if err != nil {
		return deployment.Chart{}, nil, atName(err)
	}
	if ref.Digest != "" && in.body.Version != "" && in.body.Version != meta.Version {
		return deployment.Chart{}, nil, problem.Invalid("chart-version-mismatch", "the archive is version %s of chart %s", meta.Version, meta.Name).At("version").
			Try("leave version out: a digest says which one")
	}
	resolved := deployment.Chart{Ref: ref.String(), Name: meta.Name, Version: meta.Version, Digest: digest, Description: meta.Description}
	return resolved, archive, in.unmoved(ctx, ref, resolved, was)
}

func (in intake) fetch(ctx context.Context, ref catalog.Ref) ([]byte, error) {
	if ref.Digest != "" {
		return in.objects.GetChart(ctx, in.org, ref.Digest)
	}
	source, err := in.source(ctx, ref)
	if err != nil {
		return nil, err
	}
	resolved, err := in.charts.Resolve(ctx, ref, in.body.Version, source)
	if err != nil {
		return nil, err
	}
	archive, err := in.charts.Fetch(ctx, resolved, source)
	if err != nil {
		return nil, err
	}
	meta, err := chart.Check(archive)
	if err != nil {
		return nil, err
	}
	return archive, resolved.Verify(meta)
}

// source is the repository that a chart is named by, and what it is read with.
func (in intake) source(ctx context.Context, ref catalog.Ref) (catalog.Source, error) {
	if ref.Repository == "" {
		return catalog.Source{}, nil
	}
	repo, err := in.store.FindRepository(ctx, in.org, ref.Repository)
	if err != nil {
		return catalog.Source{}, err
	}
	credential, err := in.credentials.OfRepository(ctx, repo)
	return catalog.Source{Repository: repo, Credential: credential}, err
}

// atName puts what is wrong with the chart where the request has it: Pipeline calls the field name. What the body names and is not there
// is a fault of the body: 404 is for the path.
func atName(err error) error {
	p, ok := problem.From(err)
	if !ok {
		return err
	}
	if p.Field == "" || p.Field == "chart" {
		p = p.At("name")
	}
	if p.Status == http.StatusNotFound {
		p = p.At(p.Field) // a copy
		p.Status = http.StatusUnprocessableEntity
	}
	return p
}

// render renders the chart with the common values, and with each override, on a cluster of no particular sort: schema and template faults
// are the caller's to hear of now. What depends on a cluster is found by the run.
func (in intake) render(ctx context.Context, archive []byte, d deployment.Deployment, values deployment.Values, members []cluster.Cluster) error {
	rendered := map[string]bool{}
	for _, c := range members {
		override, ok := values.Overrides[c.Name]
		digest := release.Digest(override)
		if rendered[digest] || len(rendered) >= maxRenders {
			continue
		}
		rendered[digest] = true
		_, err := helm.Render(ctx, helm.Request{Archive: archive, Values: values.For(c.Name), Release: d.ReleaseName, Namespace: d.Namespace, KubeVersion: c.Version})
		if p, isProblem := problem.From(err); isProblem {
			return atValues(p, c.Name, override, ok)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// atValues puts what is wrong with a render where the request has it: in the override if that sets the path, else in the common values.
func atValues(p *problem.Problem, cluster string, override map[string]any, overridden bool) *problem.Problem {
	if p.Field == "" {
		p = p.At("values")
	}
	if p.Remedy == "" {
		p = p.Try("correct the values, or the chart: helm template says the same")
	}
	if !overridden {
		return p
	}
	p = p.At(p.Field) // a copy
	p.Detail = fmt.Sprintf("with the override of cluster %s: %s", cluster, p.Detail)
	path, inValues := strings.CutPrefix(p.Field, "values.")
	first, _, _ := strings.Cut(path, ".")
	if _, sets := override[first]; inValues && sets {
		p.Field = "valueOverrides." + cluster + "." + path
	}
	return p
}

// maxRenders bounds what a request may cost; the run renders every distinct input, whatever their number.
const maxRenders = 8
