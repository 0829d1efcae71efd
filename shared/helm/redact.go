package helm

import (
	"strings"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/mask"
)

const maxCause = 2 << 10

// redactor takes a user's values out of what Helm, a template or an API server wrote.
type redactor struct{ mask.Redactor }

func newRedactor(values map[string]any, keep ...string) redactor {
	return redactor{mask.NewRedactor(values, keep...)}
}

// text is s without values, on one line, and short.
func (r redactor) text(s string) string {
	return excerpt.Of(strings.Join(strings.Fields(r.Hide(s)), " "), maxCause)
}
