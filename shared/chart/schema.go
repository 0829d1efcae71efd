package chart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/problem"
)

const maxSchemaDepth = 200

// checkSchema refuses a schema that would make a validator read something else than this file. It looks at every key named like a reference,
// wherever it stands: what is data to one reader ("default": {"$ref": …}) is a schema to another that follows a pointer to it.
func checkSchema(name string, schema []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(withoutMark(schema)))
	decoder.UseNumber()
	err := eachString(decoder, "", 0, func(key, value string) error {
		if local(key, value) {
			return nil
		}
		return problem.Invalid(CodeSchemaRef, "%s has a %s to something outside of it: %s", Quoted(name), key, Quoted(value)).
			At("chart").Try("Put what it refers to into the schema itself, under $defs.")
	})
	if err == nil {
		if _, end := decoder.Token(); !errors.Is(end, io.EOF) {
			err = errTrailing
		}
	}
	if _, ok := problem.From(err); ok || err == nil {
		return err
	}
	return problem.Invalid(CodeSchema, "%s is not JSON: %s", Quoted(name), Printable(err.Error(), 200)).At("chart")
}

// withoutMark is without the byte order mark that some editors write and Helm drops.
func withoutMark(b []byte) []byte {
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
}

// local says whether a keyword's value stays within the document. A known draft's metaschema is built in, so naming it fetches nothing.
func local(key, value string) bool {
	switch key {
	case "$ref", "$dynamicRef", "$recursiveRef":
		return strings.HasPrefix(value, "#")
	case "$schema":
		return slices.Contains(drafts, strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(value, "#"), "http://"), "https://"))
	}
	return true
}

var drafts = []string{
	"json-schema.org/schema",
	"json-schema.org/draft-04/schema", "json-schema.org/draft-06/schema", "json-schema.org/draft-07/schema",
	"json-schema.org/draft/2019-09/schema", "json-schema.org/draft/2020-12/schema",
}

var errDepth = fmt.Errorf("it nests more than %d deep", maxSchemaDepth)

// eachString calls visit with every string in a document and the key it stands under, also under a key that stands twice.
func eachString(decoder *json.Decoder, key string, depth int, visit func(key, value string) error) error {
	if depth > maxSchemaDepth {
		return errDepth
	}
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		return visit(key, token)
	case json.Delim:
		for decoder.More() {
			under := ""
			if token == '{' {
				k, err := decoder.Token()
				if err != nil {
					return err
				}
				under, _ = k.(string) // the decoder lets nothing else through
			}
			if err := eachString(decoder, under, depth+1, visit); err != nil {
				return err
			}
		}
		_, err = decoder.Token()
	}
	return err
}

// Schemas returns the values schemas in a checked archive, by the path of chart names that leads to each: "" is the chart itself,
// "redis" its subchart, "redis/common" the subchart of that. An alias in the parent's Chart.yaml is not applied.
func Schemas(archive []byte) (map[string]json.RawMessage, error) {
	found, err := read(archive)
	if err != nil {
		return nil, err
	}
	names := map[string]string{"": ""}
	schemas := map[string]json.RawMessage{}
	for _, place := range slices.Sorted(maps.Keys(found.parts)) { // a parent sorts before its children
		p := found.parts[place]
		if place != "" {
			var m chartYAML
			if err := yaml.Unmarshal(p.metadata, &m); err != nil || m.Name == "" {
				continue // Helm refuses the whole chart for this, or ignores the directory
			}
			names[place] = strings.TrimPrefix(names[parent(place)]+"/"+m.Name, "/")
		}
		if p.schema != nil {
			schemas[names[place]] = json.RawMessage(withoutMark(p.schema))
		}
	}
	return schemas, nil
}

// parent of "charts/a/charts/b-1.0.0.tgz/" is "charts/a/".
func parent(place string) string {
	return place[:strings.LastIndex(strings.TrimSuffix(place, "/"), "charts/")]
}
