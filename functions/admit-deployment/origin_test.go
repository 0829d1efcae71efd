package main

import (
	"context"
	"testing"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/source"
)

// following is the store with one source.
type following struct{ store }

func (following) FindSource(context.Context, string, string) (source.Source, error) {
	return source.Source{Name: "shop", Kind: source.GitHub}, nil
}

// Only the key of a source puts a commit into the history, and only as that source.
func TestFrom(t *testing.T) {
	origin := openapi.RequestOrigin{Repository: "acme/shop", Ref: "refs/heads/main", Commit: "c0ffee", PullRequest: 7, URL: "https://x"}
	for name, tc := range map[string]struct {
		actor, role string
		origin      openapi.RequestOrigin
		want        run.Run
		refused     bool
	}{
		"a source":            {"source/shop", openapi.RoleDeployer, origin, run.Run{Trigger: "source", Origin: run.Origin{Source: "shop", Kind: "github", Repository: "acme/shop", Ref: "refs/heads/main", Commit: "c0ffee", PullRequest: 7, URL: "https://x"}}, false},
		"nothing said":        {"ann", openapi.RoleAdmin, openapi.RequestOrigin{}, run.Run{Trigger: "api"}, false},
		"a person":            {"ann", openapi.RoleAdmin, origin, run.Run{}, true},
		"named like a source": {"source/shop", openapi.RoleAdmin, origin, run.Run{}, true},
	} {
		in := intake{handler: handler{store: following{}}, actor: tc.actor, role: tc.role, body: openapi.DeploymentRequest{Origin: tc.origin}}
		got, err := in.from(t.Context(), run.Run{Trigger: "api"})
		if problem.Is(err, "origin-refused") != tc.refused || !tc.refused && (err != nil || got.Origin != tc.want.Origin || got.Trigger != tc.want.Trigger) {
			t.Errorf("%s: %+v, %v", name, got.Origin, err)
		}
	}
}
