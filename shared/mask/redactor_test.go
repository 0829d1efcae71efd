package mask_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/mask"
)

func TestRedactor(t *testing.T) {
	values := map[string]any{
		"password": "s3cret-text", "env": "prod", "short": "abc", "port": 5432, "name": "shop-web",
		"deep": map[string]any{"list": []any{map[string]any{"key": "-----BEGIN-----\nlineofkey\n-----END-----"}}},
	}
	r := mask.NewRedactor(values, "web", "shop-web")
	for text, want := range map[string]string{
		"panic: no login with s3cret-text\nat main": "panic: no login with [redacted]\nat main",
		"in base64 czNjcmV0LXRleHQ=":                "in base64 [redacted]",
		"a line of it: lineofkey.":                  "a line of it: [redacted].",
		"production of prod":                        "production of [redacted]",
		"abc at 5432 of shop-web":                   "abc at 5432 of shop-web",
		"":                                          "",
	} {
		if got := r.Hide(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (mask.Redactor{}).Hide("s3cret-text"); got != "s3cret-text" {
		t.Error(got)
	}
}
