package helm

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	helmaction "helm.sh/helm/v3/pkg/action"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/schema"
)

// load reads a chart archive as `helm install` does, after the checks that keep a hostile one out.
func load(archive []byte) (*helmchart.Chart, error) {
	if _, err := chart.Check(archive); err != nil {
		return nil, err
	}
	chrt, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, problem.Invalid(CodeChartLoad, "the chart cannot be loaded: %v", err)
	}
	if err := helmaction.CheckDependencies(chrt, chrt.Metadata.Dependencies); err != nil {
		return nil, problem.Invalid(CodeChartLoad, "the chart is not complete: %v", err).
			Try("Run `helm dependency build` before `helm package`.")
	}
	return chrt, nil
}

// crd is a CustomResourceDefinition as far as capabilities need it.
type crd struct {
	Kind string `json:"kind"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Version  string `json:"version"` // v1beta1
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
		} `json:"versions"`
	} `json:"spec"`
}

func (c crd) apiVersions() []string {
	var all []string
	add := func(version string) {
		gv := c.Spec.Group + "/" + version
		all = append(all, gv, gv+"/"+c.Spec.Names.Kind)
	}
	if len(c.Spec.Versions) == 0 && c.Spec.Version != "" {
		add(c.Spec.Version)
	}
	for _, v := range c.Spec.Versions {
		if v.Served {
			add(v.Name)
		}
	}
	return all
}

// crdsOf returns the documents of the chart's crds/ folders, subcharts' included, and the API versions that they bring. Call it after
// the dependencies are processed: a subchart that is switched off brings none.
func crdsOf(chrt *helmchart.Chart) (docs [][]byte, apis []string, err error) {
	for _, file := range chrt.CRDObjects() {
		reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file.File.Data)))
		for {
			doc, err := reader.Read()
			if len(bytes.TrimSpace(doc)) > 0 && hasContent(doc) {
				var c crd
				if err := sigsyaml.Unmarshal(doc, &c); err != nil {
					return nil, nil, problem.Invalid(CodeChartLoad, "%s is not YAML: %v", file.Filename, err)
				}
				docs = append(docs, doc)
				if c.Kind == "CustomResourceDefinition" {
					apis = append(apis, c.apiVersions()...)
				}
			}
			if err != nil {
				break // io.EOF: it reads from memory
			}
		}
	}
	return docs, apis, nil
}

// hasContent is false for a document of comments alone.
func hasContent(doc []byte) bool {
	for line := range bytes.Lines(doc) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return true
		}
	}
	return false
}

// validate checks values against the schemas of the chart and its subcharts, as Helm's own validation does, with a loader that never
// fetches and messages that quote no value.
func validate(chrt *helmchart.Chart, values map[string]any) error {
	found, err := violations(chrt, values, "")
	if err != nil {
		return err
	}
	if p := schema.ViolationProblem("values", found); p != nil {
		return p
	}
	return nil
}

// violations prefixes paths: a subchart's schema knows its own values only.
func violations(chrt *helmchart.Chart, values map[string]any, prefix string) ([]schema.Violation, error) {
	var all []schema.Violation
	if chrt.Schema != nil {
		found, err := schema.Validate(chrt.Schema, values)
		if err != nil {
			return nil, err
		}
		for _, v := range found {
			v.Path = strings.TrimSuffix(prefix+v.Path, ".")
			all = append(all, v)
		}
	}
	for _, sub := range chrt.Dependencies() {
		raw, ok := values[sub.Name()]
		if !ok || raw == nil {
			continue
		}
		path := prefix + sub.Name()
		subvalues, ok := raw.(map[string]any)
		if !ok {
			all = append(all, schema.Violation{Path: path, Message: "must be an object: these are a subchart's values"})
			continue
		}
		found, err := violations(sub, subvalues, path+".")
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// capabilities are what templates see of a cluster.
func capabilities(kubeVersion string, apis []string) (*chartutil.Capabilities, error) {
	caps := chartutil.DefaultCapabilities.Copy()
	if kubeVersion != "" {
		v, err := chartutil.ParseKubeVersion(kubeVersion)
		if err != nil {
			return nil, fmt.Errorf("reading the cluster's version %q: %w", kubeVersion, err)
		}
		caps.KubeVersion = *v
	}
	if len(apis) > 0 {
		caps.APIVersions = apis
	}
	return caps, nil
}
