package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/provenance"
	"github.com/swell-sh/swell/shared/release"
)

// mappingReserve is what the candidates leave of the function's time, to answer and to admit the run.
const mappingReserve = 8 * time.Second

// rendersAtOnce is how many candidates are tried side by side: each is a child process that may take 512 MB.
const rendersAtOnce = 2

// AdoptDrift finds the value that makes a field, sets it to what is live, and starts the run that brings it to the targets.
func (h handler) AdoptDrift(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, groupID openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.AdoptDriftParams) {
	body, err := openapi.Decode[openapi.AdoptRequest](r, maxBody)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	a := adoption{intake: intake{handler: h, org: org, actor: openapi.PrincipalOf(r.Context()).Name}, asked: body}
	if err := a.find(r.Context(), groupID, params.Field, name); err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	answer := openapi.Adoption{ClusterName: a.target.Name, ValuePath: a.path.String(), Value: a.finding.Live}
	if body.DryRun {
		openapi.Write(w, http.StatusOK, answer)
		return
	}
	a.ifMatch = fmt.Sprintf("%q", fmt.Sprint(a.deployment.Version))
	accepted, err := a.admit(r.Context(), groupID, params.Field, name)
	if problem.Is(err, "precondition-failed") {
		err = problem.Conflict("deployment-changed", "deployment %q was changed by somebody else meanwhile", name).Try("look at its drift again")
	}
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	h.start(r.Context(), accepted.run)
	answer.Generation, answer.Run = accepted.run.Generation, accepted.run.ID
	w.Header().Set("Location", openapi.RunLocation(accepted.run))
	openapi.Write(w, http.StatusAccepted, answer)
}

// adoption is one request to make a live value the desired one.
type adoption struct {
	intake
	asked      openapi.AdoptRequest
	deployment deployment.Deployment
	generation deployment.Generation
	target     cluster.Cluster
	finding    drift.Finding
	set        map[string]any // the values that the target gets
	effective  map[string]any // with the chart's own
	path       diff.Path      // of the value that makes the field
}

// find finds the value. The override that sets it becomes the request, laid over the values that are set.
func (a *adoption) find(ctx context.Context, groupID string, field openapi.FieldQuery, name string) error {
	g, members, err := a.group(ctx, groupID, field)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(members, func(c cluster.Cluster) bool { return c.Name == a.asked.Cluster })
	if i < 0 {
		return problem.Invalid("cluster-not-found", "no member of group %s is named %q", g.Name, a.asked.Cluster).At("cluster").Try("name a member of the group")
	}
	a.target = members[i]
	if a.deployment, err = a.store.FindDeploymentByName(ctx, a.org, g.ID, name); err != nil {
		return err
	}
	if a.generation, err = a.store.FindGeneration(ctx, a.org, a.deployment.ID, a.deployment.Generation); err != nil {
		return fmt.Errorf("finding generation %d of deployment %s: %w", a.deployment.Generation, name, err)
	}
	if err := a.found(ctx); err != nil {
		return err
	}
	archive, err := a.objects.GetChart(ctx, a.org, a.generation.Chart.Digest)
	if err != nil {
		return err
	}
	if err := a.read(ctx, archive); err != nil {
		return err
	}
	if a.path, err = a.mapped(ctx, archive); err != nil {
		return err
	}
	a.body = openapi.DeploymentRequest{ReuseValues: true, ValueOverrides: openapi.OverridesOf(map[string]map[string]any{
		a.target.Name: a.finding.Override(a.effective, a.path),
	})}
	return nil
}

// found finds the difference as it was last seen.
func (a *adoption) found(ctx context.Context) error {
	key := release.Key{Org: a.org, ClusterID: a.target.ID, Namespace: a.deployment.Namespace, Name: a.deployment.ReleaseName}
	releases, err := a.store.FindReleases(ctx, []release.Key{key})
	if err != nil {
		return fmt.Errorf("finding release %s on cluster %s: %w", key.Name, a.target.Name, err)
	}
	var findings []drift.Finding
	if rel := releases[key]; rel.DriftedObjects() > 0 {
		if findings, err = a.objects.GetFindings(ctx, a.org, rel.Drift.Ref); err != nil {
			return err
		}
	}
	asked := a.asked
	findings = slices.DeleteFunc(findings, func(f drift.Finding) bool {
		return f.Kind != asked.Kind || f.Name != asked.Name || f.Path != asked.Path || asked.Namespace != "" && f.Namespace != asked.Namespace
	})
	switch {
	case len(findings) == 0:
		return problem.NotFound("drift-not-found", "no such difference was seen when cluster %s was last looked at", a.target.Name).At("path").
			Try("list the drift, or check the deployment first")
	case len(findings) > 1:
		return problem.Conflict("drift-ambiguous", "%d objects differ there", len(findings)).At("namespace").Try("name the namespace too")
	case findings[0].Kind == "Secret":
		return secret()
	case !findings[0].Adoptable():
		return problem.Invalid("drift-not-mappable", "no single value can make it: only a text, a number or a boolean that changed can be adopted").At("path").
			Try("change the values by an update, or put the field right with a sync")
	}
	a.finding = findings[0]
	return nil
}

func secret() error {
	return problem.Invalid("drift-secret", "the field is secret, and its live value was not kept").At("path").Try("set the value by an update")
}

// read reads what is set and what the chart sets itself. What is secret is not adopted: nobody saw what would be.
func (a *adoption) read(ctx context.Context, archive []byte) error {
	var values deployment.Values
	if err := a.objects.GetValues(ctx, a.org, a.generation.ValuesRef, &values); err != nil {
		return fmt.Errorf("reading the values of generation %d: %w", a.generation.Number, err)
	}
	a.set = values.For(a.target.Name)
	masked, err := mask.Parse(a.generation.SecretPaths)
	if err != nil {
		return err
	}
	shown := mask.Findings([]drift.Finding{a.finding}, masked.Literals(a.set))[0]
	if shown.Path != a.finding.Path || shown.Want != a.finding.Want || shown.Live != a.finding.Live {
		return secret()
	}
	defaults, err := chart.Defaults(archive)
	if err != nil {
		return err
	}
	explained, err := provenance.Explain(defaults, provenance.Values{Values: a.set})
	a.effective = explained.Values(nil)
	return err
}

// mapped is the one value that makes the field: with the live value in its place, the render differs in that field alone.
func (a *adoption) mapped(ctx context.Context, archive []byte) (diff.Path, error) {
	candidates := a.finding.Candidates(a.effective)
	if asked := a.asked.ValuePath; asked != "" {
		candidates = slices.DeleteFunc(candidates, func(p diff.Path) bool { return p.String() != asked })
	}
	if len(candidates) == 0 {
		return nil, notMappable()
	}
	candidates = candidates[:min(len(candidates), drift.MaxCandidates)]
	before, err := a.rendered(ctx, archive, nil)
	if err != nil {
		return nil, err
	}
	makes := make([]bool, len(candidates))
	inTime, cancel := context.WithCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		inTime, cancel = context.WithDeadline(ctx, end.Add(-mappingReserve))
	}
	defer cancel()
	tasks, taskCtx := errgroup.WithContext(inTime)
	tasks.SetLimit(rendersAtOnce)
	for i, candidate := range candidates {
		tasks.Go(func() error {
			after, err := a.rendered(taskCtx, archive, a.finding.Override(a.effective, candidate))
			if _, refused := problem.From(err); refused {
				return nil // the chart does not take the live value there
			}
			makes[i] = err == nil && a.finding.MadeBy(before, after)
			return err
		})
	}
	err = tasks.Wait()
	if inTime.Err() != nil && ctx.Err() == nil {
		return nil, problem.Invalid("drift-mapping-slow", "trying the %d values that could make the field took too long", len(candidates)).At("valuePath").
			Try("name the value to set")
	}
	if err != nil {
		return nil, err
	}
	var paths []diff.Path
	var names []string
	for i, candidate := range candidates {
		if makes[i] {
			paths, names = append(paths, candidate), append(names, candidate.String())
		}
	}
	switch len(paths) {
	case 0:
		return nil, notMappable()
	case 1:
		return paths[0], nil
	}
	return nil, problem.Conflict("drift-ambiguous", "several values make the field, each by itself: %s", strings.Join(names, ", ")).At("valuePath").
		Try("name the one to set")
}

func notMappable() error {
	return problem.Invalid("drift-not-mappable", "no value of the chart makes this field and nothing else").At("path").
		Try("change the values by an update, put the field right with a sync, or ignore it")
}

// rendered are the objects that the target would get with override laid over its values.
func (a *adoption) rendered(ctx context.Context, archive []byte, override map[string]any) ([]map[string]any, error) {
	out, err := helm.Render(ctx, helm.Request{
		Archive: archive, Values: deployment.Merge(a.set, override), Release: a.deployment.ReleaseName, Namespace: a.deployment.Namespace,
		KubeVersion: a.target.Version, Revision: 2, Show: true,
	})
	if err != nil {
		return nil, err
	}
	return kube.Objects([]byte(out.Shown.Manifest))
}
