package cli_test

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

// generation is one of a deployment's: the first has one replica, and each later one a replica more.
func (in *installation) generation(d *openapi.Deployment, number int) openapi.Generation {
	g := openapi.Generation{
		Number: number, Current: number == d.Generation, Chart: d.Chart, ChartName: d.ChartName, ChartVersion: "0.1.0", ChartDigest: "sha256:0",
		TimeoutSeconds: 600, CreatedAt: epoch, CreatorName: "admin", Run: "r-" + strconv.Itoa(number), Result: openapi.RunStatusSucceeded,
	}
	if number > 2 {
		g.ChartVersion, g.ChartDigest = "0.2.0", "sha256:1"
	}
	return g
}

// ListGenerations has pages of one, so that a client has to ask for the next.
func (in *installation) ListGenerations(w http.ResponseWriter, r *http.Request, _, _, release string, params openapi.ListGenerationsParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		number := d.NewestGeneration
		if params.Cursor != "" {
			number, _ = strconv.Atoi(params.Cursor)
		}
		g := in.generation(d, number)
		for _, run := range in.runs {
			if run.Type == openapi.RunTypeRollback && run.Deployment.Generation == number {
				g.LastRun = openapi.GenerationRun{ID: run.ID, Type: run.Type, Status: run.Status, Actor: "admin", From: 3, CreatedAt: epoch.Add(time.Hour)}
				g.Rollbacks = append(g.Rollbacks, g.LastRun)
			}
		}
		page := openapi.GenerationList{Items: []openapi.Generation{g}}
		if number > 1 {
			page.NextCursor = strconv.Itoa(number - 1)
		}
		openapi.Write(w, http.StatusOK, page)
	})
}

func (in *installation) withGeneration(w http.ResponseWriter, r *http.Request, release string, number int, then func(*openapi.Deployment)) {
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		if number > d.NewestGeneration {
			missing(w, r, "generation", strconv.Itoa(number))
			return
		}
		then(d)
	})
}

func (in *installation) GetGeneration(w http.ResponseWriter, r *http.Request, _, _, release string, number int, _ openapi.GetGenerationParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withGeneration(w, r, release, number, func(d *openapi.Deployment) {
		g := in.generation(d, number)
		openapi.Write(w, http.StatusOK, openapi.GenerationDetails{
			Number: g.Number, ChartName: g.ChartName, ChartVersion: g.ChartVersion, Values: openapi.Values{"replicaCount": number, "password": "[masked]"},
		})
	})
}

func (in *installation) DiffGenerations(w http.ResponseWriter, r *http.Request, _, _, release string, number int, params openapi.DiffGenerationsParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withGeneration(w, r, release, max(number, params.To), func(d *openapi.Deployment) {
		to := params.To
		if to == 0 {
			to = d.Generation
		}
		doc := openapi.GenerationDiff{Before: in.generation(d, number), After: in.generation(d, to)}
		if number != to {
			doc.Values = []openapi.ValueChange{{Path: "replicaCount", Op: openapi.ChangeOpChanged, Before: number, After: to}}
			doc.ValueOverrides = map[string][]openapi.ValueChange{"pke-demo": {{Path: "note", Op: openapi.ChangeOpAdded, After: "two words"}}}
		}
		openapi.Write(w, http.StatusOK, doc)
	})
}

func (in *installation) RollbackDeployment(w http.ResponseWriter, r *http.Request, _, _, release string, _ openapi.RollbackDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.RollbackRequest](in, w, r)
	if !ok {
		return
	}
	in.withGeneration(w, r, release, request.Generation, func(d *openapi.Deployment) {
		if request.Generation == d.Generation {
			openapi.WriteProblem(w, r, problem.Conflict("generation-current", "deployment %q is at generation %d already", release, d.Generation).
				At("generation").Try("name another generation"))
			return
		}
		d.Generation = request.Generation
		in.accept(w, openapi.RunTypeRollback, d)
	})
}

func (in *installation) RedriveRun(w http.ResponseWriter, r *http.Request, _, id string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.IndexFunc(in.runs, func(run openapi.RunDetails) bool { return run.ID == id })
	if i < 0 {
		missing(w, r, "run", id)
		return
	}
	if in.runs[i].Counts.Failed == 0 {
		openapi.WriteProblem(w, r, problem.Conflict("nothing-to-redrive", "no target of run %q failed or was canceled", id).Try("sync the deployment"))
		return
	}
	again := in.start(in.runs[i].Type, in.deployment(in.runs[i].Deployment.ReleaseName))
	last := &in.runs[len(in.runs)-1]
	last.RedriveOf = id
	for _, t := range in.runs[i].Targets {
		if t.Status == openapi.RunTargetStatusFailed {
			last.Only = append(last.Only, t.ClusterID)
		}
	}
	w.Header().Set("Location", "/api/v1/orgs/default/runs/"+again)
	doc := summary(*last)
	doc.RedriveOf, doc.Only = last.RedriveOf, last.Only
	openapi.Write(w, http.StatusAccepted, doc)
}
