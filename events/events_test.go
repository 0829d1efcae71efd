// Package events_test holds the sample payloads against the types that the functions take.
package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/source"
	"github.com/swell-sh/swell/shared/workflow"
)

// inputs are what the functions take, by folder.
var inputs = map[string]func() any{
	"admit-deployment":  input[events.APIGatewayV2HTTPRequest],
	"api":               input[events.APIGatewayV2HTTPRequest],
	"await-report":      input[workflow.AwaitRef],
	"await-turn":        input[workflow.Waiting],
	"check-cluster":     input[workflow.TargetRef],
	"check-release":     input[workflow.TargetRef],
	"comment-run":       input[events.SQSEvent],
	"deploy-release":    input[workflow.TargetRef],
	"diff-release":      input[workflow.TargetRef],
	"evaluate-batch":    input[workflow.Progress],
	"finish-run":        input[workflow.End],
	"import-cluster":    input[events.APIGatewayV2HTTPRequest],
	"install-relay":     input[events.SQSEvent],
	"keep-receivers":    input[events.APIGatewayV2HTTPRequest],
	"next-batch":        input[workflow.Progress],
	"plan-removal":      input[workflow.RunRef],
	"plan-targets":      input[workflow.RunRef],
	"prepare-release":   input[workflow.TargetRef],
	"process-delivery":  input[events.SQSEvent],
	"publish-events":    input[events.DynamoDBEvent],
	"receive-webhook":   input[events.APIGatewayV2HTTPRequest],
	"record-release":    input[workflow.Outcome],
	"remediate-release": input[workflow.Outcome],
	"resolve-targets":   input[workflow.RunRef],
	"search-charts":     input[events.APIGatewayV2HTTPRequest],
	"send-notification": input[events.SQSEvent],
	"start-due-work":    input[events.EventBridgeEvent], // of which the function looks at nothing
	"test-release":      input[workflow.TargetRef],
}

func input[T any]() any { return new(T) }

// bodies read what a request or a message holds, by sample: what is in an envelope is any text to the envelope's type.
var bodies = map[string]func(raw []byte) error{
	"admit-deployment/adopt.json":      body[openapi.AdoptRequest],
	"admit-deployment/create.json":     body[openapi.DeploymentRequest],
	"admit-deployment/push-chart.json": func([]byte) error { return nil }, // an archive
	"check-cluster/queue.json":         body[workflow.TargetRef],
	"comment-run/run-succeeded.json":   ofBus,
	"import-cluster/credential.json":   body[openapi.ClusterCredentialRequest],
	"import-cluster/import.json":       body[openapi.ImportClusterRequest],
	"install-relay/order.json":         body[workflow.RelayOrder],
	"process-delivery/push.json":       body[source.Message],
	"receive-webhook/delivery.json":    ofGitHub,
	"receive-webhook/reports.json":     body[relay.Delivery],
	"send-notification/event.json":     ofBus,
	"send-notification/receiver.json": body[struct {
		Detail   event.Event `json:"detail"`
		Receiver string      `json:"receiver"`
	}],
}

func body[T any](raw []byte) error { return strictly(raw, new(T)) }

// ofBus is an event as a rule of the bus puts it into a queue.
func ofBus(raw []byte) error {
	var envelope events.EventBridgeEvent
	if err := strictly(raw, &envelope); err != nil {
		return err
	}
	return body[event.Event](envelope.Detail)
}

// ofGitHub is what the host publishes, of which a part is read.
func ofGitHub(raw []byte) error {
	e, err := source.Parse(source.GitHub, http.Header{"X-Github-Event": {"push"}}, raw)
	if err == nil && (e.Kind != source.Push || e.Repository == "" || e.Commit == "") {
		err = fmt.Errorf("it is no push: %+v", e)
	}
	return err
}

func strictly(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func TestEverySampleIsWhatItsFunctionTakes(t *testing.T) {
	folders, err := filepath.Glob("../functions/*/main.go")
	if err != nil || len(folders) == 0 {
		t.Fatal("no functions were found", err)
	}
	for _, main := range folders {
		name := filepath.Base(filepath.Dir(main))
		t.Run(name, func(t *testing.T) {
			samples, err := filepath.Glob(filepath.Join(name, "*.json"))
			if err != nil || len(samples) == 0 {
				t.Fatal("there is no sample", err)
			}
			for _, sample := range samples {
				for _, text := range decode(t, sample, inputs[name]) {
					read := bodies[filepath.ToSlash(sample)]
					if read == nil {
						t.Errorf("nobody says what %s holds", sample)
					} else if err := read([]byte(text)); err != nil {
						t.Errorf("%s holds something else: %v", sample, err)
					}
				}
			}
		})
	}
	if len(inputs) != len(folders) {
		t.Errorf("%d functions, but %d have samples", len(folders), len(inputs))
	}
}

// decode returns what the sample holds, if it is an envelope.
func decode(t *testing.T, sample string, make func() any) (held []string) {
	t.Helper()
	raw, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	into := make()
	if filepath.Base(sample) == "queue.json" { // check-cluster has two callers
		into = new(events.SQSEvent)
	}
	if err := strictly(raw, into); err != nil {
		t.Errorf("%s is no %T: %v", sample, into, err)
	}
	switch envelope := into.(type) {
	case *events.SQSEvent:
		for _, message := range envelope.Records {
			held = append(held, message.Body)
		}
	case *events.APIGatewayV2HTTPRequest:
		if envelope.Body != "" {
			held = append(held, envelope.Body)
		}
	}
	return held
}
