package helm

import (
	"errors"
	"fmt"
	"strings"

	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
)

// explain turns what a verb returned into an Error. Helm flattens most errors to text, so what our own parts saw comes first, then types,
// then Helm's and the API server's fixed phrases.
func (v *verb) explain(err error) *Error {
	if err == nil {
		err = v.unrecorded()
	}
	if err == nil {
		return nil
	}
	e := v.seen(err)
	if e == nil {
		e = &Error{Code: codeOf(err), Cause: err.Error()}
	}
	if e.Code == CodeFailed && v.guard.lost.Load() != nil {
		e.Code = codeOfLost(*v.guard.lost.Load())
		e.Cause = err.Error()
	}
	if e.Code == CodeObjectExists && e.Object == "" {
		e.Object = existing(e.Cause)
	}
	return &Error{Code: e.Code, Object: e.Object, Cause: v.hide.text(e.Cause)}
}

// unrecorded: Helm logs, and goes on, when it could not store how a verb ended.
func (v *verb) unrecorded() error {
	if halted := v.guard.halted.Load(); halted != nil {
		return halted
	}
	if v.req.Action == release.Uninstall || v.records == nil || v.records.stored == nil {
		return nil
	}
	if s := v.records.stored.Info.Status; s != helmrelease.StatusDeployed {
		return fmt.Errorf("storing how the verb ended: the record says %s: %w", s, v.records.failure)
	}
	return nil
}

// seen is what our own parts know.
func (v *verb) seen(err error) *Error {
	if halted := v.guard.halted.Load(); halted != nil {
		return halted
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if p, ok := problem.From(err); ok {
		return &Error{Code: p.Code, Cause: p.Detail}
	}
	if v.objects == nil {
		return nil
	}
	if v.objects.hook != nil {
		return v.objects.hook
	}
	if v.records != nil && v.records.stored != nil {
		for _, h := range v.records.stored.Hooks {
			if h.LastRun.Phase == helmrelease.HookPhaseFailed && !h.LastRun.StartedAt.Time.Before(v.started) { // not an earlier verb's
				return &Error{Code: CodeHookFailed, Object: h.Kind + "/" + h.Name, Cause: err.Error()}
			}
		}
	}
	if len(v.objects.failures) > 0 { // uninstalling says only that it failed
		joined := errors.Join(v.objects.failures...)
		return &Error{Code: codeOf(joined), Cause: joined.Error()}
	}
	return nil
}

var phrases = []struct{ text, code string }{
	{"exists and cannot be imported into the current release", CodeObjectExists},
	{"no matches for kind", CodeAPIMissing},
	{"another operation (install/upgrade/rollback) is in progress", CodeReleasePending},
	{"cannot re-use a name that is still in use", CodeReleaseConflict},
	{"has no deployed releases", CodeReleaseConflict},
	{"which is incompatible with Kubernetes", CodeKubeVersion},
	{"execution error at (", CodeRenderFailed},
	{"parse error at (", CodeRenderFailed},
	{"YAML parse error on ", CodeRenderFailed},
	{"error converting YAML to JSON", CodeRenderFailed},
	{"template: ", CodeRenderFailed},
	{" is forbidden: ", CodeForbidden},
	{" is invalid: ", CodeInvalidObject},
	{" already exists", CodeObjectExists},
	{"Unauthorized", CodeUnauthorized},
	{"Kubernetes cluster unreachable", CodeUnreachable},
}

func codeOf(err error) string {
	switch {
	case meta.IsNoMatchError(err):
		return CodeAPIMissing
	case apierrors.IsForbidden(err):
		return CodeForbidden
	case apierrors.IsUnauthorized(err):
		return CodeUnauthorized
	case apierrors.IsInvalid(err):
		return CodeInvalidObject
	case apierrors.IsAlreadyExists(err):
		return CodeObjectExists
	case apierrors.IsInternalError(err): // an admission webhook, as a rule: the cluster answers
		return CodeFailed
	}
	if unanswering(err) {
		return CodeUnreachable
	}
	text := err.Error()
	for _, p := range phrases {
		if strings.Contains(text, p.text) {
			return p.code
		}
	}
	return CodeFailed
}

// unanswering says whether err is a cluster that gave no usable answer.
func unanswering(err error) bool {
	_, ok := errors.AsType[*kube.UnreachableError](kube.Classify(err))
	return ok
}

func codeOfLost(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeUnreachable
}

// existing takes the object from Helm's sentence: … Service "web" in namespace "prod" exists and cannot be imported ….
func existing(cause string) string {
	head, _, ok := strings.Cut(cause, " exists and cannot be imported")
	if !ok {
		return ""
	}
	head = head[strings.LastIndex(head, ": ")+1:]
	kind, name, ok := strings.Cut(strings.TrimSpace(head), ` "`)
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(name, `"`)
	return kind + "/" + name
}
