package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
)

// Limits of a render.
const (
	renderWall = 10 * time.Second
	maxMemory  = 512 << 20
	maxOutput  = 16 << 20
	maxObjects = 5000
)

// Request is what to render for which cluster.
type Request struct {
	Archive     []byte         `json:"archive"`
	Values      map[string]any `json:"values"`
	Release     string         `json:"release"`
	Namespace   string         `json:"namespace"`
	KubeVersion string         `json:"kubeVersion"` // such as v1.36.3; Helm's default if empty
	APIVersions []string       `json:"apiVersions"` // such as apps/v1 and apps/v1/Deployment; Helm's defaults if empty. The chart's own CRDs are added.
	Revision    int            `json:"revision"`    // that the verb will make; 1 or less renders as an install does, more as an upgrade
	Show        bool           `json:"show"`        // return what was rendered, for a plan that is shown
}

// Rendered is what a chart makes of values. Manifests stay in the child unless they are asked for, and notes always: they may carry secrets.
type Rendered struct {
	Chart        string   `json:"chart"`
	Version      string   `json:"version"`
	Size         int      `json:"size"` // bytes of the manifest, hooks included
	Objects      int      `json:"objects"`
	Hooks        int      `json:"hooks"`
	CRDs         [][]byte `json:"crds"`         // documents of crds/, to be installed before the first verb
	AsksAPIs     bool     `json:"asksAPIs"`     // its templates, or values for them, speak of the cluster's Capabilities
	Reproducible bool     `json:"reproducible"` // false: another render may differ (random values, the time, lookups in the cluster)

	Shown *release.Rendering `json:"shown,omitempty"` // where Request.Show asks for it
}

// Render renders a chart as `helm install` would on a cluster with those capabilities, in a child. A chart or values that do not
// render are a problem: chart-load-failed, values-schema-violation, chart-kube-version, chart-render-failed, chart-output-too-large, or
// one of the chart package's.
func Render(ctx context.Context, req Request) (Rendered, error) {
	var out Rendered
	err := child.Call(ctx, renderChild, plainRequest(req), &out, child.Limits{CPU: renderWall, Wall: renderWall, RSS: maxMemory})
	if err == nil {
		return out, nil
	}
	if p, ok := problem.From(err); ok {
		return Rendered{}, p
	}
	if killed, ok := errors.AsType[*child.KilledError](err); ok && ctx.Err() == nil {
		return Rendered{}, problem.Invalid(CodeRenderFailed, "rendering took more than %s: limits are %s and %d MB", killed.Reason, renderWall, maxMemory>>20)
	}
	if failed, ok := errors.AsType[*child.FailedError](err); ok && failed.ErrorName() == "ChildPanicked" {
		return Rendered{}, problem.Invalid(CodeRenderFailed, "Helm broke down over this chart")
	}
	return Rendered{}, fmt.Errorf("rendering release %s: %w", req.Release, err)
}

const hidden = "[redacted]"

// String hides the values.
func (Request) String() string { return hidden }

// GoString is %#v.
func (Request) GoString() string { return hidden }

// Format covers every verb.
func (Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue is what slog prints.
func (Request) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON hides the values from payloads.
func (Request) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
