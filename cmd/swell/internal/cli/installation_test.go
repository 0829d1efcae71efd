package cli_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/admitdeployment"
	"github.com/swell-sh/swell/shared/openapi/server/api"
	"github.com/swell-sh/swell/shared/openapi/server/importcluster"
	"github.com/swell-sh/swell/shared/openapi/server/keepreceivers"
	"github.com/swell-sh/swell/shared/openapi/server/searchcharts"
	"github.com/swell-sh/swell/shared/problem"
)

var epoch = time.Date(2026, 6, 4, 14, 17, 3, 0, time.UTC)

// installation answers as the contract says, from memory. Requests are read by the contract's own strict decoder. Each look at a run moves
// it by one stage; a target on a cluster of the cloud "broken" fails.
type installation struct {
	mu          sync.Mutex
	last        string // file that gets the last body
	clusters    []openapi.Cluster
	groups      []openapi.ClusterGroup
	deployments []openapi.Deployment
	runs        []openapi.RunDetails
	looks       map[string]int
	repos       []openapi.Repository
	sources     []openapi.Source
	receivers   []openapi.Receiver
	plan        openapi.Plan // the last one
}

// newInstallation serves every operation by the routes of the function it belongs to, below the path that a local stack has.
func newInstallation(last string) http.Handler {
	in := &installation{last: last, looks: map[string]int{}}
	functions := map[string]http.Handler{"api": api.New(in), "import-cluster": importcluster.New(in), "admit-deployment": admitdeployment.New(in), "search-charts": searchcharts.New(in), "keep-receivers": keepreceivers.New(in)}
	mux := http.NewServeMux()
	for _, op := range openapi.Operations() {
		if function, ok := functions[op.Function]; ok { // the command line calls no hook
			mux.Handle(op.Pattern, function)
		}
	}
	authenticated := openapi.Authenticate(openapi.Routes(mux), func(_ context.Context, token string) (openapi.Principal, error) {
		if token != "good" {
			return openapi.Principal{}, openapi.ErrUnauthenticated()
		}
		return openapi.Principal{Org: "default", Name: "admin", Role: openapi.RoleAdmin}, nil
	})
	return http.StripPrefix("/_aws/execute-api/x/$default", authenticated)
}

// body reads a body, or answers why not.
func body[T any](in *installation, w http.ResponseWriter, r *http.Request) (T, bool) {
	value, err := openapi.Decode[T](r, 1<<20)
	if err != nil {
		openapi.WriteProblem(w, r, err)
		return value, false
	}
	raw, _ := json.MarshalIndent(value, "", " ")
	_ = os.WriteFile(in.last, append(raw, '\n'), 0o600)
	return value, true
}

func missing(w http.ResponseWriter, r *http.Request, kind, name string) {
	openapi.WriteProblem(w, r, problem.NotFound(kind+"-not-found", "there is no %s %q", kind, name).At(kind).Try("see swell %s list", kind))
}

func (in *installation) find(name string) *openapi.Cluster {
	i := slices.IndexFunc(in.clusters, func(c openapi.Cluster) bool { return c.Name == name || c.ID == name })
	if i < 0 {
		return nil
	}
	return &in.clusters[i]
}

func (in *installation) ImportCluster(w http.ResponseWriter, r *http.Request, _ string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.ImportClusterRequest](in, w, r)
	if !ok {
		return
	}
	if strings.Contains(string(request.Kubeconfig), "exec:") {
		openapi.WriteProblem(w, r, problem.Invalid("kubeconfig-forbidden", "user \"a\" has exec, which would run a program").At("kubeconfig.users[0].user.exec").
			Try("use a token or a client certificate"))
		return
	}
	c := openapi.Cluster{
		ID: fmt.Sprintf("c-%d", len(in.clusters)+1), Name: request.Name, Cloud: request.Cloud, Distribution: request.Distribution,
		Location: request.Location, Labels: request.Labels, Version: "v1.36.3", Nodes: 3, Status: openapi.ClusterStatusRUNNING, ObservedAt: time.Now(),
	}
	if request.Cloud == "broken" {
		c.Status, c.StatusMessage = openapi.ClusterStatusUNKNOWN, "connection\nrefused\x1b[2J"
	}
	in.clusters = append(in.clusters, c)
	openapi.Write(w, http.StatusCreated, c)
}

// ListClusters has pages of one, so that a client has to ask for the next.
func (in *installation) ListClusters(w http.ResponseWriter, _ *http.Request, _ string, params openapi.ListClustersParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	from, _ := strconv.Atoi(params.Cursor)
	page := openapi.ClusterList{}
	if from < len(in.clusters) {
		page.Items = in.clusters[from : from+1]
	}
	if from+1 < len(in.clusters) {
		page.NextCursor = strconv.Itoa(from + 1)
	}
	openapi.Write(w, http.StatusOK, page)
}

func (in *installation) GetCluster(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.GetClusterParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if c := in.find(name); c != nil {
		openapi.Write(w, http.StatusOK, *c)
		return
	}
	missing(w, r, "cluster", name)
}

func (in *installation) DeleteCluster(w http.ResponseWriter, r *http.Request, _, name string, params openapi.DeleteClusterParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if params.Force {
		openapi.Write(w, http.StatusOK, openapi.ClusterForgotten{ID: in.find(name).ID, Name: name, LeftBehind: []openapi.LeftBehindRelease{{Namespace: "default", ReleaseName: "web"}}})
		return
	}
	for _, g := range in.groups {
		if slices.ContainsFunc(g.Members, func(m openapi.Member) bool { return m.Name == name }) {
			openapi.WriteProblem(w, r, problem.Conflict("cluster-in-group", "cluster %q is a member of group %q", name, g.Name).Try("remove it from the group first"))
			return
		}
	}
	in.clusters = slices.DeleteFunc(in.clusters, func(c openapi.Cluster) bool { return c.Name == name })
	w.WriteHeader(http.StatusNoContent)
}

func (in *installation) members(ids []string) []openapi.Member {
	var members []openapi.Member
	for _, id := range ids {
		if c := in.find(id); c != nil {
			members = append(members, openapi.Member{ID: c.ID, Name: c.Name, Cloud: c.Cloud, Distribution: c.Distribution, Status: c.Status, StatusMessage: c.StatusMessage})
		}
	}
	return members
}

func (in *installation) group(name string) int {
	return slices.IndexFunc(in.groups, func(g openapi.ClusterGroup) bool { return g.Name == name || g.ID == name })
}

func (in *installation) CreateClusterGroup(w http.ResponseWriter, r *http.Request, _ string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if request, ok := body[openapi.ClusterGroupRequest](in, w, r); ok {
		g := openapi.ClusterGroup{ID: fmt.Sprintf("g-%d", len(in.groups)+1), Name: request.Name, Members: in.members(request.Members), Selector: request.Selector, Reconcile: request.Reconcile, CreatedAt: epoch, CreatorName: "admin"}
		in.groups = append(in.groups, g)
		openapi.Write(w, http.StatusCreated, g)
	}
}

func (in *installation) ListClusterGroups(w http.ResponseWriter, _ *http.Request, _ string, _ openapi.ListClusterGroupsParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	openapi.Write(w, http.StatusOK, openapi.ClusterGroupList{Items: in.groups})
}

func (in *installation) GetClusterGroup(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.GetClusterGroupParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if i := in.group(name); i >= 0 {
		openapi.Write(w, http.StatusOK, in.groups[i])
		return
	}
	missing(w, r, "group", name)
}

func (in *installation) UpdateClusterGroup(w http.ResponseWriter, r *http.Request, _, name string, params openapi.UpdateClusterGroupParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.ClusterGroupRequest](in, w, r)
	if !ok {
		return
	}
	g := &in.groups[in.group(name)]
	if len(g.Members) > 0 && len(request.Members) == 0 && len(in.deployments) > 0 && !params.ConfirmRemovals {
		openapi.WriteProblem(w, r, problem.Conflict("removal-guard", "it would remove deployment %q from 1 of its 1 targets", in.deployments[0].ReleaseName))
		return
	}
	g.Selector, g.Reconcile = request.Selector, request.Reconcile
	accepted := openapi.ClusterGroupAccepted{ID: g.ID}
	if len(request.Members) < len(g.Members) && len(in.deployments) > 0 {
		accepted.Runs = []string{in.start(openapi.RunTypeLeave, &in.deployments[0])}
	}
	g.Name, g.Members = request.Name, in.members(request.Members)
	openapi.Write(w, http.StatusAccepted, accepted)
}

func (in *installation) DeleteClusterGroup(w http.ResponseWriter, r *http.Request, _, name string, params openapi.DeleteClusterGroupParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := in.group(name)
	switch {
	case i < 0:
		missing(w, r, "group", name)
	case len(in.deployments) > 0 && !params.RemoveDeployments:
		openapi.WriteProblem(w, r, problem.Conflict("group-has-deployments", "group %q has 1 deployment", name).Try("delete it first, or ask for removeDeployments"))
	case len(in.deployments) > 0:
		openapi.Write(w, http.StatusAccepted, openapi.ClusterGroupAccepted{ID: in.groups[i].ID, Runs: []string{in.start(openapi.RunTypeRemove, &in.deployments[0])}})
	default:
		in.groups = slices.Delete(in.groups, i, i+1)
		w.WriteHeader(http.StatusNoContent)
	}
}

// PushChart keeps the archive as last.json, for a script to look into.
func (in *installation) PushChart(w http.ResponseWriter, r *http.Request, _ string) {
	archive, err := openapi.ReadBody(r, "application/gzip", 4<<20)
	if err != nil {
		openapi.WriteProblem(w, r, err)
		return
	}
	_ = os.WriteFile(in.last, archive, 0o600)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(archive))
	openapi.Write(w, http.StatusCreated, openapi.Chart{Name: "web", Version: "0.1.0", Digest: digest, Ref: digest})
}

func (in *installation) GetVersion(w http.ResponseWriter, _ *http.Request) {
	openapi.Write(w, http.StatusOK, openapi.Version{Version: "0.1.0"})
}

func (in *installation) GetOpenAPI(w http.ResponseWriter, r *http.Request) {
	openapi.ServeDocument(w, r)
}
