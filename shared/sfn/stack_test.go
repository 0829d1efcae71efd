//go:build stack

package sfn_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/id"
	swellsfn "github.com/swell-sh/swell/shared/sfn"
)

// An execution is started once, however often it is asked for, also with another input and after its end.
func TestExecutionIsStartedOnce(t *testing.T) {
	cfg, err := config.AWS(t.Context())
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	api := sfn.NewFromConfig(cfg)
	name := "swell-test-" + id.New()
	machine, err := api.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: &name, RoleArn: aws.String(createRole(t, cfg, name)),
		Definition: aws.String(`{"StartAt":"Stay","States":{"Stay":{"Type":"Wait","Seconds":600,"End":true}}}`)})
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	arn := *machine.StateMachineArn
	m := swellsfn.New(api, arn[:len(arn)-len("machine")])
	last := arn[len(arn)-len("machine"):]

	alive, known, err := m.Alive(t.Context(), last, "run-1")
	if err != nil || alive || known {
		t.Errorf("before the start: alive %t, known %t, error %v", alive, known, err)
	}
	for _, input := range []string{"a", "a", "b"} {
		if err := m.Start(t.Context(), last, "run-1", map[string]string{"org": input}); err != nil {
			t.Fatal(err)
		}
	}
	alive, known, err = m.Alive(t.Context(), last, "run-1")
	if err != nil || !alive || !known {
		t.Errorf("after the start: alive %t, known %t, error %v", alive, known, err)
	}
	list, err := api.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &arn})
	if err != nil || len(list.Executions) != 1 {
		t.Fatalf("executions: %v, error %v", list, err)
	}
	if _, err := api.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: list.Executions[0].ExecutionArn}); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context(), last, "run-1", map[string]string{"org": "a"}); err != nil {
		t.Errorf("after its end: %v", err)
	}
	e, known, err := m.Describe(t.Context(), last, "run-1")
	if err != nil || !known || e.Status != "ABORTED" {
		t.Errorf("after its end: %+v, error %v", e, err)
	}
	if _, err := api.DeleteStateMachine(t.Context(), &sfn.DeleteStateMachineInput{StateMachineArn: &arn}); err != nil {
		t.Fatal(err)
	}
}

// createRole makes a role that may do nothing, and returns its ARN. IAM's client would be a module for this one call.
func createRole(t *testing.T, cfg aws.Config, name string) string {
	t.Helper()
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	body := url.Values{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {name}, "AssumeRolePolicyDocument": {trust}}.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, *cfg.BaseEndpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	credentials, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "iam", cfg.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		ARN string `xml:"CreateRoleResult>Role>Arn"`
	}
	if err := xml.NewDecoder(response.Body).Decode(&answer); err != nil || answer.ARN == "" {
		t.Fatalf("creating a role: status %s, error %v", response.Status, err)
	}
	return answer.ARN
}
