package cli_test

import (
	"net/http"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

func (in *installation) ListRepositories(w http.ResponseWriter, _ *http.Request, _ string, _ openapi.ListRepositoriesParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	openapi.Write(w, http.StatusOK, openapi.RepositoryList{Items: in.repos})
}

func (in *installation) AddRepository(w http.ResponseWriter, r *http.Request, _ string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if request, ok := body[openapi.RepositoryRequest](in, w, r); ok {
		in.keep(w, r, http.StatusCreated, request.Name, openapi.ReplaceRepositoryRequest(request))
	}
}

func (in *installation) ReplaceRepository(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.ReplaceRepositoryParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if request, ok := body[openapi.ReplaceRepositoryRequest](in, w, r); ok {
		in.keep(w, r, http.StatusOK, name, request)
	}
}

// keep checks by the domain's rules.
func (in *installation) keep(w http.ResponseWriter, r *http.Request, status int, name string, request openapi.ReplaceRepositoryRequest) {
	repo, _, err := request.Domain(name)
	if err != nil {
		openapi.WriteProblem(w, r, err)
		return
	}
	repo.CreatedAt = epoch
	in.repos = slices.DeleteFunc(in.repos, func(r openapi.Repository) bool { return r.Name == name })
	in.repos = append(in.repos, openapi.RepositoryOf(repo))
	openapi.Write(w, status, openapi.RepositoryOf(repo))
}

func (in *installation) GetRepository(w http.ResponseWriter, r *http.Request, _, name string) {
	if repo, ok := in.repository(w, r, name); ok {
		openapi.Write(w, http.StatusOK, repo)
	}
}

func (in *installation) repository(w http.ResponseWriter, r *http.Request, name string) (openapi.Repository, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.IndexFunc(in.repos, func(r openapi.Repository) bool { return r.Name == name })
	if i < 0 {
		missing(w, r, "repository", name)
		return openapi.Repository{}, false
	}
	return in.repos[i], true
}

func (in *installation) RemoveRepository(w http.ResponseWriter, _ *http.Request, _, name string, _ openapi.RemoveRepositoryParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.repos = slices.DeleteFunc(in.repos, func(r openapi.Repository) bool { return r.Name == name })
	w.WriteHeader(http.StatusNoContent)
}

// ListCharts has two pages, and one repository that is down.
func (in *installation) ListCharts(w http.ResponseWriter, r *http.Request, _, name string, params openapi.ListChartsParams) {
	repo, ok := in.repository(w, r, name)
	switch {
	case !ok:
	case repo.Type == openapi.RepositoryTypeOci:
		openapi.WriteProblem(w, r, problem.Invalid("repository-not-listed", "repository %s is in an OCI registry", name).At("repo").Try("ask for a chart by name"))
	case strings.Contains(repo.URL, "down"):
		openapi.WriteProblem(w, r, problem.With(http.StatusFailedDependency, "repository-unreachable", "repository %s cannot be reached", name).At("repo").Try("Try again."))
	case params.Cursor == "":
		openapi.Write(w, http.StatusOK, openapi.ListedChartList{NextCursor: "2", Items: []openapi.ListedChart{
			{Name: "cache", Version: "0.1.0", Deprecated: true, Description: "A cache\nof things " + params.Query},
		}})
	default:
		openapi.Write(w, http.StatusOK, openapi.ListedChartList{Items: []openapi.ListedChart{{Name: "web", Version: "1.2.0", AppVersion: "7"}}})
	}
}

func (in *installation) ListChartVersions(w http.ResponseWriter, r *http.Request, _, name, chart string, params openapi.ListChartVersionsParams) {
	if _, ok := in.repository(w, r, name); !ok {
		return
	}
	provenance := openapi.ChartProvenance("unknown")
	if params.Provenance {
		provenance = "present"
	}
	openapi.Write(w, http.StatusOK, openapi.ChartVersionList{NextCursor: "older", Items: []openapi.ChartVersion{
		{Version: "1.2.0", AppVersion: "7", CreatedAt: epoch, Digest: "sha256:ab", Provenance: provenance}, {Version: "1.0.0-of-" + chart, Provenance: provenance},
	}})
}
