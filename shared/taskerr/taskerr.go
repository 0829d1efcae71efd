// Package taskerr is how a task tells its state machine what went wrong: a name the machine branches on, and a code and cause for people.
package taskerr

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/swell-sh/swell/shared/problem"
)

// The names that the machines in statemachines/ branch on. Every other failure is TargetFailed and is caught as States.ALL.
const (
	NotReady             = "NotReady"             // look again later
	AwaitReport          = "AwaitReport"          // look again when the cluster's relay reports
	ReleaseLeased        = "ReleaseLeased"        // another writer holds the release: wait for it
	ClusterUnreachable   = "ClusterUnreachable"   // no answer from the cluster: try again a few times
	NamespaceTerminating = "NamespaceTerminating" // a namespace of that name is being deleted: it can be made anew soon
	TryAgain             = "TryAgain"             // no failure: the target is back where it was, and what the run wanted comes again
	AlreadyDeployed      = "AlreadyDeployed"      // no failure: the release is only looked at again
	TestsWanted          = "TestsWanted"          // the workloads are ready, and the chart's tests are to run
	TargetFailed         = "TargetFailed"         // final for this target
)

// Internal is the name of every error that has none of its own.
const Internal = "Internal"

// Names lists all of them; the contract test compares it with the machines.
var Names = []string{NotReady, AwaitReport, ReleaseLeased, ClusterUnreachable, NamespaceTerminating, TestsWanted, TryAgain, AlreadyDeployed, TargetFailed, Internal}

// Error is a failure with the name that Step Functions sees.
type Error struct {
	Name  string
	Code  string // stable, kebab-case
	Cause error
}

// New makes an Error.
func New(name, code string, cause error) *Error { return &Error{Name: name, Code: code, Cause: cause} }

// Failed makes a final failure of a target.
func Failed(code, format string, args ...any) *Error {
	return New(TargetFailed, code, fmt.Errorf(format, args...))
}

func (e *Error) Error() string { return e.Code + ": " + e.Cause.Error() }
func (e *Error) Unwrap() error { return e.Cause }

// ErrorName is what Step Functions sees.
func (e *Error) ErrorName() string { return e.Name }

// Named is any error that knows the name Step Functions should see.
type Named interface {
	error
	ErrorName() string
}

// NameOf finds the name in err's chain.
func NameOf(err error) string {
	var n Named
	if errors.As(err, &n) {
		return n.ErrorName()
	}
	if _, ok := problem.From(err); ok {
		return TargetFailed // another attempt finds the same
	}
	return Internal
}

var coded = regexp.MustCompile(`^([a-z][a-z0-9]*(?:-[a-z0-9]+)*): `)

// CodeOf finds the code in err's chain: the error's own, a problem's, or its name in kebab-case.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c interface { // with a name too: AWS' own errors have codes of another kind
		Named
		ErrorCode() string
	}
	if errors.As(err, &c) && coded.MatchString(c.ErrorCode()+": ") { // AWS' errors have codes of another spelling
		return c.ErrorCode()
	}
	if p, ok := problem.From(err); ok {
		return p.Code
	}
	var n Named
	if errors.As(err, &n) {
		return kebab(n.ErrorName())
	}
	return "internal"
}

// CauseOf is err's text for people, without the code that CodeOf tells.
func CauseOf(err error) string {
	if p, ok := problem.From(err); ok && p.Error() == err.Error() {
		return strings.TrimSuffix(strings.TrimSpace(p.Detail+". "+p.Remedy), ".")
	}
	return strings.TrimPrefix(err.Error(), CodeOf(err)+": ")
}

func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Caught is what a Catch puts into the state: Lambda's error, as Step Functions hands it on.
type Caught struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"`
}

// Parse returns the code and the text of a caught error, whatever raised it.
func (c Caught) Parse() (code, cause string) {
	text := c.Cause
	var lambda struct {
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal([]byte(c.Cause), &lambda) == nil && lambda.Message != "" {
		text = lambda.Message
	}
	ours := slices.Contains(Names, c.Error) || !strings.Contains(c.Error, ".")
	if m := coded.FindStringSubmatch(text); m != nil && ours {
		return m[1], strings.TrimPrefix(text, m[0])
	}
	switch {
	case c.Error == "States.Timeout":
		return "step-timeout", "the step took longer than it may. " + text
	case strings.HasPrefix(c.Error, "Lambda.") || strings.HasPrefix(c.Error, "Runtime.") || strings.HasPrefix(c.Error, "Sandbox."):
		return "function-died", c.Error + ": " + text
	case c.Error == ClusterUnreachable:
		return "cluster-unreachable", text
	}
	return "internal", text
}
