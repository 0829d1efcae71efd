package openapi

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/swell-sh/swell/shared/problem"
)

// Operation is one operation of the document.
type Operation struct {
	ID       string // operationId
	Pattern  string // as http.ServeMux has it: "GET /api/v1/orgs/{org}/clusters"
	Function string // the function that serves it: a folder under functions/
	query    []parameter
}

type parameter struct {
	name     string
	kind     string // string, integer or boolean
	enum     []string
	min, max int // of an integer
}

// Operations returns the operations of the document.
func Operations() []Operation { return slices.Clone(operations) }

// Routes serves mux, and answers a path or a method that it does not have by a problem. It answers 304 where If-None-Match allows it.
func Routes(mux *http.ServeMux) http.Handler {
	return conditional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		miss := &head{header: http.Header{}}
		handler.ServeHTTP(miss, r)
		if allow := miss.header.Get("Allow"); miss.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", allow)
			WriteProblem(w, r, problem.With(http.StatusMethodNotAllowed, "method-not-allowed", "%s is not an operation of this path", r.Method).
				Try("use one of: %s", allow))
			return
		}
		WriteProblem(w, r, problem.NotFound("path-not-found", "the API has no such path").Try("see /openapi.json for the paths there are"))
	}))
}

// head is an answer of which only the head is of interest.
type head struct {
	header http.Header
	status int
}

func (h *head) Header() http.Header          { return h.header }
func (h *head) WriteHeader(status int)       { h.status = status }
func (*head) Write(body []byte) (int, error) { return len(body), nil }

// CheckParameters refuses the path of another organization, query parameters that the operation does not take, and values that the document does not allow; the generated
// code does neither. It runs behind a ServeMux, which sets the request's pattern.
func CheckParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkParameters(r); err != nil {
			WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func checkParameters(r *http.Request) error {
	if err := checkOrg(r); err != nil {
		return err
	}
	if r.URL.RawQuery == "" {
		return nil
	}
	var takes []parameter
	for _, op := range operations {
		if op.Pattern == r.Pattern {
			takes = op.query
		}
	}
	for name, values := range r.URL.Query() {
		i := slices.IndexFunc(takes, func(p parameter) bool { return p.name == name })
		if i < 0 {
			return problem.Invalid("unknown-parameter", "this operation has no query parameter %q", name).At(name).Try("%s", remedy(takes))
		}
		if len(values) > 1 {
			return problem.Invalid("invalid-parameter", "%s is given %d times", name, len(values)).At(name).Try("give it once")
		}
		if err := takes[i].check(values[0]); err != nil {
			return err
		}
	}
	return nil
}

func (p parameter) check(value string) error {
	invalid := problem.Invalid("invalid-parameter", "%s=%q is not acceptable", p.name, value).At(p.name)
	switch {
	case p.enum != nil && !slices.Contains(p.enum, value):
		return invalid.Try("use one of: %s", strings.Join(p.enum, ", "))
	case p.kind == "boolean" && value != "true" && value != "false":
		return invalid.Try("use true or false")
	case p.kind == "integer":
		if n, err := strconv.Atoi(value); err != nil || n < p.min || n > p.max {
			return invalid.Try("use a number from %d to %d", p.min, p.max)
		}
	}
	return nil
}

func remedy(takes []parameter) string {
	if len(takes) == 0 {
		return "leave it out: this operation takes none"
	}
	names := make([]string, len(takes))
	for i, p := range takes {
		names[i] = p.name
	}
	return "use only: " + strings.Join(names, ", ")
}

// WriteParameterProblem answers what the generated code could not read of a parameter.
func WriteParameterProblem(w http.ResponseWriter, r *http.Request, err error) {
	if e := checkParameters(r); e != nil { // says it better, and the organization comes first
		WriteProblem(w, r, e)
		return
	}
	name := "the path"
	// Each server package generates its own error types, alike in this field only.
	if v := reflect.Indirect(reflect.ValueOf(err)); v.Kind() == reflect.Struct {
		if f := v.FieldByName("ParamName"); f.Kind() == reflect.String {
			name = f.String()
		}
	}
	WriteProblem(w, r, problem.Invalid("invalid-parameter", "%s is not acceptable", name).At(name).Try("see /openapi.json for what it may be"))
}
