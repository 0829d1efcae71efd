package mask

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/swell-sh/swell/shared/diff"
)

// minLiteral: shorter secrets are words that texts are made of; Hide finds them only where they are the whole.
const minLiteral = 4

// Literals are the texts by which the secrets among values appear in what is rendered from them: as they are, quoted, escaped for a URL, in base64,
// and line by line. The longest is first.
func (secret Paths) Literals(values ...map[string]any) []string {
	var found []string
	for _, v := range values {
		found = secret.literals(found, nil, v)
	}
	return sorted(found)
}

func (secret Paths) literals(found []string, at diff.Path, value any) []string {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			found = secret.literals(found, at.Field(key), item)
		}
	case []any:
		for i, item := range v {
			found = secret.literals(found, at.To(diff.Step{Index: i}), item)
		}
	case nil, bool:
	default:
		if secret.Has(at) {
			found = append(found, Forms(diff.Plain(v))...)
			found = append(found, Forms(fmt.Sprint(v))...) // a large number has an exponent where a template prints it
		}
	}
	return found
}

// Forms are the texts by which one secret appears.
func Forms(secret string) []string {
	if secret == "" {
		return nil
	}
	quoted := strconv.Quote(secret)
	inJSON, err := json.Marshal(secret)
	if err != nil { // never, of a text
		inJSON = []byte(quoted)
	}
	forms := []string{
		secret, quoted[1 : len(quoted)-1], string(inJSON[1 : len(inJSON)-1]), url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
	}
	if strings.Contains(secret, "\n") {
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); len(line) >= minLiteral {
				forms = append(forms, line)
			}
		}
	}
	return forms
}

func sorted(literals []string) []string {
	slices.SortFunc(literals, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(literals)
}

// Hide returns text with Text for every literal in it.
func Hide(text string, literals []string) string {
	for _, literal := range literals {
		switch {
		case text == literal:
			return Text
		case len(literal) >= minLiteral:
			text = strings.ReplaceAll(text, literal, Text)
		}
	}
	return text
}
