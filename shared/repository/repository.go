// Package repository is a chart repository that an org has named.
package repository

import (
	"net/url"
	"regexp"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// Repository is a named place of charts with an index.yaml.
type Repository struct {
	Org       string
	Name      string // the part before the slash of a chart's name
	URL       string // http(s)://…, without a credential
	CreatedAt time.Time
	CreatedBy string
}

var nameRule = regexp.MustCompile(`^[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?$`)

// Validate finds what a user got wrong in a repository.
func (r Repository) Validate() error {
	if !nameRule.MatchString(r.Name) {
		return problem.Invalid("repository-name-invalid", "repository name %q is not valid", r.Name).At("name").
			Try("use at most 63 lower-case letters, digits, '-', '_' and '.'")
	}
	u, err := url.Parse(r.URL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return problem.Invalid("repository-url-invalid", "the repository's URL is not an http(s) URL").At("url").Try("give the URL under which index.yaml is found")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return problem.Invalid("repository-url-invalid", "the repository's URL has a user, a query or a fragment").At("url").Try("leave it out: credentials of repositories are not built yet")
	}
	return nil
}
