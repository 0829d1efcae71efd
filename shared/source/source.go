// Package source is a Git repository or an image registry that Swell follows: what its webhooks say, and which deployments change with it.
package source

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// Kind is the host's: how its webhooks are signed, and what they look like.
type Kind string

// The kinds. Generic is whoever signs the way of Standard Webhooks: a script, or a host that is not here.
const (
	GitHub    Kind = "github"
	GitLab    Kind = "gitlab"
	Bitbucket Kind = "bitbucket"
	Gitea     Kind = "gitea"
	DockerHub Kind = "dockerhub"
	GHCR      Kind = "ghcr"
	Harbor    Kind = "harbor"
	ECR       Kind = "ecr"
	Generic   Kind = "generic"
)

// Git says whether the host keeps repositories, and Images whether it keeps images. Generic may be either.
func (k Kind) Git() bool {
	return slices.Contains([]Kind{GitHub, GitLab, Bitbucket, Gitea, Generic}, k)
}

// Images says whether the kind tells of images.
func (k Kind) Images() bool {
	return slices.Contains([]Kind{DockerHub, GHCR, Harbor, ECR, Generic}, k)
}

// Source is one repository or registry, and the deployments that follow it.
type Source struct {
	Org    string
	Name   string
	Kind   Kind
	URL    string // of the Git repository, or of the registry: https://host
	APIURL string // of a host of one's own, where it does not follow from URL
	Rules  []Rule

	// SecretID is of the one Secret that belongs to this state of the record: another one is never used.
	SecretID      string
	HasCredential bool
	RotatedAt     time.Time

	Version   int64
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
}

// Rule is one deployment that follows the source: a branch or the newest tag of a Git repository, or the newest tag of an image.
type Rule struct {
	Group       string // by name
	ReleaseName string

	Branch    string // its head counts
	Tag       string // a glob; of the tags that match and are versions the highest counts
	Path      string // of the values file
	Overrides string // a directory with <cluster>.yaml
	ChartPath string // a directory with a chart that is packaged; empty: the deployment's chart stays

	Image      string // the repository in the registry, such as acme/shop
	Range      string // of versions; the highest tag in it counts
	ValuesPath string // of the value that gets the tag, such as image.tag
}

// OfImage says whether the rule follows an image.
func (r Rule) OfImage() bool { return r.Image != "" }

// Key tells a rule from the source's others, whatever their order.
func (r Rule) Key() string {
	return r.Group + "/" + r.ReleaseName + "/" + r.ValuesPath
}

// Limits of a source.
const (
	maxRules = 50
	maxText  = 500
)

const codeInvalid = "source-invalid"

var (
	nameRule   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	imageRule  = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	valuesRule = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	branchRule = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./#+-]*$`)
)

func invalid(field, format string, args ...any) *problem.Problem {
	return problem.Invalid(codeInvalid, format, args...).At(field)
}

// Validate refuses a source that nothing could follow.
func (s Source) Validate() error {
	if !nameRule.MatchString(s.Name) {
		return invalid("name", "a source's name is a DNS-1123 label of at most 63 characters").Try("use lower-case letters, digits and '-': it stands in the hook's URL")
	}
	if !s.Kind.Git() && !s.Kind.Images() {
		return invalid("kind", "there is no kind %q", s.Kind)
	}
	if err := checkURL("url", s.URL); err != nil {
		return err
	}
	if s.APIURL != "" {
		if err := checkURL("apiUrl", s.APIURL); err != nil {
			return err
		}
	}
	if len(s.Rules) == 0 || len(s.Rules) > maxRules {
		return invalid("rules", "a source has 1 to %d rules", maxRules).Try("say which deployment follows what")
	}
	seen := map[string]bool{}
	for i, r := range s.Rules {
		if p := r.validate(s.Kind); p != nil {
			return p.At("rules[" + strconv.Itoa(i) + "]." + p.Field)
		}
		if seen[r.Key()] {
			return invalid("rules["+strconv.Itoa(i)+"]", "two rules are about deployment %s of group %s", r.ReleaseName, r.Group).Try("give each deployment one rule, or each value of it that is an image's tag")
		}
		seen[r.Key()] = true
	}
	return nil
}

func checkURL(field, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(text) > maxText:
		return invalid(field, "it is not https://host/path").Try("give the URL that git clone takes over https, or that of the registry")
	case u.User != nil:
		return invalid(field, "the URL holds a user name or password, which Swell would store in the open").Try("give them as username and token")
	case u.RawQuery != "" || u.Fragment != "":
		return invalid(field, "the URL has a query or a fragment")
	}
	return nil
}

func (r Rule) validate(k Kind) *problem.Problem {
	for field, text := range map[string]string{
		"group": r.Group, "releaseName": r.ReleaseName, "branch": r.Branch, "tag": r.Tag, "path": r.Path, "overrides": r.Overrides,
		"chartPath": r.ChartPath, "image": r.Image, "range": r.Range, "valuesPath": r.ValuesPath,
	} {
		if len(text) > maxText || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return invalid(field, "it is over %d bytes, or has a control character", maxText)
		}
	}
	switch {
	case r.Group == "":
		return invalid("group", "the rule names no group")
	case r.ReleaseName == "":
		return invalid("releaseName", "the rule names no deployment")
	case r.OfImage():
		return r.validateImage(k)
	}
	return r.validateGit(k)
}

func (r Rule) validateImage(k Kind) *problem.Problem {
	switch {
	case !k.Images():
		return invalid("image", "a source of kind %s has no images", k)
	case r.Branch+r.Tag+r.Path+r.Overrides+r.ChartPath != "":
		return invalid("image", "the rule is about an image and about files").Try("make two rules of two sources")
	case !imageRule.MatchString(r.Image):
		return invalid("image", "%q is no repository of a registry", r.Image).Try("leave out the host and the tag: acme/shop")
	case r.Range == "":
		return invalid("range", "the rule does not say which versions").Try("give a range such as ^1.2 or >=1.0.0 <2.0.0")
	case !valuesRule.MatchString(r.ValuesPath):
		return invalid("valuesPath", "%q is no path of a value", r.ValuesPath).Try("give the value that gets the tag, such as image.tag")
	}
	return nil
}

func (r Rule) validateGit(k Kind) *problem.Problem {
	switch {
	case !k.Git():
		return invalid("image", "a source of kind %s has images alone", k)
	case r.Range+r.ValuesPath != "":
		return invalid("image", "range and valuesPath are of an image").Try("name the image")
	case (r.Branch == "") == (r.Tag == ""):
		return invalid("branch", "the rule follows a branch or tags: one of the two")
	case r.Branch != "" && (!branchRule.MatchString(r.Branch) || strings.Contains(r.Branch, "..")):
		return invalid("branch", "%q is no branch", r.Branch).Try("give the branch's name, without refs/heads/")
	case r.Tag != "" && !globs(r.Tag):
		return invalid("tag", "%q is no pattern", r.Tag).Try("use v1.*, with * for any characters but a slash")
	case r.Path == "" && r.ChartPath == "":
		return invalid("path", "the rule reads nothing").Try("give the path of a values file, or of a chart")
	}
	for field, p := range map[string]string{"path": r.Path, "overrides": r.Overrides, "chartPath": r.ChartPath} {
		if p != "" && (path.IsAbs(p) || path.Clean(p) != strings.TrimSuffix(p, "/") || strings.HasPrefix(p, "..")) {
			return invalid(field, "%q is no path in the repository", p).Try("begin at the repository's root, without / and ..")
		}
	}
	return nil
}

func globs(pattern string) bool {
	_, err := path.Match(pattern, "")
	return err == nil
}

// Path is the repository's in the host, lower case: owner/name.
func (s Source) Path() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"))
}

// Hook is the path of the source's webhook, beneath the installation's URL.
func (s Source) Hook() string { return "/hooks/v1/orgs/" + s.Org + "/sources/" + s.Name }

// Actor is the name that the source acts under.
func (s Source) Actor() string { return ActorPrefix + s.Name }

// ActorPrefix begins the principal of a source's key.
const ActorPrefix = "source/"

// SecretName is the name of the secret that a source has.
func SecretName(org, name string) string { return "swell/" + org + "/source/" + name }
