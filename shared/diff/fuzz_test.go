package diff_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/diff"
)

// Whatever is read as a pattern prints as one that is read as the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a.b", `metadata.annotations["example.com/a"]`, "spec.containers[name=web].args[0]", `c[name="a.b"]`, "a[*].*", `["\n"]`, "[007]", "a[99999999999999999999]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := diff.Parse(text)
		if err != nil {
			return
		}
		again, err := diff.Parse(p.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, p.String(), err)
		}
		if d := cmp.Diff(p, again); d != "" {
			t.Fatalf("%q prints as %q (-read +read again):\n%s", text, p.String(), d)
		}
		if !p.Matches(diff.Path(p)) {
			t.Fatalf("%q does not match itself", text)
		}
	})
}

// An object is not other than itself; two that differ do so both ways, at paths that are read as they print.
func FuzzCompare(f *testing.F) {
	f.Add(`{"a":{"b":[{"name":"x"}]}}`, `{"a":{"b":[{"name":"x","v":1},{"name":"y"}]}}`)
	f.Add(`{"l":[1,2,3]}`, `{"l":[1,9,2,3]}`)
	f.Add(`{"p":[{"containerPort":1,"protocol":"TCP"},{"containerPort":1,"protocol":"UDP"}]}`, `{"p":[{"containerPort":1}],"":{"":[[]]}}`)
	f.Add(`{"a.b/c":null,"*":1}`, `{"a.b/c":{},"*":"1"}`)
	f.Fuzz(func(t *testing.T, before, after string) {
		var b, a object
		if json.Unmarshal([]byte(before), &b) != nil || json.Unmarshal([]byte(after), &a) != nil {
			return
		}
		if got := diff.Compare(b, b); len(got) > 0 {
			t.Fatalf("%s differs from itself: %v", before, got)
		}
		there, back := diff.Compare(b, a), diff.Compare(a, b)
		if (len(there) == 0) != (len(back) == 0) {
			t.Fatalf("one way: %v, the other: %v", there, back)
		}
		for _, change := range there {
			text := change.Path.String()
			p, err := diff.Parse(text)
			if err != nil || p.String() != text {
				t.Fatalf("path %q is read as %q: %v", text, p, err)
			}
		}
	})
}
