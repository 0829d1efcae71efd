package source_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

func TestValidate(t *testing.T) {
	files, image := shop(source.GitHub).Rules[0], shop(source.GHCR).Rules[0]
	tests := map[string]struct {
		change func(*source.Source)
		field  string // empty: valid
	}{
		"as it is":         {func(*source.Source) {}, ""},
		"name":             {func(s *source.Source) { s.Name = "Shop" }, "name"},
		"kind":             {func(s *source.Source) { s.Kind = "gogs" }, "kind"},
		"ssh":              {func(s *source.Source) { s.URL = "git@github.com:acme/shop.git" }, "url"},
		"credential":       {func(s *source.Source) { s.URL = "https://ann:x@github.com/acme/shop" }, "url"},
		"query":            {func(s *source.Source) { s.URL += "?x" }, "url"},
		"api":              {func(s *source.Source) { s.APIURL = "ftp://x" }, "apiUrl"},
		"no rule":          {func(s *source.Source) { s.Rules = nil }, "rules"},
		"twice":            {func(s *source.Source) { s.Rules = append(s.Rules, s.Rules[0]) }, "rules[1]"},
		"no group":         {func(s *source.Source) { s.Rules[0].Group = "" }, "rules[0].group"},
		"no release":       {func(s *source.Source) { s.Rules[0].ReleaseName = "" }, "rules[0].releaseName"},
		"branch and tag":   {func(s *source.Source) { s.Rules[0].Tag = "v*" }, "rules[0].branch"},
		"no branch":        {func(s *source.Source) { s.Rules[0].Branch = "" }, "rules[0].branch"},
		"branch":           {func(s *source.Source) { s.Rules[0].Branch = "-x" }, "rules[0].branch"},
		"pattern":          {func(s *source.Source) { s.Rules[0].Branch, s.Rules[0].Tag = "", "[" }, "rules[0].tag"},
		"nothing":          {func(s *source.Source) { s.Rules[0].Path = "" }, "rules[0].path"},
		"out":              {func(s *source.Source) { s.Rules[0].Path = "../x" }, "rules[0].path"},
		"absolute":         {func(s *source.Source) { s.Rules[0].Overrides = "/x" }, "rules[0].overrides"},
		"long":             {func(s *source.Source) { s.Rules[0].Path = strings.Repeat("x", 501) }, "rules[0].path"},
		"line":             {func(s *source.Source) { s.Rules[0].ChartPath = "a\nb" }, "rules[0].chartPath"},
		"image of git":     {func(s *source.Source) { s.Rules[0] = image }, "rules[0].image"},
		"range of git":     {func(s *source.Source) { s.Rules[0].Range = "^1" }, "rules[0].image"},
		"image":            {func(s *source.Source) { s.Kind, s.Rules[0] = source.GHCR, image }, ""},
		"files of images":  {func(s *source.Source) { s.Kind, s.Rules[0] = source.Harbor, files }, "rules[0].image"},
		"image with a tag": {func(s *source.Source) { s.Kind, s.Rules[0] = source.GHCR, image; s.Rules[0].Image = "acme/shop:1" }, "rules[0].image"},
		"image with files": {func(s *source.Source) { s.Kind, s.Rules[0] = source.GHCR, image; s.Rules[0].Path = "x" }, "rules[0].image"},
		"no range":         {func(s *source.Source) { s.Kind, s.Rules[0] = source.GHCR, image; s.Rules[0].Range = "" }, "rules[0].range"},
		"no value":         {func(s *source.Source) { s.Kind, s.Rules[0] = source.GHCR, image; s.Rules[0].ValuesPath = "a..b" }, "rules[0].valuesPath"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := source.Source{Org: "default", Name: "shop", Kind: source.GitHub, URL: "https://github.com/acme/shop", Rules: []source.Rule{files}}
			tc.change(&s)
			err := s.Validate()
			p, _ := problem.From(err)
			if (err == nil) != (tc.field == "") || p != nil && (p.Field != tc.field || p.Code != "source-invalid") {
				t.Errorf("got %v, want a problem of %q", err, tc.field)
			}
		})
	}
}

func TestSecretOfItsRecord(t *testing.T) {
	s := source.Source{Name: "shop", SecretID: "one"}
	want := source.Secret{ID: "one", Hook: secret, Username: "robot", Token: "hunter2", Key: "key"}
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.ReadSecret(raw); err != nil || got != want {
		t.Errorf("got %v", err)
	}
	s.SecretID = "two"
	if got, err := s.ReadSecret(raw); !problem.Is(err, "source-secret-missing") || got != (source.Secret{}) {
		t.Errorf("got %v", err)
	}
	out, err := json.Marshal(struct{ S source.Secret }{want})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", want)
	text := fmt.Sprintf("%v %+v %#v %s %s %s", want, want, want, want.String(), out, log.String())
	if strings.Contains(text, "hunter2") || strings.Contains(text, secret) {
		t.Errorf("a secret is printed: %s", text)
	}
}

func TestRotate(t *testing.T) {
	s := source.Secret{Hook: older}.Rotate(secret, now)
	for at, want := range map[time.Time][]string{now: {secret, older}, now.Add(24 * time.Hour): {secret}} {
		if diff := cmp.Diff(want, s.Hooks(at)); diff != "" {
			t.Errorf("at %s: %s", at, diff)
		}
	}
	if again := s.Rotate(secret, now.Add(time.Hour)); again.Older != older || !again.OlderUntil.Equal(s.OlderUntil) {
		t.Error("a rotation that came twice took the older secret away")
	}
}

func TestValidateHookAndCredential(t *testing.T) {
	for text, valid := range map[string]bool{secret: true, "short": false, strings.Repeat("x", 257): false, "with a space in the middle": false} {
		if err := source.ValidateHook(source.GitHub, text); (err == nil) != valid {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := source.ValidateHook(source.Generic, strings.Repeat("x", 32)); !problem.Is(err, "source-invalid") {
		t.Errorf("a generic source takes a secret that is no key: %v", err)
	}
	for name, tc := range map[string]struct{ url, api, username, token, field string }{
		"none":     {"http://git.example/a/b", "", "", "", ""},
		"token":    {"https://git.example/a/b", "", "", "hunter2", ""},
		"basic":    {"https://git.example/a/b", "https://git.example/api", "robot", "hunter2", ""},
		"clear":    {"http://git.example/a/b", "", "", "hunter2", "url"},
		"clearAPI": {"https://git.example/a/b", "http://git.example/api", "", "hunter2", "apiUrl"},
		"alone":    {"https://git.example/a/b", "", "robot", "", "token"},
		"colon":    {"https://git.example/a/b", "", "a:b", "hunter2", "username"},
		"line":     {"https://git.example/a/b", "", "", "hunter2\n", "token"},
	} {
		err := source.Source{URL: tc.url, APIURL: tc.api}.ValidateCredential(tc.username, tc.token)
		p, _ := problem.From(err)
		if (err == nil) != (tc.field == "") || p != nil && (p.Field != tc.field || strings.Contains(p.Error(), "hunter2")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
