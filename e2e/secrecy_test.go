//go:build stack

package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awssfn "github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
)

// What a user sets as values, and a cluster's token, are in no log, no history and no table: only in the bucket, in Secrets Manager, and in
// the cluster. Also where it goes wrong: in the template, at the API server, in the workload.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	marker := "canary" + strings.ReplaceAll(id.New(), "-", "")
	member := newInMemory(t)
	demo := pushDemo(t)
	inMemory := newApp(t, newGroup(t, member.id), "secret")
	first := inMemory.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "values": values{"message": marker}})

	a := newApp(t, swell.group, "secret")
	runs := []string{first.ID}
	runs = append(runs, a.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "values": values{"message": marker}}).ID)
	if got := messageOf(t, clusterA, a.name); got != marker {
		t.Fatalf("the cluster has %q", got)
	}
	helm(t, clusterA, a.name, "upgrade", a.name, "charts/demo", "--reuse-values", "--set", "message="+marker+"2")
	a.check()
	a.wantTarget(clusterA, openapi.TargetStatusSTALE, openapi.HealthHEALTHY)
	odd := push(t, oddNames.Archive(t))
	runs = append(runs, newApp(t, swell.group, "secret").deploy(openapi.RunStatusFailed, intent{"name": odd, "values": values{"name": "Bad_" + marker}}).ID)
	refused := do(t, http.MethodPut, a.path(), intent{"values": values{"message": marker, "replicaCount": marker}})
	if refused.status != 422 || strings.Contains(string(refused.raw), marker) {
		t.Errorf("a refusal answered %d %s", refused.status, refused.raw)
	}
	for _, run := range runs {
		if got := do(t, http.MethodGet, "/runs/"+run, nil); strings.Contains(string(got.raw), marker) {
			t.Errorf("run %s repeats a value: %s", run, got.raw)
		}
	}

	hidden := map[string]string{"a value": marker, "a cluster's token": member.Credential().Token}
	absent := func(where, text string) {
		t.Helper()
		for what, secret := range hidden {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s is in %s: …%s…", what, where, text[max(0, at-200):min(len(text), at+80)])
			}
		}
	}
	searchLogs(t, absent)
	searchHistories(t, absent, runs)
	searchTable(t, absent, a.name)
}

func searchLogs(t *testing.T, absent func(where, text string)) {
	t.Helper()
	lines, err := swell.logLines(t.Context(), swell.began, time.Now().Add(time.Second), "")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(lines, "\n")
	if !strings.Contains(all, "aws call") {
		t.Errorf("the logs were not found: %d lines", len(lines))
	}
	absent("the logs", all)
}

func searchHistories(t *testing.T, absent func(where, text string), runs []string) {
	t.Helper()
	api := awssfn.NewFromConfig(swell.aws)
	prefix := strings.Replace(functionOf(t, "StartDueWork").environment["MACHINE_ARN_PREFIX"], ":stateMachine:", ":execution:", 1)
	events := 0
	search := func(arn string) {
		t.Helper()
		pages := awssfn.NewGetExecutionHistoryPaginator(api, &awssfn.GetExecutionHistoryInput{ExecutionArn: &arn})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				events++
				for _, d := range []any{e.StateEnteredEventDetails, e.StateExitedEventDetails, e.TaskScheduledEventDetails, e.TaskSucceededEventDetails, e.TaskFailedEventDetails,
					e.ExecutionStartedEventDetails, e.ExecutionSucceededEventDetails, e.ExecutionFailedEventDetails} {
					absent("the history "+arn, dump(d))
				}
			}
		}
	}
	for _, run := range runs {
		search(prefix + "deploy:" + run)
		nested := prefix + "roll-out:" + run
		search(nested)
		maps, err := api.ListMapRuns(t.Context(), &awssfn.ListMapRunsInput{ExecutionArn: &nested})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range maps.MapRuns {
			children, err := api.ListExecutions(t.Context(), &awssfn.ListExecutionsInput{MapRunArn: one.MapRunArn})
			if err != nil {
				t.Fatal(err)
			}
			for _, child := range children.Executions {
				search(aws.ToString(child.ExecutionArn))
			}
		}
	}
	if events < 50 {
		t.Errorf("only %d events were searched", events)
	}
}

func searchTable(t *testing.T, absent func(where, text string), known string) {
	t.Helper()
	table := functionOf(t, "StartDueWork").environment["TABLE_NAME"]
	found := false
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(swell.aws), &dynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			text := dump(item)
			found = found || strings.Contains(text, known)
			absent("the table", text)
		}
	}
	if !found {
		t.Error("the scan did not find the deployment itself")
	}
}

// dump is JSON: fmt would print nested pointers as addresses.
func dump(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
