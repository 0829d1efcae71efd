// Package events_test holds the sample payloads against the types that the functions take.
package events_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-lambda-go/events"

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
				decode(t, sample, inputs[name])
			}
		})
	}
	if len(inputs) != len(folders) {
		t.Errorf("%d functions, but %d have samples", len(folders), len(inputs))
	}
}

func decode(t *testing.T, sample string, make func() any) {
	t.Helper()
	raw, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	into := make()
	if filepath.Base(sample) == "queue.json" { // check-cluster has two callers
		into = new(events.SQSEvent)
	}
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil {
		t.Errorf("%s is no %T: %v", sample, into, err)
	}
	queue, ok := into.(*events.SQSEvent)
	if !ok || filepath.Base(sample) != "queue.json" {
		return
	}
	for _, message := range queue.Records {
		body := json.NewDecoder(bytes.NewReader([]byte(message.Body)))
		body.DisallowUnknownFields()
		if err := body.Decode(new(workflow.TargetRef)); err != nil {
			t.Errorf("%s: the message is no TargetRef: %v", sample, err)
		}
	}
}
