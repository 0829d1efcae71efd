package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/workflow"
)

// either serves the two callers of this function, whose payloads tell them apart.
type either struct {
	queue func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)
	task  task.Handler[workflow.TargetRef, struct{}]
}

func (e either) handle(ctx context.Context, raw json.RawMessage) (any, error) {
	var messages events.SQSEvent
	if err := json.Unmarshal(raw, &messages); err == nil && len(messages.Records) > 0 {
		return e.queue(ctx, messages)
	}
	var ref workflow.TargetRef
	if err := json.Unmarshal(raw, &ref); err != nil {
		return nil, err
	}
	return e.task(ctx, ref)
}
