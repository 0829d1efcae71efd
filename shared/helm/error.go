package helm

import (
	"fmt"

	"github.com/swell-sh/swell/shared/taskerr"
)

// Codes of an Error.
const (
	CodeFailed          = "helm-failed"         // Helm's or the cluster's own words are in the cause
	CodeKilled          = "helm-killed"         // over the time or the memory a verb may use; the record may be left pending
	CodeHookTimeout     = "hook-timeout"        // the hook still runs: nothing may retry before it ends
	CodeHookFailed      = "hook-failed"         // a hook ended badly or could not be made
	CodeRecordTooLarge  = "record-too-large"    // the release does not fit into a Secret; nothing was touched
	CodeMutationRefused = "mutation-refused"    // the lease is about to end; the record may be left pending
	CodeFenced          = "fenced"              // a later holder of the lease has written this release
	CodeReleaseConflict = "release-conflict"    // the release's records are not as they were seen
	CodeReleasePending  = "release-pending"     // another operation is in progress, or was left so
	CodeAPIMissing      = "api-missing"         // the cluster does not know a kind
	CodeForbidden       = "forbidden"           // the credential may not do it
	CodeUnauthorized    = "unauthorized"        // the credential is not accepted
	CodeUnreachable     = "cluster-unreachable" // no answer, or none that counts
	CodeObjectExists    = "object-exists"       // an object of that name belongs to somebody else
	CodeInvalidObject   = "invalid-object"      // the API server refuses an object
	CodeRenderFailed    = "chart-render-failed"
	CodeKubeVersion     = "chart-kube-version"
	CodeChartLoad       = "chart-load-failed"
	CodeTooLarge        = "chart-output-too-large"
)

// Error is how a verb ended badly. Its cause is raw but for values, which are redacted.
type Error struct {
	Code   string `json:"code"`
	Object string `json:"object,omitempty"` // the hook or object it is about, as Kind/name
	Cause  string `json:"cause"`
}

func (e *Error) Error() string {
	if e.Object != "" {
		return e.Code + ": " + e.Object + ": " + e.Cause
	}
	return e.Code + ": " + e.Cause
}

// ErrorCode is the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorName is what the state machine branches on: who lost the release to another writer waits for it and decides again.
func (e *Error) ErrorName() string {
	switch e.Code {
	case CodeUnreachable:
		return taskerr.ClusterUnreachable
	case CodeFenced, CodeReleaseConflict, CodeReleasePending, CodeMutationRefused:
		return taskerr.ReleaseLeased
	}
	return taskerr.TargetFailed
}

func errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Cause: fmt.Errorf(format, args...).Error()}
}
