package excerpt

import "strings"

// End is the text's last lines, in at most so many bytes: half a line is none, unless it is the only one. It is valid UTF-8.
func End(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= most {
		return text
	}
	text = text[len(text)-max(0, most):]
	if i := strings.IndexByte(text, '\n'); i >= 0 && i < len(text)-1 {
		text = text[i+1:]
	}
	return strings.ToValidUTF8(text, "")
}
