package diff

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Step is one step of a path: into a field, into the item of a list that has Value for Key, or into the item at Index.
type Step struct {
	Field      string
	Key, Value string
	Index      int // where Field and Key are empty; AnyItem in a pattern
}

// AnyField and AnyItem are the steps of a pattern that take every field of an object and every item of a list.
const (
	AnyField = "*"
	AnyItem  = -1
)

// Path leads to a field of an object. It prints as spec.template.spec.containers[name=web].args[0]; a field's name that holds a
// separator is quoted: metadata.annotations["example.com/a"].
type Path []Step

// Pattern matches paths: * stands for every field, [*] for every item.
type Pattern []Step

// To returns the path one step further, leaving p as it is.
func (p Path) To(s Step) Path { return append(p[:len(p):len(p)], s) }

// Field returns the path into a field.
func (p Path) Field(name string) Path { return p.To(Step{Field: name}) }

var plain = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

func (p Path) String() string { return text(p) }

// MarshalText writes the path as it prints.
func (p Path) MarshalText() ([]byte, error) { return []byte(text(p)), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Path) UnmarshalText(raw []byte) error {
	pattern, err := Parse(string(raw))
	*p = Path(pattern)
	return err
}

func (p Pattern) String() string { return text(p) }

func text(steps []Step) string {
	var b strings.Builder
	for i, s := range steps {
		switch {
		case s.Field == AnyField || plain.MatchString(s.Field):
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.Field)
		case s.Field != "":
			fmt.Fprintf(&b, "[%q]", s.Field)
		case s.Key != "" && plain.MatchString(s.Value):
			fmt.Fprintf(&b, "[%s=%s]", s.Key, s.Value)
		case s.Key != "":
			fmt.Fprintf(&b, "[%s=%q]", s.Key, s.Value)
		case s.Index == AnyItem:
			b.WriteString("[*]")
		default:
			fmt.Fprintf(&b, "[%d]", s.Index)
		}
	}
	return b.String()
}

var token = regexp.MustCompile(`^(?:\.?([A-Za-z0-9_$*-]+)|\[("(?:[^"\\]|\\.)*")\]|\[([A-Za-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^\]"]+)\]|\[(\*|\d+)\])`)

// Parse reads a pattern; a path is one too.
func Parse(s string) (Pattern, error) {
	var p Pattern
	for rest := s; rest != ""; {
		m := token.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("reading path %q: cannot go on at %q", s, rest)
		}
		step, err := step(m)
		if err != nil {
			return nil, fmt.Errorf("reading path %q: %w", s, err)
		}
		p = append(p, step)
		rest = rest[len(m[0]):]
	}
	if len(p) == 0 {
		return nil, fmt.Errorf("reading path %q: it is empty", s)
	}
	return p, nil
}

func step(m []string) (Step, error) {
	switch {
	case m[1] != "":
		return Step{Field: m[1]}, nil
	case m[2] != "":
		field, err := strconv.Unquote(m[2])
		return Step{Field: field}, err
	case m[3] != "":
		value, err := m[4], error(nil)
		if strings.HasPrefix(value, `"`) {
			value, err = strconv.Unquote(value)
		}
		return Step{Key: m[3], Value: value}, err
	case m[5] == "*":
		return Step{Index: AnyItem}, nil
	}
	index, err := strconv.Atoi(m[5])
	return Step{Index: index}, err
}

// Matches says whether the path is what the pattern names, or lies beneath it.
func (p Pattern) Matches(path Path) bool {
	if len(path) < len(p) {
		return false
	}
	for i, want := range p {
		got := path[i]
		switch {
		case want.Field == AnyField && got.Field != "":
		case want.Field == "" && want.Key == "" && want.Index == AnyItem && got.Field == "":
		case want != got:
			return false
		}
	}
	return true
}
