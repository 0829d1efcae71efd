package mask_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/mask"
)

// Whatever values and paths are: what is read has nothing at a secret path, and written back it is what it was.
func FuzzMask(f *testing.F) {
	f.Add("auth.password", `{"auth":{"password":"hunter2"},"title":"x"}`)
	f.Add("users[*].password", `{"users":[{"name":"a","password":"one"},{"name":"b","password":{"deep":[1,null]}}]}`)
	f.Add("*", `{"":"x","a":{"":[[]]},"*":true}`)
	f.Add(`a["b.c"][*][*]`, `{"a":{"b.c":[["x"],[]]}}`)
	f.Add("a[name=x].b", `{"a":[{"name":"x","b":"secret"},{"name":"x","b":1e400}]}`)
	f.Add("auth", `{"auth":""}`)
	f.Fuzz(func(t *testing.T, path, text string) {
		secret, err := mask.Parse([]string{path})
		var values object
		if err != nil || json.Unmarshal([]byte(text), &values) != nil || mask.In(values) {
			return
		}
		read := secret.Mask(values)
		back, err := secret.Unmask("values", read, values)
		if err != nil {
			t.Fatalf("what was read of %s is refused: %v", text, err)
		}
		if d := cmp.Diff(values, back); d != "" {
			t.Fatalf("written back, it differs (-was +is):\n%s", d)
		}
		literals := secret.Literals(values)
		hidden := mask.Hide(text, literals)
		for _, l := range literals {
			if len(l) >= 4 && strings.Contains(hidden, l) && !strings.Contains(mask.Text, l) {
				t.Fatalf("%q is still in %q", l, hidden)
			}
		}
		for _, l := range secret.Literals(read) {
			if !slices.Contains(mask.Forms(mask.Text), l) {
				t.Fatalf("what was read still has %q at a secret path", l)
			}
		}
	})
}
