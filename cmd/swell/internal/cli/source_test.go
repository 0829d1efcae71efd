package cli_test

import (
	"net/http"
	"slices"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/source"
)

func (in *installation) ListSources(w http.ResponseWriter, _ *http.Request, _ string, _ openapi.ListSourcesParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	openapi.Write(w, http.StatusOK, openapi.SourceList{Items: in.sources})
}

func (in *installation) CreateSource(w http.ResponseWriter, r *http.Request, _ string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if request, ok := body[openapi.SourceRequest](in, w, r); ok {
		s, _, err := request.Domain()
		in.keepSource(w, r, http.StatusCreated, s, err)
	}
}

func (in *installation) keepSource(w http.ResponseWriter, r *http.Request, status int, s source.Source, err error) {
	if err != nil {
		openapi.WriteProblem(w, r, err)
		return
	}
	s.Org, s.CreatedAt = "default", epoch
	in.sources = slices.DeleteFunc(in.sources, func(other openapi.Source) bool { return other.Name == s.Name })
	in.sources = append(in.sources, openapi.SourceOf(s))
	openapi.Write(w, status, openapi.SourceOf(s))
}

func (in *installation) source(w http.ResponseWriter, r *http.Request, name string) (openapi.Source, bool) {
	i := slices.IndexFunc(in.sources, func(s openapi.Source) bool { return s.Name == name })
	if i < 0 {
		missing(w, r, "source", name)
		return openapi.Source{}, false
	}
	return in.sources[i], true
}

func (in *installation) GetSource(w http.ResponseWriter, r *http.Request, _, name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if s, ok := in.source(w, r, name); ok {
		openapi.Write(w, http.StatusOK, s)
	}
}

func (in *installation) ReplaceSource(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.ReplaceSourceParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	was, ok := in.source(w, r, name)
	if !ok {
		return
	}
	if request, ok := body[openapi.ReplaceSourceRequest](in, w, r); ok {
		s, _, err := request.Domain(name, source.Kind(was.Kind))
		in.keepSource(w, r, http.StatusOK, s, err)
	}
}

func (in *installation) RotateSource(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.RotateSourceParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if s, ok := in.source(w, r, name); ok {
		if _, ok := body[openapi.RotateSourceRequest](in, w, r); ok {
			openapi.Write(w, http.StatusOK, s)
		}
	}
}

func (in *installation) DeleteSource(w http.ResponseWriter, _ *http.Request, _, name string, _ openapi.DeleteSourceParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.sources = slices.DeleteFunc(in.sources, func(s openapi.Source) bool { return s.Name == name })
	w.WriteHeader(http.StatusNoContent)
}

func (in *installation) ListDeliveries(w http.ResponseWriter, _ *http.Request, _, _ string, _ openapi.ListDeliveriesParams) {
	openapi.Write(w, http.StatusOK, openapi.DeliveryList{Items: []openapi.Delivery{
		{ID: "d-2", Event: "push", Ref: "refs/heads/main", Commit: "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", Outcome: openapi.DeliveryOutcomeAccepted, ReceivedAt: epoch,
			Rules: []openapi.DeliveredRule{{Group: "eu", ReleaseName: "shop", Outcome: openapi.DeliveryOutcomeAccepted, Run: "r-9"}}},
		{ID: "d-1", Event: "image", Image: "acme/shop", Tag: "1.2.3", Outcome: openapi.DeliveryOutcomeIgnored, Why: "no rule is about image acme/shop", ReceivedAt: epoch},
	}})
}
