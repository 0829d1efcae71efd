//go:build stack

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/eventbus"
	"github.com/swell-sh/swell/shared/openapi"
)

const busName = "swell-swell"

// listener is a rule of a user's own on the bus, that leads to a queue.
type listener struct {
	queue *sqs.Client
	url   string

	mu   sync.Mutex
	seen map[string][]byte // by the event's id
}

func listen(t *testing.T, pattern string) *listener {
	t.Helper()
	ctx, name := t.Context(), unique("listener")
	bus, queue := eventbridge.NewFromConfig(swell.aws), sqs.NewFromConfig(swell.aws)
	made, err := queue.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := queue.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bus.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventBusName: aws.String(busName), EventPattern: &pattern}); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, EventBusName: aws.String(busName),
		Targets: []ebtypes.Target{{Id: aws.String("queue"), Arn: aws.String(attributes.Attributes["QueueArn"])}}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		_, _ = bus.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &name, EventBusName: aws.String(busName), Ids: []string{"queue"}})
		_, _ = bus.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &name, EventBusName: aws.String(busName)})
		_, _ = queue.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: made.QueueUrl})
	})
	return &listener{queue: queue, url: *made.QueueUrl, seen: map[string][]byte{}}
}

// await hears events until they are what is asked for.
func (l *listener) await(t *testing.T, within time.Duration, enough func(types []string) bool) {
	t.Helper()
	var types []string
	err := poll(t.Context(), within, func() (bool, error) {
		out, err := l.queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &l.url, MaxNumberOfMessages: 10})
		if err != nil {
			return false, err
		}
		for _, m := range out.Messages {
			l.hear(t, *m.Body)
			if _, err := l.queue.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &l.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return false, err
			}
		}
		types = l.types(t)
		return enough(types), nil
	})
	if err != nil {
		t.Fatalf("%v: heard %v", err, types)
	}
}

// hear holds an event against its published schema, and nothing else of Swell's.
func (l *listener) hear(t *testing.T, body string) {
	t.Helper()
	var envelope struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal([]byte(body), &envelope); err != nil || envelope.Source != "swell" {
		t.Fatalf("%v: %s", err, body)
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(swell.root, "events", "schemas", envelope.DetailType+".json"))
	if err != nil {
		t.Fatal(err)
	}
	detail, err := jsonschema.UnmarshalJSON(bytes.NewReader(envelope.Detail))
	if err == nil {
		err = schema.Validate(detail)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, envelope.Detail)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[detail.(map[string]any)["id"].(string)] = envelope.Detail
}

func (l *listener) events(t *testing.T) (events []event.Event) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, raw := range l.seen {
		var e event.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func (l *listener) types(t *testing.T) (types []string) {
	t.Helper()
	for _, e := range l.events(t) {
		types = append(types, string(e.Type))
	}
	slices.Sort(types)
	return types
}

// A run tells the bus of itself, of each target, and of what it did to the releases; each event is as its schema says.
func TestARunTellsTheBus(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "told")
	l := listen(t, `{"source": ["swell"], "detail": {"deployment": {"releaseName": ["`+a.name+`"]}}}`)
	r := a.deploy(openapi.RunStatusPartial, intent{"name": pushDemo(t), "timeoutSeconds": 15, "valueOverrides": values{clusterB: values{"neverReady": true}}})
	want := []string{"deployment.accepted", "release.healthy", "release.unhealthy", "run.partial", "run.started", "target.failed", "target.succeeded"}
	l.await(t, time.Minute, func(types []string) bool { return slices.Equal(slices.Compact(types), want) })
	for _, e := range l.events(t) {
		if e.Org != "default" || e.Deployment.ReleaseName != a.name || e.Group.Name != sharedGroup {
			t.Errorf("%s is of %+v in %+v", e.Type, e.Deployment, e.Group)
		}
		if e.Type != event.RunPartial {
			continue
		}
		o := e.Outcome
		if e.Run.ID != r.ID || o.Targets != 2 || o.Succeeded != 1 || o.Failed != 1 || len(o.Failures) != 1 || o.Failures[0].Cluster.Name != clusterB ||
			!strings.Contains(o.Failures[0].Cause, "not ready after 15 s") {
			t.Errorf("run.partial says %+v", o)
		}
	}
	a.remove(openapi.RunStatusSucceeded)
	l.await(t, time.Minute, func(types []string) bool { return slices.Contains(types, "deployment.removed") })
}

// receiving is a receiver of a user's, on loopback.
type receiving struct {
	*httptest.Server
	mu  sync.Mutex
	got []string
}

func newReceiving(t *testing.T, status int) *receiving {
	t.Helper()
	r := &receiving{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		raw, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.got = append(r.got, string(raw))
		r.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiving) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func newReceiver(t *testing.T, body values) (path string) {
	t.Helper()
	name := unique("receiver")
	body["name"] = name
	must(t, http.StatusCreated, http.MethodPost, "/receivers", body, nil)
	t.Cleanup(func() {
		_, _ = swell.send(swell.context(), http.MethodDelete, "/receivers/"+name, nil)
	})
	return "/receivers/" + name
}

// A run that fails on two clusters is one message, which names both; the event comes again, and is not told again. A receiver that fails holds up
// neither the run nor the others, and is seen.
func TestReceiversAreTold(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "notified")
	well, ill := newReceiving(t, http.StatusOK), newReceiving(t, http.StatusInternalServerError)
	only := values{"deployments": []string{a.name}}
	slack := newReceiver(t, values{"kind": "slack", "url": well.URL + "/services/hunter2", "events": []string{"run.*"}, "filter": only})
	broken := newReceiver(t, values{"kind": "teams", "url": ill.URL, "events": []string{"run.failed"}, "filter": only})
	mail := newReceiver(t, values{"kind": "email", "events": []string{"run.failed"}, "filter": only})
	l := listen(t, `{"source": ["swell"], "detail-type": ["run.failed"], "detail": {"deployment": {"releaseName": ["`+a.name+`"]}}}`)

	r := a.deploy(openapi.RunStatusFailed, intent{"name": pushDemo(t), "timeoutSeconds": 15, "values": values{"neverReady": true}})
	l.await(t, time.Minute, func(types []string) bool { return len(types) == 1 })

	var all openapi.ReceiverList
	must(t, http.StatusOK, http.MethodGet, "/receivers", nil, &all)
	if len(all.Items) < 3 {
		t.Errorf("the list has %d receivers", len(all.Items))
	}
	var shown openapi.Receiver
	if err := poll(t.Context(), time.Minute, func() (bool, error) {
		must(t, http.StatusOK, http.MethodGet, broken, nil, &shown)
		return !shown.FailingSince.IsZero(), nil
	}); err != nil || !strings.Contains(shown.LastError, "500 Internal Server Error") || !shown.LastSentAt.IsZero() {
		t.Errorf("the receiver that fails is not seen: %v, %+v", err, shown)
	}

	// the same event again, and one more, so that it is known when that was taken
	again := l.events(t)[0]
	other := again
	other.ID = unique("other")
	other.Type = event.RunSucceeded
	l.put(t, again, again, other)
	if err := poll(t.Context(), time.Minute, func() (bool, error) {
		return strings.Contains(strings.Join(well.messages(), ""), "Deploy of "+a.name+" in group "+sharedGroup+" succeeded"), nil
	}); err != nil {
		t.Fatal(err, well.messages())
	}
	var about []string
	for _, m := range well.messages() {
		if strings.Contains(m, "failed on 2 of 2 clusters") {
			about = append(about, m)
		}
	}
	if len(about) != 1 || !strings.Contains(about[0], clusterA+" (not-ready)") || !strings.Contains(about[0], clusterB+" (not-ready)") || !strings.Contains(about[0], "swell run get "+r.ID) {
		t.Errorf("%d messages of the run's end: %v", len(about), about)
	}
	var fine openapi.Receiver
	must(t, http.StatusOK, http.MethodGet, slack, nil, &fine)
	if fine.LastSentAt.IsZero() || !fine.FailingSince.IsZero() || strings.Contains(fine.Host, "hunter2") {
		t.Errorf("the receiver that was told is %+v", fine)
	}

	var tried openapi.ReceiverTest
	must(t, http.StatusOK, http.MethodPost, mail+"/test", nil, &tried)
	if !tried.Sent {
		t.Errorf("the test by mail: %s", tried.Error)
	}
	must(t, http.StatusOK, http.MethodPut, broken, values{"url": well.URL, "events": []string{"run.failed"}, "filter": only}, nil)
	must(t, http.StatusOK, http.MethodPost, broken+"/test", nil, &tried)
	if !tried.Sent {
		t.Errorf("after its URL was put right: %s", tried.Error)
	}
}

// put puts events on the bus as Swell does.
func (l *listener) put(t *testing.T, events ...event.Event) {
	t.Helper()
	for _, err := range eventbus.Open(swell.aws, busName).Put(t.Context(), events) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A change that cannot be read is put aside with its reason, while those around it are told. Redriven, what can be read by now is told; what still
// cannot comes back.
func TestWhatCannotBeToldIsPutAside(t *testing.T) {
	t.Parallel()
	org := unique("poisoned")
	l := listen(t, `{"source": ["swell"], "detail": {"org": ["`+org+`"]}}`)
	db, functions := dynamodb.NewFromConfig(swell.aws), lambda.NewFromConfig(swell.aws)
	stack, err := cloudformation.NewFromConfig(swell.aws).DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("swell")})
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{}
	for _, o := range stack.Stacks[0].Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	function, err := functions.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(outputs["PublishEventsFunctionName"])})
	if err != nil {
		t.Fatal(err)
	}
	table := function.Environment.Variables["TABLE_NAME"]
	text := func(s string) ddbtypes.AttributeValue { return &ddbtypes.AttributeValueMemberS{Value: s} }
	put := func(id, says string) {
		item := map[string]ddbtypes.AttributeValue{"PK": text("ORG#" + org), "SK": text("CLUSTER#" + id), "Org": text(says), "ID": text(id), "Name": text(id), "CreatedAt": text("2026-11-21T12:00:00.000000000Z")}
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, _ = db.DeleteItem(context.WithoutCancel(t.Context()), &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]ddbtypes.AttributeValue{"PK": item["PK"], "SK": item["SK"]}})
		})
	}
	for i := range 9 {
		put(fmt.Sprint("c", i), org)
	}
	put("poison", "another org")
	put("c9", org)
	l.await(t, time.Minute, func(types []string) bool { return len(types) == 10 })

	list := func() string {
		out, code := cli(t, "dead-letters", "list")
		if code != 0 {
			t.Fatal(out)
		}
		return out
	}
	if err := poll(t.Context(), time.Minute, func() (bool, error) { return strings.Contains(list(), "it says that its org is"), nil }); err != nil {
		t.Fatal(err, list())
	}
	readable := `{"reason": "a version that could not read it", "record": {"dynamodb": {"SequenceNumber": "1", "Keys": {"PK": {"S": "ORG#` + org + `"}, "SK": {"S": "CLUSTER#late"}},
		"NewImage": {"Org": {"S": "` + org + `"}, "ID": {"S": "late"}, "Name": {"S": "late"}, "CreatedAt": {"S": "2026-11-21T12:00:00.000000000Z"}}}}}`
	deadEvents := outputs["DeadEventsUrl"]
	if _, err := l.queue.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &deadEvents, MessageBody: &readable}); err != nil {
		t.Fatal(err)
	}
	if out, code := cli(t, "dead-letters", "redrive", "DeadEvents"); code != 0 || !strings.Contains(out, "DeadEvents: ") {
		t.Fatal(out)
	}
	l.await(t, time.Minute, func(types []string) bool { return len(types) == 11 })
	if err := poll(t.Context(), time.Minute, func() (bool, error) { return strings.Contains(list(), "it says that its org is"), nil }); err != nil {
		t.Errorf("what still cannot be read did not come back: %s", list())
	}
	if _, err := l.queue.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &deadEvents}); err != nil {
		t.Error(err)
	}
}
