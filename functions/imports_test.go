// Package functions_test holds the functions to what each may link: a cold start pays for all of it.
package functions_test

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// heavy says which functions link what is heavy. A function that is not named here links none of it.
var heavy = map[string][]string{
	"admit-deployment": {helm, clientGo, registry},
	"plan-targets":     {helm, clientGo},
	"deploy-release":   {helm, clientGo},
	"test-release":     {helm, clientGo},
	"install-relay":    {helm, clientGo},
	"search-charts":    {registry},
	"process-delivery": {registry},
	"prepare-release":  {clientGo},
	"diff-release":     {clientGo},
	"check-release":    {clientGo},
	"check-cluster":    {clientGo},
	"import-cluster":   {clientGo},
}

const (
	helm     = "helm.sh/helm/"
	clientGo = "k8s.io/client-go/"
	registry = "github.com/google/go-containerregistry/"
)

func TestWhatFunctionsLink(t *testing.T) {
	t.Parallel()
	linked := dependencies(t)
	for function := range heavy {
		if _, ok := linked[function]; !ok {
			t.Errorf("there is no function %s", function)
		}
	}
	for _, function := range slices.Sorted(maps.Keys(linked)) {
		var got []string
		for _, library := range []string{helm, clientGo, registry} {
			if slices.ContainsFunc(linked[function], func(dep string) bool { return strings.HasPrefix(dep, library) }) {
				got = append(got, library)
			}
		}
		if diff := cmp.Diff(heavy[function], got); diff != "" {
			t.Errorf("function %s links (-allowed +got):\n%s", function, diff)
		}
	}
}

// dependencies are all packages that each function links.
func dependencies(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", "lambda.norpc", "-f", `{{if eq .Name "main"}}{{.Dir}} {{join .Deps " "}}{{end}}`, "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	linked := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		linked[filepath.Base(fields[0])] = fields[1:]
	}
	return linked
}
