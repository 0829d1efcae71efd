package secrets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/secrets"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	s := secrets.Of([]byte("hunter2"))
	holder := struct{ Credential secrets.Secret }{s}
	var out bytes.Buffer
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, format+" "+format+" ", s, &s)
		fmt.Fprintf(&out, format, holder)
	}
	out.WriteString(s.String() + s.GoString() + fmt.Errorf("reading %v", s).Error())
	for _, v := range []any{s, &s, holder, map[string]any{"a": s}} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "a", s, "b", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "a", s, "b", holder)
	for _, leak := range []string{"hunter2", "68756e74657232", "104 117", "0x68"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is printed: %s", leak, out.String())
		}
	}
	if string(s.Reveal()) != "hunter2" {
		t.Error("the secret is lost")
	}
}
