package excerpt_test

import (
	"testing"
	"unicode/utf8"

	"github.com/swell-sh/swell/shared/excerpt"
)

func TestEnd(t *testing.T) {
	cases := map[string]struct {
		text string
		most int
		want string
	}{
		"short":                 {"a\nb", 3, "a\nb"},
		"empty":                 {"", 3, ""},
		"none of it":            {"abc", 0, ""},
		"the last lines":        {"one\ntwo\nthree", 11, "two\nthree"},
		"half a line":           {"one\ntwo\nthree", 8, "three"},
		"of one line its end":   {"one\nlonger than that", 4, "that"},
		"of one that is ended":  {"longer than that\n", 5, "that\n"},
		"a letter of two bytes": {"őőőő", 5, "őő"},
		"no UTF-8":              {"a\xffb", 5, "ab"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := excerpt.End(c.text, c.most); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzEnd(f *testing.F) {
	f.Add("ő\nő\xff", 4)
	f.Fuzz(func(t *testing.T, text string, most int) {
		if got := excerpt.End(text, most); !utf8.ValidString(got) || len(got) > max(most, 0) {
			t.Errorf("%q in %d bytes is %q", text, most, got)
		}
	})
}
