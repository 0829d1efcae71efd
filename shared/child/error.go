package child

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/swell-sh/swell/shared/problem"
)

// Reasons of a KilledError.
const (
	Memory   = "memory"   // over Limits.RSS or the address space, or the kernel was short of it
	Time     = "time"     // over Limits.Wall or the context's deadline
	CPU      = "cpu"      // over Limits.CPU
	Canceled = "canceled" // the context was cancelled
	Output   = "output"   // more than 32 MiB of result
)

// KilledError says that the child was killed before it had a result. It wraps the context's error where that was the cause.
type KilledError struct {
	Reason string
	cause  error
}

func (e *KilledError) Error() string { return "child killed: " + e.Reason }

// Unwrap returns the context's error, or nil.
func (e *KilledError) Unwrap() error { return e.cause }

// ErrorName is how a state machine may catch it.
func (e *KilledError) ErrorName() string { return "ChildKilled" }

// FailedError is the error that the work returned in the child. A *problem.Problem in its chain there is found by errors.As here.
type FailedError struct {
	Name    string // the ErrorName of the first error in the chain that has one, ChildPanicked, or ChildFailed
	Code    string // the problem's code, or empty
	Message string
	Stderr  string // up to 4 KiB, for a log; not for users
	problem *problem.Problem
}

func (e *FailedError) Error() string { return e.Message }

// Unwrap returns the problem, or nil.
func (e *FailedError) Unwrap() error {
	if e.problem == nil {
		return nil
	}
	return e.problem
}

// ErrorName is how a state machine may catch it.
func (e *FailedError) ErrorName() string { return e.Name }

const (
	nameFailed   = "ChildFailed"
	namePanicked = "ChildPanicked"
)

// failure is how an error travels: one line of JSON, the last of the child's output.
type failure struct {
	Name    string           `json:"name"`
	Message string           `json:"message"`
	Problem *problem.Problem `json:"problem,omitempty"`
}

func failureOf(err error) failure {
	f := failure{Name: nameFailed, Message: err.Error()}
	if named, ok := errors.AsType[interface {
		error
		ErrorName() string
	}](err); ok {
		f.Name = named.ErrorName()
	}
	f.Problem, _ = problem.From(err)
	return f
}

// line is f as the last line of an output that may have begun with half a result.
func (f failure) line() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		b = fmt.Appendf(nil, `{"name":%q}`, nameFailed)
	}
	return fmt.Appendf(nil, "\n%s\n", b)
}

// failedError reads the failure from the end of a child's output.
func failedError(output []byte, stderr string) *FailedError {
	output = bytes.TrimSuffix(output, []byte{'\n'})
	last := output[bytes.LastIndexByte(output, '\n')+1:]
	var f failure
	if err := json.Unmarshal(last, &f); err != nil || f.Name == "" {
		f = failure{Name: nameFailed, Message: "child failed and did not say why"}
	}
	e := &FailedError{Name: f.Name, Message: f.Message, Stderr: stderr, problem: f.Problem}
	if f.Problem != nil {
		e.Code = f.Problem.Code
	}
	return e
}
