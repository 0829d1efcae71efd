//go:build stack

package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/dynamotest"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

// Every test is about two orgs: what A has, B cannot see.
const orgA, orgB = "org-a", "org-b"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC)

// newStore is a store on a table of the test's own.
func newStore(t *testing.T) *dynamo.Store {
	t.Helper()
	return newStoreAt(t, func() time.Time { return noon })
}

func newStoreAt(t *testing.T, now func() time.Time) *dynamo.Store {
	t.Helper()
	client, table := newTable(t)
	return dynamo.New(client, table, now)
}

func newTable(t *testing.T) (client *dynamodb.Client, table string) {
	t.Helper()
	cfg, err := config.AWS(t.Context())
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	client, table = dynamodb.NewFromConfig(cfg), "swell-test-"+id.New()
	if err := dynamotest.CreateTable(t.Context(), client, table); err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &table})
		var gone *types.ResourceNotFoundException // an answer was lost, and the SDK asked again
		if err != nil && !errors.As(err, &gone) {
			t.Errorf("deleting table %s: %v", table, err)
		}
	})
	return client, table
}

func newCluster(org, name string) cluster.Cluster {
	return cluster.Cluster{
		Org: org, ID: "id-" + name, Name: name, UID: org + "-" + name, Labels: map[string]string{"tier": "edge"}, Version: "v1.36.3", Nodes: 3,
		Access: cluster.Access{Mode: cluster.AccessPublic, Endpoint: "https://127.0.0.1:6443", CredentialRef: cluster.SecretName(org, "id-"+name)},
		Runner: cluster.RunnerLambda, Status: cluster.Running, StatusSince: noon, CheckedAt: noon, NextCheckAt: noon.Add(time.Minute), CreatedAt: noon,
	}
}

func newGroup(org, name string, members ...string) group.Group {
	return group.Group{Org: org, ID: "id-" + name, Name: name, Members: members, CreatedAt: noon, CreatedBy: "ann"}
}

func newAdmission(org, groupID, name string) dynamo.Admission {
	d := deployment.Deployment{Org: org, ID: "id-" + name, GroupID: groupID, ReleaseName: name, Namespace: "web", Mode: deployment.Detect, CreatedBy: "ann"}
	return dynamo.Admission{Deployment: d, Generation: newGeneration(d, 1), Run: run.New("run-"+name+"-1", run.Deploy, org, "api", "ann", noon)}
}

func newGeneration(d deployment.Deployment, number int) deployment.Generation {
	return deployment.Generation{Org: d.Org, DeploymentID: d.ID, Number: number, Chart: deployment.Chart{Ref: "acme/web", Name: "web", Version: "1.0.0",
		Digest: "sha256:" + strings.Repeat("0", 64)}, ValuesRef: d.Org + "/values/x.json", TimeoutSeconds: 600, CreatedAt: noon, CreatedBy: "ann"}
}

// given makes clusters and a group of them.
func given(t *testing.T, s *dynamo.Store, org, groupName string, clusters ...string) group.Group {
	t.Helper()
	var members []string
	for _, name := range clusters {
		c := newCluster(org, name)
		must(t, s.CreateCluster(t.Context(), c))
		members = append(members, c.ID)
	}
	g, err := s.CreateGroup(t.Context(), newGroup(org, groupName, members...))
	must(t, err)
	return g
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantProblem(t *testing.T, err error, code string, status int) problem.Problem {
	t.Helper()
	p, ok := problem.From(err)
	if !ok || p.Code != code || p.Status != status {
		t.Errorf("got error %v, want problem %s with status %d", err, code, status)
		return problem.Problem{}
	}
	return *p
}

func wantEqual(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// race runs f n times at once and counts how often it succeeded.
func race(n int, f func(i int) error) (won int, errs []error) {
	var wait sync.WaitGroup
	start, results := make(chan struct{}), make(chan error, n)
	for i := range n {
		wait.Go(func() {
			<-start
			results <- f(i)
		})
	}
	close(start)
	wait.Wait()
	close(results)
	for err := range results {
		if err == nil {
			won++
		} else {
			errs = append(errs, err)
		}
	}
	return won, errs
}

func wantOneWinner(t *testing.T, won int, errs []error, code string) {
	t.Helper()
	if won != 1 {
		t.Errorf("%d won, want 1: %v", won, errs)
	}
	for _, err := range errs {
		wantProblem(t, err, code, 409)
	}
}

func numbered(prefix string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s-%03d", prefix, i))
	}
	return names
}
