// Package schema finds where values do not meet the schema of a chart, without ever fetching one.
package schema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
)

// CodeViolation is the code of values that do not meet the chart's schema.
const CodeViolation = "values-schema-violation"

const (
	maxViolations   = 100
	maxAlternatives = 4
)

// Violation is one place where values do not meet a schema.
type Violation struct {
	Path    string `json:"path"`    // as `helm --set` spells it: image.tag, hosts[0].name; empty is the whole
	Message string `json:"message"` // never has the value, which may be a secret
}

// ViolationProblem is a problem that names the first violation's field (under, such as "values", and its path) and tells of the next few. It is nil
// where there is none.
func ViolationProblem(under string, violations []Violation) *problem.Problem {
	if len(violations) == 0 {
		return nil
	}
	const shown = 5
	told := make([]string, 0, shown)
	for _, v := range violations[:min(shown, len(violations))] {
		told = append(told, strings.TrimSpace(v.Path+" "+v.Message))
	}
	detail := strings.Join(told, "; ")
	if more := len(violations) - shown; more > 0 {
		detail += fmt.Sprintf("; and %d more", more)
	}
	field := strings.TrimSuffix(under+"."+violations[0].Path, ".")
	return problem.Invalid(CodeViolation, "the values do not meet the chart's schema: %s", detail).At(field)
}

// refuser is a loader that never loads.
type refuser struct{}

var errRefused = errors.New("a schema refers to something outside of it")

func (refuser) Load(string) (any, error) { return nil, errRefused }

// Validate returns where values do not meet schema, sorted by path, a hundred at most; the error is for a schema that cannot be used. It fetches
// nothing. A hostile schema can make it slow: call it in a child.
func Validate(schema json.RawMessage, values map[string]any) (violations []Violation, err error) {
	defer func() {
		if v := recover(); v != nil { // Helm does the same: some schemas make the library panic
			violations, err = nil, problem.Invalid(chart.CodeSchema, "the chart's values.schema.json cannot be used").At("chart")
		}
	}()
	compiled, err := compile(schema)
	if err != nil {
		return nil, err
	}
	instance, err := plain(values)
	if err != nil {
		return nil, err
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](compiled.Validate(instance))
	if !ok {
		return nil, nil
	}
	c := collector{instance: instance}
	c.add(invalid)
	slices.SortStableFunc(c.found, func(a, b Violation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	found := slices.Compact(c.found)
	return found[:min(len(found), maxViolations)], nil
}

// mark is the byte order mark that some editors write and Helm drops.
var mark = []byte("\xef\xbb\xbf")

func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	const location = "file:///values.schema.json"
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.TrimPrefix(schema, mark)))
	if err != nil {
		return nil, problem.Invalid(chart.CodeSchema, "the chart's values.schema.json is not JSON").At("chart")
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(refuser{})
	if err := compiler.AddResource(location, document); err != nil {
		return nil, problem.Invalid(chart.CodeSchema, "the chart's values.schema.json cannot be used").At("chart")
	}
	compiled, err := compiler.Compile(location)
	switch {
	case errors.Is(err, errRefused), isLoad(err):
		return nil, problem.Invalid(chart.CodeSchemaRef, "the chart's values.schema.json refers to something outside of it").At("chart")
	case err != nil:
		return nil, problem.Invalid(chart.CodeSchema, "the chart's values.schema.json is not a JSON schema: %s", chart.Printable(err.Error(), 400)).At("chart")
	}
	return compiled, nil
}

func isLoad(err error) bool {
	_, ok := errors.AsType[*jsonschema.LoadURLError](err)
	return ok
}

// plain is values as the library expects them, whatever Go types a YAML or JSON decoder gave.
func plain(values map[string]any) (any, error) {
	if values == nil {
		values = map[string]any{}
	}
	b, err := json.Marshal(values)
	if err != nil {
		return nil, problem.Invalid("values-invalid", "the values cannot be written as JSON").At("values")
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(b))
}

// collector turns the library's tree of errors into a list of what a person can correct.
type collector struct {
	instance any
	found    []Violation
}

func (c *collector) add(e *jsonschema.ValidationError) {
	if len(c.found) > 2*maxViolations {
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			c.violation(append(slices.Clone(e.InstanceLocation), name), "is required")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			c.violation(append(slices.Clone(e.InstanceLocation), name), "is not known to the chart")
		}
	case *kind.PropertyNames:
		c.violation(append(slices.Clone(e.InstanceLocation), k.Property), "has a name that is not allowed")
	case *kind.AnyOf, *kind.OneOf:
		c.violation(e.InstanceLocation, c.alternatives(e))
	default:
		if len(e.Causes) == 0 {
			c.violation(e.InstanceLocation, message(e.ErrorKind))
		}
		for _, cause := range e.Causes {
			c.add(cause)
		}
	}
}

// alternatives says what would have been right, if that is short and about this very place.
func (c *collector) alternatives(e *jsonschema.ValidationError) string {
	if len(e.Causes) == 0 {
		return "meets more than one of the forms that exclude each other"
	}
	inner := collector{instance: c.instance}
	for _, cause := range e.Causes {
		inner.add(cause)
	}
	here := c.path(e.InstanceLocation)
	var told []string
	for _, v := range inner.found {
		if v.Path != here {
			return "has none of the allowed forms"
		}
		told = append(told, v.Message)
	}
	slices.Sort(told)
	told = slices.Compact(told)
	if len(told) == 0 || len(told) > maxAlternatives {
		return "has none of the allowed forms"
	}
	return strings.Join(told, ", or ")
}

func (c *collector) violation(location []string, message string) {
	c.found = append(c.found, Violation{Path: c.path(location), Message: message})
}

// path spells a location as `helm --set` does; only the instance knows whether 0 is an index or a key.
func (c *collector) path(location []string) string {
	var b strings.Builder
	at := c.instance
	for _, element := range location {
		switch node := at.(type) {
		case []any:
			b.WriteString("[" + element + "]")
			at = nil
			if i, err := strconv.Atoi(element); err == nil && i >= 0 && i < len(node) {
				at = node[i]
			}
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(strings.ReplaceAll(chart.Printable(element, 200), ".", `\.`))
			object, _ := node.(map[string]any)
			at = object[element]
		}
	}
	return b.String()
}

// message is ours, since the library's quote the value in some kinds. What a schema allows is no secret.
func message(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		return "must be one of " + allowed(k.Want)
	case *kind.Const:
		return "must be " + allowed([]any{k.Want})
	case *kind.Format:
		return "must be in the format " + chart.Printable(k.Want, 100)
	case *kind.Pattern:
		return "must match the pattern " + chart.Printable(k.Want, 200)
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "must be greater than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "must be less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "must be a multiple of " + k.Want.RatString()
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.UniqueItems:
		return fmt.Sprintf("has equal items at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.DependentRequired:
		return fmt.Sprintf("needs %s where it has %s", strings.Join(k.Missing, ", "), k.Prop)
	case *kind.Dependency:
		return fmt.Sprintf("needs %s where it has %s", strings.Join(k.Missing, ", "), k.Prop)
	}
	return counted(k)
}

func counted(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d fields", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d fields", k.Want)
	}
	if keyword := k.KeywordPath(); len(keyword) > 0 {
		return "does not meet the schema's " + chart.Printable(keyword[0], 50)
	}
	return "does not meet the schema"
}

func allowed(values []any) string {
	told := make([]string, 0, len(values))
	for _, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return "what the schema lists"
		}
		told = append(told, string(b))
	}
	return chart.Printable(strings.Join(told, ", "), 300)
}
