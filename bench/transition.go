package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/swell-sh/swell/shared/config"
)

// transitions is P9: what a deployment to two clusters costs in Step Functions, read from the histories of its executions.
func (b *bench) transitions(ctx context.Context) error {
	const targets = 2
	archive, err := configMaps("1.0.0", 0, 10, workload)
	if err != nil {
		return err
	}
	f, err := b.newFleet(ctx, targets, archive)
	if err != nil {
		return err
	}
	defer f.close(ctx)
	if err := f.grow(ctx, targets); err != nil {
		return err
	}
	run, err := f.deploy(ctx)
	if err != nil {
		return err
	}
	cfg, err := config.AWS(ctx)
	if err != nil {
		return err
	}
	h, err := readRun(ctx, cfg, run.ID)
	if err != nil {
		return err
	}
	b.add("P9-transitions", "transitions", float64(h.transitions), "of a deployment to %d clusters that were ready at the first look, retries included: %s", targets, strings.Join(h.parts, ", ")).
		atMost(8 + 5*targets)
	b.add("P9-payload", "KB", float64(h.payload)/1000, "the largest input or output of a state in it").atMost(8)
	return nil
}

// histories adds up those of executions.
type histories struct {
	client      *sfn.Client
	memory      map[string]float64 // GB of the functions, by ARN
	transitions int
	invocations int
	gbSeconds   float64 // from when a function was called to its answer; what hands out a token is not timed
	payload     int
	parts       []string
}

// readRun reads what a run's machines did.
func readRun(ctx context.Context, cfg aws.Config, run string) (*histories, error) {
	h := &histories{client: sfn.NewFromConfig(cfg), memory: map[string]float64{}}
	functions := lambda.NewListFunctionsPaginator(lambda.NewFromConfig(cfg), &lambda.ListFunctionsInput{})
	for functions.HasMorePages() {
		page, err := functions.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the functions: %w", err)
		}
		for _, f := range page.Functions {
			h.memory[*f.FunctionArn] = float64(*f.MemorySize) / 1024
		}
	}
	return h, h.addRun(ctx, run)
}

// bill is the price of the machines and their functions.
func (h *histories) bill() float64 {
	return float64(h.transitions)*priceTransition + h.gbSeconds*priceGBSecond + float64(h.invocations)*priceInvocation
}

func (h *histories) addRun(ctx context.Context, run string) error {
	machines, err := h.client.ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
	if err != nil {
		return err
	}
	found := 0
	for _, m := range machines.StateMachines {
		for _, suffix := range []string{"-deploy", "-roll-out"} {
			if strings.HasSuffix(*m.Name, suffix) {
				found++
				if err := h.addExecution(ctx, strings.Replace(*m.StateMachineArn, ":stateMachine:", ":execution:", 1)+":"+run, suffix[1:]); err != nil {
					return err
				}
			}
		}
	}
	if found != 2 {
		return errors.New("the machines deploy and roll-out are not there, or more than once")
	}
	return nil
}

// addExecution adds an execution and those that its distributed Map started.
func (h *histories) addExecution(ctx context.Context, arn, name string) error {
	count, err := h.count(ctx, arn)
	if err != nil {
		return fmt.Errorf("reading the history of %s: %w", name, err)
	}
	h.parts = append(h.parts, fmt.Sprintf("%s %d", name, count))
	runs, err := h.client.ListMapRuns(ctx, &sfn.ListMapRunsInput{ExecutionArn: &arn})
	if err != nil {
		return err
	}
	for _, r := range runs.MapRuns {
		items := sfn.NewListExecutionsPaginator(h.client, &sfn.ListExecutionsInput{MapRunArn: r.MapRunArn})
		for items.HasMorePages() {
			page, err := items.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, item := range page.Executions {
				if err := h.addExecution(ctx, *item.ExecutionArn, "target"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// count counts an execution's transitions: states that were entered, and a task's further attempts. The local AWS shows of a Map's
// children the tasks alone, and theirs are all tasks.
func (h *histories) count(ctx context.Context, arn string) (int, error) {
	count := 0
	var called time.Time // what runs in an execution runs one after the other
	memory := 0.0
	pages := sfn.NewGetExecutionHistoryPaginator(h.client, &sfn.GetExecutionHistoryInput{ExecutionArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, err
		}
		for i := range page.Events {
			e := &page.Events[i]
			entered := strings.HasSuffix(string(e.Type), "StateEntered") && e.Type != sfntypes.HistoryEventTypeTaskStateEntered
			if entered || e.Type == sfntypes.HistoryEventTypeTaskScheduled {
				count++
			}
			switch e.Type {
			case sfntypes.HistoryEventTypeTaskScheduled:
				h.invocations++
				called, memory = *e.Timestamp, h.memory[*e.TaskScheduledEventDetails.Resource]
			case sfntypes.HistoryEventTypeTaskSucceeded, sfntypes.HistoryEventTypeTaskFailed:
				h.gbSeconds += memory * e.Timestamp.Sub(called).Seconds()
			}
			h.payload = max(h.payload, largest(e))
		}
	}
	h.transitions += count
	return count, nil
}

// largest is the length of an event's longest input or output.
func largest(e *sfntypes.HistoryEvent) int {
	raw, err := json.Marshal(e)
	if err != nil {
		return 0
	}
	var details map[string]any
	if json.Unmarshal(raw, &details) != nil {
		return 0
	}
	longest := 0
	for _, d := range details {
		fields, ok := d.(map[string]any)
		if !ok {
			continue
		}
		for _, name := range []string{"Input", "Output", "Parameters"} {
			if text, ok := fields[name].(string); ok {
				longest = max(longest, len(text))
			}
		}
	}
	return longest
}
