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

var nameRule = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Validate refuses a repository that no chart could be fetched from. Whether its address may be reached is seen when it is.
func (r Repository) Validate() error {
	const code = "repository-invalid"
	if !nameRule.MatchString(r.Name) {
		return problem.Invalid(code, "a repository's name has 1 to 63 letters, digits, dots, dashes and underscores").At("name").Try("choose such a name: it stands before the slash in repository/chart")
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || len(r.URL) > 2048:
		return problem.Invalid(code, "the repository's URL is not https://host/path").At("url").
			Try("a chart in an OCI registry needs no repository: name it oci://host/path")
	case u.User != nil:
		return problem.Invalid(code, "the repository's URL holds a user name or password, which Swell would store in the open").At("url").
			Try("give the URL without it; private repositories are not supported yet")
	case u.Fragment != "":
		return problem.Invalid(code, "the repository's URL has a fragment").At("url")
	}
	return nil
}
