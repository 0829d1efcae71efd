package openapi

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is text of a request that must not be printed. It is JSON as it is, since the client sends it; no answer has one.
type Secret string

// String is what prints.
func (Secret) String() string { return redacted }

// GoString is what %#v prints.
func (Secret) GoString() string { return redacted }

// Format is what any verb prints.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is what a log gets.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// String is what prints: values may carry secrets.
func (Values) String() string { return redacted }

// GoString is what %#v prints.
func (Values) GoString() string { return redacted }

// Format is what any verb prints.
func (Values) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is what a log gets.
func (Values) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets: a handler that writes JSON would otherwise write the kubeconfig.
func (ImportClusterRequest) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets: a handler that writes JSON would otherwise write the values.
func (DeploymentRequest) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets: a handler that writes JSON would otherwise write the values.
func (d Deployment) LogValue() slog.Value { return slog.StringValue(d.ReleaseName) }

// Maps returns the overrides as the domain has them.
func (o ValueOverrides) Maps() map[string]map[string]any {
	out := make(map[string]map[string]any, len(o))
	for name, values := range o {
		out[name] = values
	}
	return out
}

// OverridesOf returns the domain's overrides as the API has them.
func OverridesOf(overrides map[string]map[string]any) ValueOverrides {
	out := make(ValueOverrides, len(overrides))
	for name, values := range overrides {
		out[name] = values
	}
	return out
}
