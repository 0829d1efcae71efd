// Package excerpt shortens text that somebody else wrote and people read.
package excerpt

import "strings"

const ellipsis = "…"

// Of is the text in at most so many bytes: its beginning and an ellipsis if it is longer. It is valid UTF-8, whatever the text is. A limit of letters is kept
// by the same number of bytes.
func Of(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:max(0, most-len(ellipsis))], "") + ellipsis
}
