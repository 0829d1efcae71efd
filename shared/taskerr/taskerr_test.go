package taskerr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/taskerr"
)

func TestNameAndCode(t *testing.T) {
	leased := taskerr.New(taskerr.ReleaseLeased, "release-leased", errors.New("until noon"))
	cases := map[string]struct {
		err        error
		name, code string
	}{
		"itself":            {leased, taskerr.ReleaseLeased, "release-leased"},
		"wrapped":           {fmt.Errorf("deploying: %w", leased), taskerr.ReleaseLeased, "release-leased"},
		"final":             {taskerr.Failed("hook-timeout", "job %s", "migrate"), taskerr.TargetFailed, "hook-timeout"},
		"a problem":         {fmt.Errorf("finding: %w", problem.NotFound("chart-not-found", "x")), "TargetFailed", "chart-not-found"},
		"only named":        {named{}, taskerr.NotReady, "not-ready"},
		"named and coded":   {coded{}, taskerr.ClusterUnreachable, "no-route"},
		"AWS' own code":     {fmt.Errorf("reading: %w", throttled{}), "Internal", "internal"},
		"anything else":     {errors.New("boom"), "Internal", "internal"},
		"several, one ours": {errors.Join(errors.New("boom"), leased), taskerr.ReleaseLeased, "release-leased"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := taskerr.NameOf(c.err); got != c.name {
				t.Errorf("name %s, want %s", got, c.name)
			}
			if got := taskerr.CodeOf(c.err); got != c.code {
				t.Errorf("code %s, want %s", got, c.code)
			}
		})
	}
}

type named struct{}

func (named) Error() string     { return "x" }
func (named) ErrorName() string { return taskerr.NotReady }

type coded struct{}

func (coded) Error() string     { return "x" }
func (coded) ErrorName() string { return taskerr.ClusterUnreachable }
func (coded) ErrorCode() string { return "no-route" }

type throttled struct{}

func (throttled) Error() string     { return "x" }
func (throttled) ErrorCode() string { return "ThrottlingException" }

func TestParse(t *testing.T) {
	lambda := func(message string) string {
		raw, err := json.Marshal(map[string]string{"errorMessage": message, "errorType": "X"})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	cases := map[string]struct {
		caught      taskerr.Caught
		code, cause string
	}{
		"a task's error":           {taskerr.Caught{Error: "TargetFailed", Cause: lambda("hook-timeout: job migrate")}, "hook-timeout", "job migrate"},
		"a code of one word":       {taskerr.Caught{Error: "TargetFailed", Cause: lambda("superseded: a newer run")}, "superseded", "a newer run"},
		"another":                  {taskerr.Caught{Error: "TargetFailed", Cause: lambda("canceled: by ann")}, "canceled", "by ann"},
		"an internal one":          {taskerr.Caught{Error: "Internal", Cause: lambda("internal: reading item: timeout")}, "internal", "reading item: timeout"},
		"a cause with a colon":     {taskerr.Caught{Error: "TargetFailed", Cause: lambda("release-failed: Upgrade: no: way")}, "release-failed", "Upgrade: no: way"},
		"a cause of several lines": {taskerr.Caught{Error: "TargetFailed", Cause: lambda("release-failed: a\nb-c: d")}, "release-failed", "a\nb-c: d"},
		"the task's time was over": {taskerr.Caught{Error: "States.Timeout", Cause: "Task timed out"}, "step-timeout", "the step took longer than it may. Task timed out"},
		"the function's time was":  {taskerr.Caught{Error: "Sandbox.Timedout", Cause: lambda("Task timed out after 5.00 seconds")}, "function-died", "Sandbox.Timedout: Task timed out after 5.00 seconds"},
		"the function was killed":  {taskerr.Caught{Error: "Runtime.ExitError", Cause: lambda("RequestId: 1 Error: Runtime exited")}, "function-died", "Runtime.ExitError: RequestId: 1 Error: Runtime exited"},
		"Lambda itself":            {taskerr.Caught{Error: "Lambda.TooManyRequestsException", Cause: "slow down"}, "function-died", "Lambda.TooManyRequestsException: slow down"},
		"no code":                  {taskerr.Caught{Error: "TargetFailed", Cause: lambda("Something broke")}, "internal", "Something broke"},
		"unreachable, no code":     {taskerr.Caught{Error: "ClusterUnreachable", Cause: lambda("no route")}, "cluster-unreachable", "no route"},
		"nothing":                  {taskerr.Caught{}, "internal", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, cause := c.caught.Parse()
			if code != c.code || cause != c.cause {
				t.Errorf("got %q, %q; want %q, %q", code, cause, c.code, c.cause)
			}
		})
	}
}
