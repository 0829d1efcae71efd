//go:build stack

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	awssfn "github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/run"
)

// function is one of the installation's, as Lambda knows it.
type function struct {
	name        string
	environment map[string]string
}

var listFunctions = sync.OnceValues(func() (map[string]function, error) {
	found := map[string]function{}
	pages := lambda.NewListFunctionsPaginator(lambda.NewFromConfig(swell.aws), &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(swell.context())
		if err != nil {
			return nil, err
		}
		for _, f := range page.Functions {
			if name := aws.ToString(f.FunctionName); strings.HasPrefix(name, "swell-") && f.Environment != nil {
				found[logicalName(name)] = function{name, f.Environment.Variables}
			}
		}
	}
	return found, nil
})

// functionOf finds a function by its logical name, such as CheckCluster.
func functionOf(t *testing.T, logical string) function {
	t.Helper()
	all, err := listFunctions()
	if err != nil {
		t.Fatal(err)
	}
	f, ok := all[logical]
	if !ok {
		t.Fatalf("there is no function %s among %d", logical, len(all))
	}
	return f
}

func invoke(t *testing.T, logical string, event any) string {
	t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	name := functionOf(t, logical).name
	out, err := lambda.NewFromConfig(swell.aws).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	if out.FunctionError != nil {
		t.Fatalf("%s failed: %s", logical, out.Payload)
	}
	return string(out.Payload)
}

// checkDue is what the tick's queue does with a due cluster.
func checkDue(t *testing.T, cluster string) {
	t.Helper()
	answer := invoke(t, "CheckCluster", values{"Records": []values{{
		"messageId": "1", "eventSource": "aws:sqs", "body": fmt.Sprintf(`{"org":"default","cluster":%q}`, swell.clusters[cluster].ID),
	}}})
	if strings.Contains(answer, "itemIdentifier") {
		t.Fatalf("the check of %s failed: %s", cluster, answer)
	}
}

// Reconcile corrects only where the deployment says so; elsewhere it records.
func TestReconcile(t *testing.T) {
	t.Parallel()
	demo := pushDemo(t)
	corrected, detected := newApp(t, swell.group, "correct"), newApp(t, swell.group, "detect")
	corrected.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "mode": "correct", "values": values{"replicaCount": 2}})
	first := detected.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "values": values{"replicaCount": 2}})
	for _, a := range []app{corrected, detected} {
		helm(t, clusterA, a.name, "upgrade", a.name, "charts/demo", "--reuse-values", "--set", "replicaCount=5")
	}
	checkDue(t, clusterA)

	last := corrected.get().LastRun
	r := ended(t, last, openapi.RunStatusSucceeded)
	if r.Trigger != openapi.RunTriggerReconcile || r.Type != openapi.RunTypeSync || len(r.Targets) != 1 || r.Targets[0].ClusterName != clusterA {
		t.Errorf("reconcile started %s", describe(r))
	}
	wantReplicas(t, clusterA, corrected.name, 2)

	if got := detected.get(); got.LastRun != first.ID {
		t.Errorf("run %s was started although the deployment only detects", got.LastRun)
	}
	detected.wantTarget(clusterA, openapi.TargetStatusSTALE, openapi.HealthHEALTHY)
	if got := *workload(t, clusterA, detected.name).Spec.Replicas; got != 5 {
		t.Errorf("the release that is only looked at has %d replicas", got)
	}
	checkDue(t, clusterA)
	if got := corrected.get().LastRun; got != last {
		t.Errorf("reconcile started run %s although all was as desired", got)
	}
}

func tableOf(t *testing.T) *dynamo.Store {
	t.Helper()
	return dynamo.Open(swell.aws, functionOf(t, "StartDueWork").environment["TABLE_NAME"])
}

// A cluster that is due is sent to its check by the tick, through the queue.
func TestTickChecksADueCluster(t *testing.T) {
	t.Parallel()
	member, store := newInMemory(t), tableOf(t)
	c, err := store.FindCluster(t.Context(), "default", member.id)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC()
	if err := store.MarkClusterChecked(t.Context(), c.Org, c.ID, c.Version, c.Nodes, began, began.Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	invoke(t, "StartDueWork", values{})
	for end := time.Now().Add(time.Minute); !c.CheckedAt.After(began); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("the cluster was last looked at %s, and was due at %s", c.CheckedAt, began)
		}
		if c, err = store.FindCluster(t.Context(), c.Org, c.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// A run that was written and never started is started by the sweeper, under its own name.
func TestSweeperStartsARunThatNeverStarted(t *testing.T) {
	t.Parallel()
	member := newInMemory(t)
	a := newApp(t, newGroup(t, member.id), "sweep")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	member.Remove("configmaps", a.name, a.name+"-demo")
	store := tableOf(t)
	d, err := store.FindDeployment(t.Context(), "default", a.get().ID)
	if err != nil {
		t.Fatal(err)
	}
	admitted := run.New(id.New(), run.Sync, d.Org, "api", "e2e", time.Now().UTC()).About(d.ID, d.GroupID, d.ReleaseName, d.Generation)
	if _, _, err := store.AdmitRun(t.Context(), d, admitted, d.Version, false); err != nil {
		t.Fatal(err)
	}
	if got := getRun(t, admitted.ID).Status; got != openapi.RunStatusPending {
		t.Fatalf("the run is %s before it started", got)
	}
	if err := store.DeferRun(t.Context(), d.Org, admitted.ID, time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	invoke(t, "StartDueWork", values{})
	ended(t, admitted.ID, openapi.RunStatusSucceeded)
}

// A run whose machine was ended from outside is recorded as failed by the sweeper, and the deployment is free again.
func TestSweeperEndsARunWhoseMachineDied(t *testing.T) {
	t.Parallel()
	slow := newInMemory(t)
	a := newApp(t, newGroup(t, slow.id), "died")
	slow.SetDelay(3 * time.Second)
	id := a.create(intent{"name": pushDemo(t)}).Run
	awaitRunning(t, id) // a state that is under way when its machine ends does its work to the end, and would put the sweep off
	store := tableOf(t)
	prefix := functionOf(t, "StartDueWork").environment["MACHINE_ARN_PREFIX"]
	arn := strings.Replace(prefix, ":stateMachine:", ":execution:", 1) + "deploy:" + id
	if _, err := awssfn.NewFromConfig(swell.aws).StopExecution(t.Context(), &awssfn.StopExecutionInput{ExecutionArn: &arn}); err != nil {
		t.Fatal(err)
	}
	if err := store.DeferRun(t.Context(), "default", id, time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	invoke(t, "StartDueWork", values{})
	r := ended(t, id, openapi.RunStatusFailed)
	if r.Code != "machine-died" {
		t.Errorf("the run ended %s", describe(r))
	}
	slow.SetDelay(0)
	a.sync(openapi.RunStatusSucceeded)
	if got := do(t, http.MethodGet, a.path(), nil); got.status != http.StatusOK {
		t.Errorf("the deployment answers %d", got.status)
	}
}

// A run whose state fails with what no retry helps against is ended by its machine, with the cause: here a generation that is lost.
func TestRunThatCannotBePlanned(t *testing.T) {
	t.Parallel()
	member := newInMemory(t)
	a := newApp(t, newGroup(t, member.id), "lost")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	api, table := dynamodb.NewFromConfig(swell.aws), functionOf(t, "StartDueWork").environment["TABLE_NAME"]
	found, err := api.Query(t.Context(), &dynamodb.QueryInput{TableName: &table, KeyConditionExpression: aws.String("PK = :pk"),
		ExpressionAttributeValues: map[string]ddbtypes.AttributeValue{":pk": &ddbtypes.AttributeValueMemberS{Value: "ORG#default#DEPLOYMENT#" + a.get().ID}}})
	if err != nil || len(found.Items) != 1 {
		t.Fatalf("finding the generation: %v, %d items", err, len(found.Items))
	}
	item := found.Items[0]
	if _, err := api.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]ddbtypes.AttributeValue{"PK": item["PK"], "SK": item["SK"]}}); err != nil {
		t.Fatal(err)
	}
	r := a.sync(openapi.RunStatusFailed)
	if r.Code != "generation-not-found" || r.Cause == "" {
		t.Errorf("the run ended %s", describe(r))
	}
	wantOutcome(t, r, member.name, openapi.RunTargetStatusFailed, "generation-not-found", "", false)
	if member.Len("deployments") != 1 {
		t.Error("the release is gone")
	}
	if _, err := api.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
		t.Fatal(err)
	}
	a.sync(openapi.RunStatusSucceeded)
}
