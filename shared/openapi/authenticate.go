package openapi

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/problem"
)

// Principal is who a request comes from.
type Principal struct {
	Org  string
	Name string
	Role string
}

// RoleAdmin may do everything. RoleDeployer, a source's, may update deployments and push charts. Any other role may only read.
const (
	RoleAdmin    = "admin"
	RoleDeployer = "deployer"
)

// Verify says whose key a token is. An unknown key is the problem Unauthenticated; any other error is Swell's own.
type Verify func(ctx context.Context, token string) (Principal, error)

type principalKey struct{}

// PrincipalOf returns who the request comes from; Authenticate put it there.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// WithPrincipal gives a context the principal.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// ErrUnauthenticated is what Verify returns for a key that is nobody's. Its words are the same for no key and for a wrong one.
func ErrUnauthenticated() error {
	return problem.With(http.StatusUnauthorized, "unauthenticated", "there is no valid key in this request").
		At("Authorization").Try("send the header Authorization: Bearer <key>")
}

// public needs no key.
var public = []string{"/openapi.json", "/api/version"}

// Authenticate lets a request pass with a valid key only, but for the document and the version. CheckParameters then refuses the key of
// another organization, since only the mux knows which one the path names.
func Authenticate(next http.Handler, verify Verify) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(public, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		principal, err := authenticate(r, verify)
		if err != nil {
			WriteProblem(w, r, err)
			return
		}
		if !safe(r.Method) && !mayChange(principal.Role, r) {
			WriteProblem(w, r, problem.With(http.StatusForbidden, "forbidden", "the key's role is %q, which may not do this", principal.Role).
				At("Authorization").Try("use a key with the role %s", RoleAdmin))
			return
		}
		next.ServeHTTP(w, r.WithContext(WithPrincipal(r.Context(), principal)))
	})
}

// mayChange says whether a key of the role may do what the request asks. An org in the path is checked later.
func mayChange(role string, r *http.Request) bool {
	switch role {
	case RoleAdmin:
		return true
	case RoleDeployer:
		update, _ := path.Match("/api/v1/orgs/*/clustergroups/*/deployments/*", r.URL.Path)
		push, _ := path.Match("/api/v1/orgs/*/helm/charts", r.URL.Path)
		return r.Method == http.MethodPut && update || r.Method == http.MethodPost && push
	}
	return false
}

func authenticate(r *http.Request, verify Verify) (Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Principal{}, ErrUnauthenticated()
	}
	return verify(r.Context(), token)
}

// checkOrg refuses a path of another organization as one that does not exist.
func checkOrg(r *http.Request) error {
	if !strings.Contains(r.Pattern, "{org}") {
		return nil
	}
	if org := PrincipalOf(r.Context()).Org; org == "" || r.PathValue("org") != org {
		return problem.NotFound("org-not-found", "there is no such organization").Try("use the organization of your key")
	}
	return nil
}
