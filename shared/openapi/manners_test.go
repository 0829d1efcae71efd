package openapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/openapi"
)

// contract is the document, as far as these tests ask.
type contract struct {
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Parameters map[string]documented
		Responses  map[string]response
		Schemas    map[string]json.RawMessage
	}
}

type operation struct {
	OperationID string
	Tags        []string
	Parameters  []documented
	Responses   map[string]response
}

type documented struct {
	Ref  string `json:"$ref"`
	Name string
	In   string
}

type response struct {
	Ref     string `json:"$ref"`
	Headers map[string]json.RawMessage
	Content json.RawMessage
}

func readContract(t *testing.T) contract {
	t.Helper()
	w := httptest.NewRecorder()
	openapi.ServeDocument(w, nil)
	var c contract
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// each calls do with every operation and the names of its headers.
func (c contract) each(t *testing.T, do func(method string, op operation, headers []string)) {
	t.Helper()
	for path, item := range c.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			var op operation
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			var headers []string
			for _, p := range op.Parameters {
				if p.Ref != "" {
					p = c.Components.Parameters[last(p.Ref)]
				}
				if p.In == "header" {
					headers = append(headers, p.Name)
				}
			}
			do(method, op, headers)
		}
	}
}

func (c contract) response(r response) response {
	if r.Ref != "" {
		return c.Components.Responses[last(r.Ref)]
	}
	return r
}

func last(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// Every change can be repeated safely, every change of what is there can be conditional, and so can every read. A hook's delivery has an id of its
// own instead, and a signature.
func TestEveryOperationHasItsManners(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	c.each(t, func(method string, op operation, headers []string) {
		want, answers := []string{"Idempotency-Key"}, []string{"400", "401", "403", "404", "409", "422"}
		if slices.Contains(op.Tags, "hooks") {
			want, answers = nil, []string{"202", "400", "401", "413", "429"}
		}
		if method == "get" {
			want, answers = []string{"If-None-Match"}, []string{"200", "304"}
			if _, ok := c.response(op.Responses["200"]).Headers["ETag"]; !ok {
				t.Errorf("the 200 of %s has no ETag", op.OperationID)
			}
		}
		if method == "put" || method == "patch" || method == "delete" {
			want, answers = append(want, "If-Match"), append(answers, "412")
		}
		for _, header := range want {
			if !slices.Contains(headers, header) {
				t.Errorf("%s has no header %s", op.OperationID, header)
			}
		}
		for _, status := range answers {
			if _, ok := op.Responses[status]; !ok {
				t.Errorf("%s has no answer %s", op.OperationID, status)
			}
		}
		if _, ok := op.Responses["412"]; ok != slices.Contains(headers, "If-Match") {
			t.Errorf("%s has If-Match without 412, or the other way round", op.OperationID)
		}
	})
}

// The answer to a change is kept for its idempotency key, in the table. So it may hold neither values nor what is a secret.
func TestNoAnswerThatIsKeptHasValues(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	c.each(t, func(method string, op operation, _ []string) {
		for status, r := range op.Responses {
			if method == "get" || !strings.HasPrefix(status, "2") {
				continue
			}
			if found := c.holds(string(c.response(r).Content), map[string]bool{}); found != "" {
				t.Errorf("the %s of %s holds %s", status, op.OperationID, found)
			}
		}
	})
}

// holds finds a schema that may not be kept among those that text refers to.
func (c contract) holds(text string, seen map[string]bool) string {
	if strings.Contains(text, `"writeOnly"`) || strings.Contains(text, `"x-go-type": "Secret"`) {
		return "a secret"
	}
	for _, part := range strings.Split(text, `"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if name == "Values" || name == "ValueOverrides" {
			return name
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if found := c.holds(string(c.Components.Schemas[name]), seen); found != "" {
			return found + " by " + name
		}
	}
	return ""
}
