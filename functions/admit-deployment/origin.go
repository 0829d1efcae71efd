package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/source"
)

// from gives a run its origin. Only the key of a source may name one, and the source is the key's: nobody else can put a commit into the history.
func (in intake) from(ctx context.Context, r run.Run) (run.Run, error) {
	o := in.body.Origin
	if o == (openapi.RequestOrigin{}) {
		return r, nil
	}
	name, ok := strings.CutPrefix(in.actor, source.ActorPrefix)
	if !ok || in.role != openapi.RoleDeployer {
		return r, problem.With(http.StatusForbidden, "origin-refused", "only the key of a source may say what a change comes from").At("origin").Try("leave it out")
	}
	s, err := in.store.FindSource(ctx, in.org, name)
	if err != nil {
		return r, err
	}
	r.Trigger = "source"
	r.Origin = run.Origin{Source: name, Kind: string(s.Kind), Repository: o.Repository, Ref: o.Ref, Commit: o.Commit, PullRequest: o.PullRequest, URL: o.URL}
	return r, nil
}
