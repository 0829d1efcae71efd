// Package helmtest makes chart archives for tests, in memory.
package helmtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Chart is a chart's files by their path in it. Files without Chart.yaml get one.
type Chart map[string]string

// Archive is the chart packed as `helm package` does.
func (c Chart) Archive(tb testing.TB) []byte {
	tb.Helper()
	files := maps.Clone(c)
	if files["Chart.yaml"] == "" {
		files["Chart.yaml"] = Meta("web", "1.0.0")
	}
	_, rest, _ := strings.Cut(files["Chart.yaml"], "\nname: ")
	name, _, _ := strings.Cut(rest, "\n")
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	tape := tar.NewWriter(zip)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name + "/" + path, Mode: 0o644, Size: int64(len(files[path])), Typeflag: tar.TypeReg}
		if err := tape.WriteHeader(header); err != nil {
			tb.Fatal(err)
		}
		if _, err := tape.Write([]byte(files[path])); err != nil {
			tb.Fatal(err)
		}
	}
	if err := tape.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// With is a copy of the chart with another file.
func (c Chart) With(path, content string) Chart {
	files := maps.Clone(c)
	files[path] = content
	return files
}

// Meta is a Chart.yaml; more are further lines of it.
func Meta(name, version string, more ...string) string {
	return "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n" + strings.Join(more, "\n") + "\n"
}

// ConfigMaps is a chart of n ConfigMaps that hold the value `text`.
func ConfigMaps(n int) Chart {
	c := Chart{"values.yaml": "text: plain\n"}
	for i := range n {
		c[fmt.Sprintf("templates/map-%02d.yaml", i)] = fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-%02d\ndata:\n  text: {{ .Values.text | quote }}\n", i)
	}
	return c
}

// Workload is a chart of one appsv1.Deployment and its Service.
func Workload() Chart {
	return Chart{
		"values.yaml": "replicas: 1\nimage: registry.example/web:1\n",
		"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
        - name: web
          image: {{ .Values.image }}
`,
		"templates/service.yaml": `apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {app: {{ .Release.Name }}}
  ports:
    - port: 80
`,
	}
}

// Hook is a Job that runs at those hook events.
func Hook(name, events string) string {
	return `apiVersion: batch/v1
kind: Job
metadata:
  name: ` + name + `
  annotations:
    helm.sh/hook: ` + events + `
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: work
          image: registry.example/work:1
`
}
