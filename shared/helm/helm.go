// Package helm renders charts and runs Helm's verbs on one cluster, in children; nothing else in Swell imports Helm.
//
// It does what it is told: it decides nothing, takes no lease, installs no CRDs, waits for no workload, and never prunes or marks
// records. Its callers do (release.Decide, the record package, the roll-out's states).
package helm

import (
	"io"
	"log"
	"log/slog"

	helmkube "helm.sh/helm/v3/pkg/kube"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/swell-sh/swell/shared/child"
)

const (
	renderChild = "render-chart"
	verbChild   = "run-helm-verb"
)

// ServeChildren does in a child the work that Render and Apply put there, and does not return then. A main that calls them does this first.
func ServeChildren() {
	RegisterChildren()
	child.Main()
}

// RegisterChildren names the work that Render and Apply do in a child. Every main that calls them does this before child.Main.
func RegisterChildren() {
	child.Handle(renderChild, renderInChild)
	child.Handle(verbChild, applyInChild)
}

// quiet keeps what Helm and client-go print out of the function's log: their warnings quote values.
func quiet() {
	log.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	// Helm 4 applies on the server side, where the manager's name owns fields: an upgrade by hand must not meet another owner.
	helmkube.ManagedFieldsManager = "helm"
}
