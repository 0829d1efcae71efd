package repository_test

import (
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		repository repository.Repository
		field      string // empty: valid
	}{
		"Good":     {repository.Repository{Name: "stable", URL: "https://charts.example.com/stable?x=1"}, ""},
		"Name":     {repository.Repository{Name: "a/b", URL: "https://charts.example.com"}, "name"},
		"NoName":   {repository.Repository{URL: "https://charts.example.com"}, "name"},
		"LongName": {repository.Repository{Name: strings.Repeat("a", 64), URL: "https://charts.example.com"}, "name"},
		"NoURL":    {repository.Repository{Name: "stable"}, "url"},
		"File":     {repository.Repository{Name: "stable", URL: "file:///charts"}, "url"},
		"OCI":      {repository.Repository{Name: "stable", URL: "oci://ghcr.io/org/charts"}, ""},
		"OCIHost":  {repository.Repository{Name: "stable", URL: "oci://ghcr.io"}, ""},
		"OCITag":   {repository.Repository{Name: "stable", URL: "oci://ghcr.io/org/web:1.0.0"}, "url"},
		"OCIUpper": {repository.Repository{Name: "stable", URL: "oci://ghcr.io/Org"}, "url"},
		"OCIQuery": {repository.Repository{Name: "stable", URL: "oci://ghcr.io/org?x=1"}, "url"},
		"Relative": {repository.Repository{Name: "stable", URL: "/charts"}, "url"},
		"Password": {repository.Repository{Name: "stable", URL: "https://user:hunter2@charts.example.com"}, "url"},
		"Fragment": {repository.Repository{Name: "stable", URL: "https://charts.example.com#x"}, "url"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := tc.repository.Validate()
			p, ok := problem.From(err)
			if ok != (tc.field != "") || (ok && (p.Field != tc.field || p.Code != "repository-invalid")) {
				t.Errorf("got %v, want a problem of field %q", err, tc.field)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}
