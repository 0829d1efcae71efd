// Package task runs a handler as the task of a state: it logs once, records the step and gives Step Functions the error's name.
package task

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// Handler is what a state calls.
type Handler[I, O any] func(ctx context.Context, in I) (O, error)

// Expose logs how a call ended and returns its error in the one shape whose name Lambda hands on as it is. Without it a wrapped error
// would reach the machine as "wrapError", and no Retry or Catch would match.
func Expose[I, O any](log *slog.Logger, h Handler[I, O]) Handler[I, O] {
	return func(ctx context.Context, in I) (O, error) {
		began := time.Now()
		out, err := h(ctx, in)
		log := log.With("ref", in, "milliseconds", time.Since(began).Milliseconds())
		if err == nil {
			log.InfoContext(ctx, "task done")
			return out, nil
		}
		name := taskerr.NameOf(err)
		level := slog.LevelError
		if name == taskerr.NotReady || name == taskerr.AwaitReport || name == taskerr.ReleaseLeased || name == taskerr.TryAgain || name == taskerr.AlreadyDeployed {
			level = slog.LevelInfo
		}
		log.Log(ctx, level, "task ended with an error", "name", name, "code", taskerr.CodeOf(err), "error", err.Error())
		return out, messages.InvokeResponse_Error{Type: name, Message: message(err)}
	}
}

// message begins with the code, so that whoever catches the error can tell it from the text.
func message(err error) string {
	code, text := taskerr.CodeOf(err), excerpt.Of(taskerr.CauseOf(err), maxCause)
	if len(text) > len(code)+2 && text[:len(code)+2] == code+": " {
		return text
	}
	return code + ": " + text
}

const maxCause = 4000 // of a state's 256 KiB, of which a batch's outcomes share

// Steps is where steps are recorded.
type Steps interface {
	PutStep(ctx context.Context, org, run string, step run.Step) error
}

// Note is what a handler knows of its step beyond how it ended.
type Note struct {
	ClusterName string
	Since       time.Time // when the step began, if that was before this attempt
}

// Record runs h for a target and keeps the attempt as a step of the run. A look that is not ready yet is no step: the target says what
// it waits for, and the last look is the step.
func Record(steps Steps, state string, h func(ctx context.Context, ref workflow.TargetRef) (Note, error)) Handler[workflow.TargetRef, struct{}] {
	return func(ctx context.Context, ref workflow.TargetRef) (struct{}, error) {
		step := run.Step{ClusterID: ref.Cluster, State: state, Attempt: ref.Attempt, Remedy: ref.Remedy, Status: "Succeeded", StartedAt: time.Now().UTC()}
		note, err := h(ctx, ref)
		if name := taskerr.NameOf(err); name == taskerr.NotReady || name == taskerr.AlreadyDeployed {
			return struct{}{}, err
		}
		if ref.Recheck && state == "CheckRelease" { // the first look is a step of its own
			step.State, note.Since = "RecheckRelease", time.Time{}
		}
		step.ClusterName, step.EndedAt = note.ClusterName, time.Now().UTC()
		if !note.Since.IsZero() {
			step.StartedAt = note.Since
		}
		if err != nil && taskerr.NameOf(err) != taskerr.TryAgain {
			step.Status, step.Code, step.Cause = "Failed", taskerr.CodeOf(err), taskerr.CauseOf(err)
		}
		if putErr := steps.PutStep(ctx, ref.Org, ref.Run, step); putErr != nil && err == nil {
			return struct{}{}, putErr
		}
		return struct{}{}, err
	}
}

// Invocation identifies one call of the function: two calls for the same target are two holders of a lease.
func Invocation(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return id.New()
}
