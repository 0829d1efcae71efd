package helm_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

const (
	name      = "web"
	namespace = "shop"
)

// newServer is a cluster with the namespace that tests install into.
func newServer(t *testing.T, opts kubetest.Options) *kubetest.Server {
	t.Helper()
	server := kubetest.New(t, opts)
	server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}})
	return server
}

// newOp is an operation with a lease that outlasts the test.
func newOp(t *testing.T, server *kubetest.Server, action release.Action, chart helmtest.Chart, values map[string]any) helm.Op {
	t.Helper()
	op := helm.Op{
		Credential: server.Credential(), AllowedNetworks: "127.0.0.0/8", ReleaseName: name, Namespace: namespace, Action: action,
		Values: values, Labels: labels("input-1"), Fence: 1, StopMutationsAt: time.Now().Add(time.Minute), HookTimeout: 20 * time.Second,
	}
	if chart != nil {
		op.Archive = chart.Archive(t)
	}
	return op
}

func labels(input string) map[string]string {
	return map[string]string{release.LabelOwner: "deployment-d1", release.LabelInput: input, release.LabelRun: "run-1"}
}

func apply(t *testing.T, op helm.Op) helm.Result {
	t.Helper()
	result, err := helm.Apply(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// refused runs a verb that must fail with that code.
func refused(ctx context.Context, t *testing.T, op helm.Op, code string) (helm.Result, helm.Error) {
	t.Helper()
	result, err := helm.Apply(ctx, op)
	e, ok := errors.AsType[*helm.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want an error with code %s", err, code)
	}
	return result, *e
}
