//go:build stack

// Package e2e_test runs Swell whole, on the local AWS and on real Kubernetes control planes, by what a user has: the HTTP API, the command
// line, and Helm's and Kubernetes' own tools on the clusters.
//
// Two control planes, e2e-a and e2e-b, are the group that most tests share; each test has a release and a namespace of its own. A third,
// e2e-c, is reached through a proxy that a test may close. Tests that need a group of their own make it of clusters in memory.
package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
)

const (
	clusterA, clusterB, clusterC = "e2e-a", "e2e-b", "e2e-c"
	sharedGroup                  = "e2e"
)

// installation is what all tests share.
type installation struct {
	root, url, token string
	aws              aws.Config
	began            time.Time
	clusters         map[string]openapi.Cluster // imported, by name
	group            string                     // the id of the group of clusterA and clusterB
}

var swell installation

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	err := setUp(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "preparing the end-to-end tests:", err)
		os.Exit(1)
	}
	// The tests wait for the installation most of the time: as many at once as there are processors would take an hour.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = f.Value.Set("12")
	}
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" { // all tests ran: what no function did, it need not be allowed to do
		if err := swell.checkPermissions(swell.context()); err != nil {
			fmt.Fprintf(os.Stderr, "--- FAIL: permissions of the functions\n%v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// context is for what tests share, and no test's end may cancel.
func (i *installation) context() context.Context { return context.Background() }

func setUp(ctx context.Context) error {
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	swell = installation{root: root, url: os.Getenv("SWELL_URL"), token: os.Getenv("SWELL_TOKEN"), began: time.Now(), clusters: map[string]openapi.Cluster{}}
	if swell.url == "" || swell.token == "" {
		return errors.New("SWELL_URL and SWELL_TOKEN are not set: run `make up`, then `. .local/env`")
	}
	if swell.aws, err = config.AWS(ctx); err != nil {
		return err
	}
	for _, name := range []string{clusterA, clusterB, clusterC} {
		if answers(name) {
			continue
		}
		if err := command(ctx, ".local/bin/localstack", "cluster", name); err != nil {
			return err
		}
	}
	return swell.shareGroup(ctx)
}

// answers says whether a cluster of an earlier run still runs: the command that starts one waits for whatever else prepares the stack.
func answers(cluster string) bool {
	raw, err := kubeconfig(cluster)
	if err != nil {
		return false
	}
	_, address, _ := strings.Cut(string(raw), "https://")
	address, _, _ = strings.Cut(address, "\n")
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(swell.root, args[0]), args[1:]...)
	cmd.Dir = swell.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// shareGroup imports the two shared clusters and groups them, unless an earlier run did and they still are the same.
func (i *installation) shareGroup(ctx context.Context) error {
	same := true
	for _, name := range []string{clusterA, clusterB} {
		c, err := i.findCluster(ctx, name)
		if err != nil {
			return err
		}
		raw, err := kubeconfig(name)
		if err != nil {
			return err
		}
		same = same && c.Labels["kubeconfig"] == fingerprint(raw)
		i.clusters[name] = c
	}
	if same {
		var g openapi.ClusterGroup
		a, err := i.send(ctx, http.MethodGet, "/clustergroups/"+sharedGroup+"?field=name", nil)
		if err == nil && a.status == http.StatusOK {
			err = a.into(&g)
			i.group = g.ID
			return err
		}
	}
	if err := i.forgetGroup(ctx, sharedGroup); err != nil {
		return err
	}
	members := []string{}
	for _, name := range []string{clusterA, clusterB} {
		if err := i.importAgain(ctx, name, nil); err != nil {
			return err
		}
		members = append(members, i.clusters[name].ID)
	}
	var g openapi.ClusterGroup
	a, err := i.send(ctx, http.MethodPost, "/clustergroups", openapi.ClusterGroupRequest{Name: sharedGroup, Members: members})
	if err == nil {
		err = a.want(http.StatusCreated, &g)
	}
	i.group = g.ID
	return err
}

// importAgain imports a cluster in place of the record that an earlier run left; no kubeconfig: the local cluster's own.
func (i *installation) importAgain(ctx context.Context, name string, raw []byte) error {
	old, err := i.findCluster(ctx, name)
	if err != nil {
		return err
	}
	if old.ID != "" {
		if err := i.forgetCluster(ctx, old); err != nil {
			return err
		}
	}
	if raw == nil {
		if raw, err = kubeconfig(name); err != nil {
			return err
		}
	}
	var c openapi.Cluster
	a, err := i.send(ctx, http.MethodPost, "/clusters", map[string]any{
		"name": name, "cloud": "local", "distribution": "kwok", "location": "here", "kubeconfig": string(raw), "labels": map[string]string{"kubeconfig": fingerprint(raw)},
		"relay": map[string]any{"enabled": false}, // a test that is about relays installs its own
	})
	if err == nil {
		err = a.want(http.StatusCreated, &c)
	}
	i.clusters[name] = c
	return err
}

func (i *installation) findCluster(ctx context.Context, name string) (openapi.Cluster, error) {
	var c openapi.Cluster
	a, err := i.send(ctx, http.MethodGet, "/clusters/"+name+"?field=name", nil)
	if err != nil || a.status == http.StatusNotFound {
		return c, err
	}
	return c, a.want(http.StatusOK, &c)
}

// forgetCluster takes a cluster out of its group, with its deployments, and forgets it.
func (i *installation) forgetCluster(ctx context.Context, c openapi.Cluster) error {
	if c.ClusterGroupID != "" {
		if err := i.forgetGroup(ctx, c.ClusterGroupID); err != nil {
			return err
		}
	}
	a, err := i.send(ctx, http.MethodDelete, "/clusters/"+c.ID+"?force=true", nil) // with the relay that a run which died may have left there
	if err != nil || a.status == http.StatusNotFound {
		return err
	}
	return a.want(http.StatusOK, nil)
}

// forgetGroup deletes a group with its deployments, by force: the clusters of an earlier run may be gone.
func (i *installation) forgetGroup(ctx context.Context, idOrName string) error {
	query := ""
	if idOrName == sharedGroup {
		query = "?field=name"
	}
	var g openapi.ClusterGroup
	a, err := i.send(ctx, http.MethodGet, "/clustergroups/"+idOrName+query, nil)
	if err != nil || a.status == http.StatusNotFound {
		return err
	}
	if err := a.want(http.StatusOK, &g); err != nil {
		return err
	}
	var list openapi.DeploymentList
	if a, err = i.send(ctx, http.MethodGet, "/clustergroups/"+g.ID+"/deployments", nil); err != nil {
		return err
	}
	if err := a.want(http.StatusOK, &list); err != nil {
		return err
	}
	for _, d := range list.Items {
		if _, err = i.send(ctx, http.MethodDelete, "/clustergroups/"+g.ID+"/deployments/"+d.ReleaseName+"?force=true", nil); err != nil {
			return err
		}
	}
	return poll(ctx, 150*time.Second, func() (bool, error) {
		a, err := i.send(ctx, http.MethodDelete, "/clustergroups/"+g.ID, nil)
		if err == nil && a.status != http.StatusNoContent && a.problem.Code != "group-has-deployments" {
			err = a.want(http.StatusNoContent, nil)
		}
		return a.status == http.StatusNoContent, err
	})
}

func kubeconfig(cluster string) ([]byte, error) {
	return os.ReadFile(filepath.Join(swell.root, ".local", "clusters", cluster+".kubeconfig"))
}

func fingerprint(raw []byte) string {
	sum := sha256.Sum256(bytes.TrimSpace(raw))
	return hex.EncodeToString(sum[:8])
}

// unique is a name that no other test and no earlier run has.
func unique(prefix string) string {
	random := id.New()
	return prefix + "-" + random[len(random)-6:]
}

// poll asks every so often until done, an error, or the time is over.
func poll(ctx context.Context, within time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not so after %s", within)
		case <-time.After(300 * time.Millisecond):
		}
	}
}
