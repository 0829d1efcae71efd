// Package repository is a chart repository that an org has named, and what it is read with.
package repository

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// Repository is a named place of charts: one with an index.yaml, or a path in an OCI registry.
type Repository struct {
	Org  string
	Name string // the part before the slash of a chart's name
	URL  string // http(s)://… or oci://…, without a credential

	// CredentialID is of the one Credential that was given together with this URL; empty: it is read without.
	CredentialID string
	HasPassword  bool
	HasTLS       bool

	Version   int64 // counts its changes
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
}

// Type is how a repository is read.
type Type string

// The types of repositories.
const (
	HTTP Type = "http" // by its index.yaml
	OCI  Type = "oci"  // by the tags of a registry
)

// Type follows from the URL.
func (r Repository) Type() Type {
	if strings.HasPrefix(r.URL, ociScheme) {
		return OCI
	}
	return HTTP
}

const (
	ociScheme   = "oci://"
	codeInvalid = "repository-invalid"
)

var (
	nameRule = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	pathRule = regexp.MustCompile(`^(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`) // of the OCI distribution specification
)

// Validate refuses a repository that no chart could be fetched from. Whether its address may be reached is seen when it is.
func (r Repository) Validate() error {
	if !nameRule.MatchString(r.Name) {
		return problem.Invalid(codeInvalid, "a repository's name has 1 to 63 letters, digits, dots, dashes and underscores").At("name").Try("choose such a name: it stands before the slash in repository/chart")
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "oci") || len(r.URL) > 2048:
		return problem.Invalid(codeInvalid, "the repository's URL is neither https://host/path nor oci://host/path").At("url").
			Try("give where its index.yaml is, or the path in a registry that its charts are below")
	case u.User != nil:
		return problem.Invalid(codeInvalid, "the repository's URL holds a user name or password, which Swell would store in the open").At("url").
			Try("give them as username and password")
	case u.Fragment != "":
		return problem.Invalid(codeInvalid, "the repository's URL has a fragment").At("url")
	case u.Scheme == "oci" && (u.RawQuery != "" || !pathRule.MatchString(strings.TrimSuffix(u.Path, "/"))):
		return problem.Invalid(codeInvalid, "the repository's URL is not oci://host/path in lower case").At("url").
			Try("give the path that the charts are below, without a chart's name and tag")
	}
	return nil
}

// Authority is the host and port that the repository's credential is for, lower case; empty where it is not asked over TLS.
func (r Repository) Authority() string {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme == "http" {
		return ""
	}
	return Authority(u)
}

// Authority is the host and port of a URL, in the one spelling that can be compared.
func Authority(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// SecretName is the name of the secret that keeps the repository's credential.
func SecretName(org, name string) string { return "swell/" + org + "/repository/" + name }
