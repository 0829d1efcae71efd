package mask_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/problem"
)

type object = map[string]any

func paths(t interface {
	Helper()
	Fatal(args ...any)
}, all ...string) mask.Paths {
	t.Helper()
	secret, err := mask.Parse(all)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestParse(t *testing.T) {
	good := []string{"auth.password", "users[*].password", `annotations["example.com/token"]`, "*.password"}
	if d := cmp.Diff(good, paths(t, good...).Strings()); d != "" {
		t.Errorf("differs (-want +got):\n%s", d)
	}
	for _, bad := range []string{"", "a..b", "users[0].password", "users[name=bob].password"} {
		p, ok := problem.From(func() error { _, err := mask.Parse([]string{"a", bad}); return err }())
		if !ok || p.Code != "secret-path-invalid" || p.Field != "secretPaths[1]" || p.Status != 422 || p.Remedy == "" {
			t.Errorf("%q: got %#v", bad, p)
		}
	}
	if _, err := mask.Accept(slices.Repeat([]string{"a"}, mask.MaxPaths+1)); !problem.Is(err, "secret-path-invalid") {
		t.Errorf("too many: got %v", err)
	}
}

func TestMask(t *testing.T) {
	cases := map[string]struct {
		paths        []string
		values, want object
	}{
		"nothing":          {[]string{"a"}, nil, nil},
		"no paths":         {nil, object{"a": "x"}, object{"a": "x"}},
		"one":              {[]string{"a.b"}, object{"a": object{"b": "x", "c": "y"}}, object{"a": object{"b": mask.Text, "c": "y"}}},
		"all beneath":      {[]string{"a"}, object{"a": object{"b": "x", "c": []any{1.0, true}}}, object{"a": object{"b": mask.Text, "c": []any{mask.Text, mask.Text}}}},
		"items":            {[]string{"u[*].p"}, object{"u": []any{object{"n": "a", "p": "x"}}}, object{"u": []any{object{"n": "a", "p": mask.Text}}}},
		"any field":        {[]string{"*.p"}, object{"a": object{"p": "x"}, "p": "y"}, object{"a": object{"p": mask.Text}, "p": "y"}},
		"unset is visible": {[]string{"a"}, object{"a": object{"b": nil, "c": "", "d": object{}}}, object{"a": object{"b": nil, "c": "", "d": object{}}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, paths(t, c.paths...).Mask(c.values)); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
		})
	}
}

func TestUnmask(t *testing.T) {
	user := func(name, password string) object { return object{"user": name, "password": password} }
	named := func(name, password string) object { return object{"name": name, "password": password} }
	const m = mask.Text
	cases := map[string]struct {
		request, before, want object
		field                 string // of the refusal
	}{
		"no mask":            {object{"a": "x"}, object{"a": "y"}, object{"a": "x"}, ""},
		"unchanged":          {object{"auth": object{"password": m, "user": "b"}}, object{"auth": object{"password": "x", "user": "a"}}, object{"auth": object{"password": "x", "user": "b"}}, ""},
		"a number":           {object{"auth": m}, object{"auth": 12.0}, object{"auth": 12.0}, ""},
		"a whole map":        {object{"auth": m}, object{"auth": object{"a": "x"}}, object{"auth": object{"a": "x"}}, ""},
		"nothing before":     {object{"auth": object{"password": m}}, object{"auth": object{}}, nil, "values.auth.password"},
		"no values before":   {object{"auth": m}, nil, nil, "values.auth"},
		"not a secret":       {object{"title": m}, object{"title": "x"}, nil, "values.title"},
		"in a longer text":   {object{"title": "is " + m}, object{"title": "x"}, object{"title": "is " + m}, ""},
		"by name, not place": {object{"users": []any{named("b", m)}}, object{"users": []any{named("a", "1"), named("b", "2")}}, object{"users": []any{named("b", "2")}}, ""},
		"a new name":         {object{"users": []any{named("c", m)}}, object{"users": []any{named("a", "1")}}, nil, "values.users[0].password"},
		"sorted": {object{"users": []any{user("b", m), user("a", m)}}, object{"users": []any{user("a", "1"), user("b", "2")}},
			object{"users": []any{user("b", "2"), user("a", "1")}}, ""},
		"shortened": {object{"users": []any{user("b", m)}}, object{"users": []any{user("a", "1"), user("b", "2")}}, object{"users": []any{user("b", "2")}}, ""},
		"lengthened": {object{"users": []any{user("b", "3"), user("a", m)}}, object{"users": []any{user("a", "1")}},
			object{"users": []any{user("b", "3"), user("a", "1")}}, ""},
		"another user in its place": {object{"users": []any{user("c", m)}}, object{"users": []any{user("a", "1")}}, nil, "values.users[0].password"},
		"scalars by place":          {object{"tokens": []any{m, m}}, object{"tokens": []any{"1", "2"}}, object{"tokens": []any{"1", "2"}}, ""},
		"scalars, one replaced":     {object{"tokens": []any{m, "3"}}, object{"tokens": []any{"1", "2"}}, nil, "values.tokens[0]"},
		"scalars, one less":         {object{"tokens": []any{m}}, object{"tokens": []any{"1", "2"}}, nil, "values.tokens[0]"},
		"scalars, all equal":        {object{"tokens": []any{m}}, object{"tokens": []any{"1", "1"}}, object{"tokens": []any{"1"}}, ""},
		"scalars, one new":          {object{"tokens": []any{m, "2"}}, object{"tokens": []any{"1"}}, object{"tokens": []any{"1", "2"}}, ""},
	}
	secret := paths(t, "auth", "users[*].password", "tokens[*]")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := secret.Unmask("values", c.request, c.before)
			if c.field != "" {
				p, ok := problem.From(err)
				if !ok || p.Code != "mask-without-value" || p.Field != c.field || p.Remedy == "" || p.Status != 422 {
					t.Errorf("got %v, want mask-without-value at %s", err, c.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
		})
	}
}

// What is read and written back is what was there, and what is read has none of the secrets.
func TestReadAndWrittenBackIsUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "name"}), anything(3), 0, 3).Draw(t, "values")
		secret := paths(t, rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b.a", "a[*]", "*.b", "a[*].b", "*[*].name", "name"}), 0, 3).Draw(t, "paths")...)
		read := secret.Mask(values)
		got, err := secret.Unmask("values", read, values)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(values, got); d != "" {
			t.Fatalf("written back, it differs (-was +is):\n%s", d)
		}
		raw, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		if masked := mask.Hide(string(raw), secret.Literals(values)); strings.Count(masked, "secret-") != strings.Count(asJSON(read), "secret-") {
			for _, l := range secret.Literals(values) {
				if strings.Contains(masked, l) {
					t.Fatalf("%s still has %s", masked, l)
				}
			}
		}
	})
}

func anything(depth int) *rapid.Generator[any] {
	scalar := rapid.Map(rapid.IntRange(0, 5), func(i int) any { return []any{nil, "", "secret-one", "secret-two", 31337.0, true}[i] })
	if depth == 0 {
		return scalar
	}
	inner := anything(depth - 1)
	return rapid.OneOf(scalar,
		rapid.Map(rapid.SliceOfN(inner, 0, 3), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "name"}), inner, 0, 3), func(m object) any { return m }))
}

func asJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func TestLiterals(t *testing.T) {
	values := object{"auth": object{"password": "sw\"ell", "pin": 123456.0, "on": true, "none": nil, "cert": "line one\nline two", "long": 123456789.0, "key": "a&b/c"}, "title": "tide"}
	literals := paths(t, "auth").Literals(values)
	for _, want := range []string{`sw"ell`, `sw\"ell`, base64.StdEncoding.EncodeToString([]byte(`sw"ell`)), "123456", "line one", "line two"} {
		if !slices.Contains(literals, want) {
			t.Errorf("%q is not among %q", want, literals)
		}
	}
	for text, want := range map[string]string{
		`password: sw"ell`:           "password: " + mask.Text,
		"title: tide":                "title: tide",
		"  line two":                 "  " + mask.Text,
		"pin 1.23456789e+08":         "pin " + mask.Text, // as a template prints the number
		`{"key":"a\u0026b/c"}`:       `{"key":"` + mask.Text + `"}`,
		"postgres://me:a%26b%2Fc@db": "postgres://me:" + mask.Text + "@db",
	} {
		if got := mask.Hide(text, literals); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
	short := paths(t, "a").Literals(object{"a": "on"})
	if got := mask.Hide("on", short) + " " + mask.Hide("only", short); got != mask.Text+" only" {
		t.Errorf("a short secret: %s", got)
	}
}

func TestChanges(t *testing.T) {
	was := object{"users": []any{object{"name": "a", "password": "1"}}, "auth": object{"password": "x"}}
	is := object{"users": []any{object{"name": "a", "password": "2"}, object{"name": "b", "password": "3"}}, "title": "x"}
	var got []string
	for _, c := range paths(t, "users[*].password", "auth").Changes(diff.Compare(was, is)) {
		got = append(got, fmt.Sprintf("%s %s: %v, %v", c.Op, c.Path, c.Before, c.After))
	}
	want := []string{
		"removed auth: map[password:[masked]], <nil>", "added title: <nil>, x", "changed users[name=a].password: [masked], [masked]",
		"added users[name=b]: <nil>, map[name:b password:[masked]]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("differs (-want +got):\n%s", d)
	}
}
