package kube

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const (
	maxManifest = 16 << 20 // as much as a release record may hold
	maxObjects  = 10_000
)

var (
	topKind    = regexp.MustCompile(`(?m)^kind:[ \t]*([A-Za-z]+)[ \t]*(?:#.*)?\r?$`)
	topVersion = regexp.MustCompile(`(?m)^apiVersion:[ \t]*([A-Za-z0-9./-]+)[ \t]*(?:#.*)?\r?$`)
)

// passive says of a document that its one top-level kind is not wanted, by its text alone.
func passive(doc []byte, wanted func(gk schema.GroupKind) bool) bool {
	kinds, versions := topKind.FindAllSubmatch(doc, 2), topVersion.FindAllSubmatch(doc, 2)
	if len(kinds) != 1 || len(versions) != 1 || string(kinds[0][1]) == "List" {
		return false
	}
	return !wanted(schema.FromAPIVersionAndKind(string(versions[0][1]), string(kinds[0][1])).GroupKind())
}

// parse reads a manifest of many documents. A document whose one top-level kind is not wanted is not parsed at all: most
// of a big chart's bytes are ConfigMaps. Lists are opened. Nil wants all kinds.
func parse(manifest []byte, wanted func(gk schema.GroupKind) bool) ([]*unstructured.Unstructured, error) {
	if len(manifest) > maxManifest {
		return nil, fmt.Errorf("parsing a manifest: it is longer than %d bytes", maxManifest)
	}
	var all []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest)))
	for n := 1; ; n++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("parsing a manifest's document %d: %w", n, err)
		}
		if wanted != nil && passive(doc, wanted) {
			continue
		}
		objects, err := parseOne(doc)
		if err != nil {
			return nil, fmt.Errorf("parsing a manifest's document %d: %w", n, err)
		}
		for _, u := range objects {
			if wanted == nil || wanted(u.GroupVersionKind().GroupKind()) {
				all = append(all, u)
			}
		}
		if len(all) > maxObjects {
			return nil, fmt.Errorf("parsing a manifest: it has more than %d objects", maxObjects)
		}
	}
}

func parseOne(doc []byte) ([]*unstructured.Unstructured, error) {
	raw, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return nil, errors.New("it is not YAML") // the parser's text may quote a Secret
	}
	if string(raw) == "null" {
		return nil, nil
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		return nil, errors.New("it is not a Kubernetes object")
	}
	if !u.IsList() {
		return []*unstructured.Unstructured{u}, nil
	}
	list, err := u.ToList()
	if err != nil {
		return nil, errors.New("it is not a list of Kubernetes objects")
	}
	all := make([]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		all[i] = &list.Items[i]
	}
	return all, nil
}
