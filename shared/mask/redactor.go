package mask

import (
	"regexp"
	"slices"
	"strings"
)

const redacted = "[redacted]"

// Redactor takes a user's values out of texts that others wrote: Helm, a template, an API server, a container. Which of them are secret nobody knows, so all
// of them go. Defaults of the chart are not the user's.
type Redactor struct {
	values []string // longest first
}

// NewRedactor knows every string among values, its lines and its base64; keep are names that stay readable. Shorter strings than four letters are words that
// texts are made of.
func NewRedactor(values map[string]any, keep ...string) Redactor {
	var r Redactor
	r.add(values, keep)
	r.values = sorted(r.values)
	return r
}

func (r *Redactor) add(value any, keep []string) {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			r.add(item, keep)
		}
	case []any:
		for _, item := range v {
			r.add(item, keep)
		}
	case string:
		if len(v) >= minLiteral && !slices.ContainsFunc(keep, func(k string) bool { return strings.Contains(k, v) }) {
			r.values = append(r.values, Forms(v)...)
		}
	}
}

// Hide is the text without the values.
func (r Redactor) Hide(text string) string {
	for _, v := range r.values {
		text = replaceWord(text, v)
	}
	return text
}

var wordish = regexp.MustCompile(`\w`)

// replaceWord leaves a value alone where it is a part of a longer word: "prod" in "production".
func replaceWord(s, v string) string {
	if !strings.Contains(s, v) {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, v)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := i + len(v)
		inWord := len(v) < 2*minLiteral &&
			((i > 0 && wordish.MatchString(s[i-1:i])) || (end < len(s) && wordish.MatchString(s[end:end+1])))
		b.WriteString(s[:i])
		if inWord {
			b.WriteString(v)
		} else {
			b.WriteString(redacted)
		}
		s = s[end:]
	}
}
