package task_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

func TestExpose(t *testing.T) {
	long := strings.Repeat("é", 5000)
	cases := map[string]struct {
		err                error
		typ, message, code string
		level              string
	}{
		"done":              {nil, "", "", "", "INFO"},
		"wrapped":           {fmt.Errorf("leasing: %w", taskerr.New(taskerr.ReleaseLeased, "release-leased", errors.New("until noon"))), "ReleaseLeased", "release-leased: leasing: release-leased: until noon", "release-leased", "INFO"},
		"not ready":         {taskerr.New(taskerr.NotReady, "not-ready", errors.New("0 of 2")), "NotReady", "not-ready: 0 of 2", "not-ready", "INFO"},
		"a final one":       {taskerr.Failed("hook-timeout", "Job migrate"), "TargetFailed", "hook-timeout: Job migrate", "hook-timeout", "ERROR"},
		"a problem":         {problem.Conflict("release-claimed", "taken").At("releaseName"), "TargetFailed", "release-claimed: taken", "release-claimed", "ERROR"},
		"anything else":     {errors.New("boom"), "Internal", "internal: boom", "internal", "ERROR"},
		"one of many words": {errors.New(long), "Internal", "internal: " + long[:3996] + "…", "internal", "ERROR"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var lines bytes.Buffer
			h := task.Expose(slog.New(slog.NewJSONHandler(&lines, nil)), func(context.Context, workflow.RunRef) (string, error) { return "out", c.err })
			out, err := h(t.Context(), workflow.RunRef{Org: "o", Run: "r"})
			if out != "out" || (err == nil) != (c.err == nil) {
				t.Fatal(out, err)
			}
			if got := (messages.InvokeResponse_Error{}); err != nil && (!errors.As(err, &got) || got.Type != c.typ || got.Message != c.message) {
				t.Errorf("type %q, message %.100q", got.Type, got.Message)
			}
			if err != nil { // what the machine catches leads back to the code
				if code, _ := (taskerr.Caught{Error: c.typ, Cause: c.message}).Parse(); code != c.code {
					t.Errorf("caught as %s, want %s", code, c.code)
				}
			}
			var line struct {
				Level, Code string
				Ref         workflow.RunRef
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatalf("not one line: %s", lines.String())
			}
			if line.Level != c.level || line.Code != c.code || line.Ref.Run != "r" {
				t.Errorf("logged %+v", line)
			}
		})
	}
}

type steps struct {
	kept []run.Step
	err  error
}

func (s *steps) PutStep(_ context.Context, _, _ string, step run.Step) error {
	s.kept = append(s.kept, step)
	return s.err
}

func TestRecord(t *testing.T) {
	since := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	step := run.Step{ClusterID: "c", ClusterName: "pke-demo", State: "DeployRelease", Attempt: 2}
	succeeded, failed := step, step
	succeeded.Status = "Succeeded"
	failed.Status, failed.Code, failed.Cause = "Failed", "helm-failed", "no"
	boom := errors.New("boom")
	cases := map[string]struct {
		err, putErr, want error
		kept              []run.Step
	}{
		"a step that succeeded":                      {kept: []run.Step{succeeded}},
		"a step that failed":                         {err: taskerr.Failed("helm-failed", "no"), want: taskerr.Failed("helm-failed", "no"), kept: []run.Step{failed}},
		"a look that is not ready is no step":        {err: taskerr.New(taskerr.NotReady, "not-ready", boom), want: boom},
		"a step that cannot be kept is a failure":    {putErr: boom, want: boom, kept: []run.Step{succeeded}},
		"but the failure of the task is not covered": {err: taskerr.Failed("helm-failed", "no"), putErr: boom, want: taskerr.Failed("helm-failed", "no"), kept: []run.Step{failed}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &steps{err: c.putErr}
			h := task.Record(s, "DeployRelease", func(context.Context, workflow.TargetRef) (task.Note, error) {
				return task.Note{ClusterName: "pke-demo", Since: since}, c.err
			})
			_, err := h(t.Context(), workflow.TargetRef{Org: "o", Run: "r", Cluster: "c", Attempt: 2})
			if (err == nil) != (c.want == nil) || err != nil && !errors.Is(err, c.want) && err.Error() != c.want.Error() {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if diff := cmp.Diff(c.kept, s.kept, cmpopts.IgnoreFields(run.Step{}, "StartedAt", "EndedAt")); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			for _, kept := range s.kept {
				if !kept.StartedAt.Equal(since) || kept.EndedAt.IsZero() {
					t.Errorf("from %s to %s", kept.StartedAt, kept.EndedAt)
				}
			}
		})
	}
}

func TestTwoCallsAreTwoHolders(t *testing.T) {
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
	if got := task.Invocation(ctx); got != "request-1" {
		t.Errorf("got %s", got)
	}
	if one, other := task.Invocation(t.Context()), task.Invocation(t.Context()); one == other {
		t.Error("two calls outside Lambda are the same")
	}
}
