package excerpt_test

import (
	"testing"
	"unicode/utf8"

	"github.com/swell-sh/swell/shared/excerpt"
)

func TestOf(t *testing.T) {
	cases := map[string]struct {
		text string
		most int
		want string
	}{
		"short":                 {"image", 5, "image"},
		"empty":                 {"", 5, ""},
		"long":                  {"ImagePullBackOff", 8, "Image…"},
		"a letter of two bytes": {"őőőő", 6, "ő…"},
		"no UTF-8":              {"a\xffb", 5, "ab"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := excerpt.Of(c.text, c.most); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	f.Add("őő\xff", 4)
	f.Fuzz(func(t *testing.T, text string, most int) {
		if got := excerpt.Of(text, most); !utf8.ValidString(got) || len(got) > max(most, len("…")) {
			t.Errorf("%q in %d bytes is %q", text, most, got)
		}
	})
}
