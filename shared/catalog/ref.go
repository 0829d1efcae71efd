package catalog

import (
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
)

// Codes of the problems about finding and getting a chart.
const (
	CodeRef               = "chart-ref-invalid"
	CodeNotFound          = "chart-not-found"
	CodeVersion           = "chart-version-invalid"
	CodeVersionNotFound   = "chart-version-not-found"
	CodeVersionRequired   = "chart-version-required"
	CodeVersionMismatch   = "chart-version-mismatch"
	CodeDigest            = "chart-digest-mismatch"
	CodeRepositoryUnknown = "repository-unknown"
	CodeRepository        = "repository-invalid"
	CodeUnreachable       = "repository-unreachable"
	CodeUnauthorized      = "repository-unauthorized"
	CodeTLS               = "repository-tls"
	CodeNoListing         = "repository-not-listed"
)

const maxVersion = 256

// Ref says which chart a user means. Exactly one of Repository, OCI and Digest is set.
type Ref struct {
	Repository string `json:"repository,omitempty"` // of "repository/chart"
	OCI        string `json:"oci,omitempty"`        // "host/path" of "oci://host/path:tag"
	Digest     string `json:"digest,omitempty"`     // "sha256:…", an archive that is in the store
	Name       string `json:"name,omitempty"`       // of the chart; empty with Digest
	Tag        string `json:"tag,omitempty"`        // with OCI, or empty
}

func (r Ref) String() string {
	switch {
	case r.Digest != "":
		return r.Digest
	case r.OCI == "":
		return r.Repository + "/" + r.Name
	case r.Tag != "":
		return "oci://" + r.OCI + ":" + r.Tag
	}
	return "oci://" + r.OCI
}

// SameChart says whether both name one chart, of whatever tag.
func (r Ref) SameChart(other Ref) bool {
	return r.Digest == "" && r.Repository == other.Repository && r.OCI == other.OCI && r.Name == other.Name
}

// ParseRef reads "repository/chart", "oci://host/path[:tag]" or "sha256:<64 hexadecimal digits>".
func ParseRef(s string) (Ref, error) {
	rest, oci := strings.CutPrefix(s, "oci://")
	switch {
	case s == "":
		return Ref{}, refProblem("no chart is named")
	case len(s) > 512:
		return Ref{}, refProblem("the chart's name is longer than 512 characters")
	case oci:
		return parseOCI(rest)
	case strings.HasPrefix(s, "sha256:"):
		if !chart.DigestForm.MatchString(s) {
			return Ref{}, refProblem("a digest is sha256: and 64 hexadecimal digits in lower case")
		}
		return Ref{Digest: s}, nil
	case strings.Contains(s, "://"):
		return Ref{}, refProblem("a chart is not named by such a URL")
	}
	repository, named, ok := strings.Cut(s, "/")
	if !ok {
		return Ref{}, refProblem("%s names no repository", chart.Quoted(s))
	}
	if !chart.NameForm.MatchString(repository) || !chart.NameForm.MatchString(named) {
		return Ref{}, refProblem("%s is not repository/chart in letters, digits, dots, dashes and underscores", chart.Quoted(s))
	}
	return Ref{Repository: repository, Name: named}, nil
}

func parseOCI(s string) (Ref, error) {
	path, tag := s, ""
	if colon := strings.LastIndexByte(s, ':'); colon > strings.LastIndexByte(s, '/') {
		path, tag = s[:colon], s[colon+1:]
		if !tagForm.MatchString(tag) {
			return Ref{}, refProblem("oci://%s has no valid tag", chart.Printable(s, 200))
		}
	}
	_, elements, _ := strings.Cut(path, "/")
	if _, err := name.NewRepository(path, name.StrictValidation); err != nil || !pathForm.MatchString(elements) {
		return Ref{}, refProblem("oci://%s is not oci://host/path[:tag]", chart.Printable(s, 200))
	}
	return Ref{OCI: path, Name: path[strings.LastIndexByte(path, '/')+1:], Tag: tag}, nil
}

// The forms of the OCI distribution specification.
var (
	pathForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

func refProblem(format string, args ...any) *problem.Problem {
	return problem.Invalid(CodeRef, format, args...).At("chart").
		Try("Name it repository/chart, oci://host/path, or sha256:… as answered to an upload.")
}
