package helm

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/mask"
)

const (
	redacted = "[redacted]"

	minRedacted = 4 // shorter values are words that messages are made of
	maxCause    = 2 << 10
)

// redactor takes a user's values out of texts that Helm, a template or an API server wrote. Defaults of the chart are not the user's.
type redactor struct {
	values []string // longest first
}

// newRedactor knows every string among values, its lines and its base64; keep are names that stay readable.
func newRedactor(values map[string]any, keep ...string) redactor {
	var r redactor
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case string:
			r.add(v, keep)
		}
	}
	walk(values)
	slices.SortFunc(r.values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	r.values = slices.Compact(r.values)
	return r
}

func (r *redactor) add(v string, keep []string) {
	if len(v) < minRedacted || slices.ContainsFunc(keep, func(k string) bool { return strings.Contains(k, v) }) {
		return
	}
	r.values = append(r.values, mask.Forms(v)...)
}

// text is s without values, on one line, and short.
func (r *redactor) text(s string) string {
	for _, v := range r.values {
		s = replaceWord(s, v)
	}
	return clip(strings.Join(strings.Fields(s), " "), maxCause)
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
		inWord := len(v) < 2*minRedacted &&
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
