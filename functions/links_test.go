// Package functions_test holds what is true of all functions.
package functions_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// What a function links decides its size, its cold start and what a fault in it can reach. A function that is named nowhere here links
// neither Helm nor a Kubernetes client.
var (
	linksHelm       = []string{"admit-deployment", "deploy-release", "install-relay", "plan-targets", "test-release"}
	linksKubernetes = append([]string{"check-cluster", "check-release", "diff-release", "import-cluster", "prepare-release"}, linksHelm...)
)

func TestFunctionsLinkWhatTheyMay(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := path.Base(p.ImportPath)
		if name == "functions" {
			continue
		}
		seen++
		for prefix, may := range map[string][]string{"helm.sh/helm/": linksHelm, "k8s.io/": linksKubernetes} {
			i := slices.IndexFunc(p.Deps, func(dep string) bool { return strings.HasPrefix(dep, prefix) })
			if links := i >= 0; links != slices.Contains(may, name) {
				t.Errorf("%s links %s: %v", name, prefix, links)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d functions were found", seen)
	}
}
