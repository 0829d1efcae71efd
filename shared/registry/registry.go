// Package registry asks an image registry which tags there are.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
)

const (
	maxTags   = 50_000
	maxAnswer = 4 << 20 // one page
)

// Credential is what a registry is read with; none reads as anybody.
type Credential struct{ Username, Token string }

// Tags lists the tags of an image. The client's dialer is guarded. The credential goes to the registry, and to the token service that the registry names in
// WWW-Authenticate; of a registry over https, over https alone.
func Tags(ctx context.Context, guarded *http.Client, registry, image string, c Credential) ([]string, error) {
	u, err := url.Parse(registry)
	if err != nil {
		return nil, fmt.Errorf("reading the registry's URL: %w", err)
	}
	options := []name.Option{name.StrictValidation}
	if u.Scheme == "http" {
		options = append(options, name.Insecure)
	}
	repository, err := name.NewRepository(hostOf(u)+"/"+image, options...)
	if err != nil {
		return nil, problem.Invalid("source-invalid", "%s is no repository of registry %s", image, u.Host)
	}
	puller, err := remote.NewPuller(remote.WithAuth(authOf(c)), remote.WithTransport(short{guarded, u}), remote.WithUserAgent("swell"))
	if err != nil {
		return nil, fmt.Errorf("preparing to ask registry %s: %w", u.Host, err)
	}
	var tags []string
	lister, err := puller.Lister(ctx, repository)
	if err != nil {
		return nil, explained(u.Host, image, err)
	}
	for lister.HasNext() {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, explained(u.Host, image, err)
		}
		if tags = append(tags, page.Tags...); len(tags) > maxTags {
			return nil, problem.Invalid("source-too-large", "image %s has over %d tags", image, maxTags).Try("delete old tags")
		}
	}
	return tags, nil
}

// hostOf is the registry's host; Docker Hub's pages are at another one than its registry.
func hostOf(u *url.URL) string {
	switch strings.ToLower(u.Host) {
	case "docker.io", "hub.docker.com", "registry-1.docker.io":
		return name.DefaultRegistry
	}
	return u.Host
}

func authOf(c Credential) authn.Authenticator {
	switch {
	case c.Token == "":
		return authn.Anonymous
	case c.Username == "":
		return &authn.Basic{Username: "swell", Password: c.Token} // ghcr.io takes any name
	}
	return &authn.Basic{Username: c.Username, Password: c.Token}
}

// short limits what a registry may send, and whom it may have the credential sent to.
type short struct {
	client   *http.Client
	registry *url.URL
}

// inTheClear is a challenge that names a token service over plain http. The library refuses it as well, but by an error that would be taken for passing.
var inTheClear = regexp.MustCompile(`(?i)\brealm="?http:`)

func (s short) RoundTrip(r *http.Request) (*http.Response, error) {
	secure := s.registry.Scheme == "https"
	if secure && r.URL.Scheme != "https" { // the library tries it where the address is private
		return nil, errors.New("the registry is asked over https alone")
	}
	resp, err := s.client.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if secure && slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), inTheClear.MatchString) {
		_ = resp.Body.Close()
		return nil, problem.Invalid("url-refused", "registry %s would have the token sent in the clear to its token service", s.registry.Host).
			Try("have the registry name its token service by https")
	}
	netguard.LimitBody(resp, maxAnswer)
	return resp, nil
}

func explained(host, image string, err error) error {
	if netguard.Refused(err) {
		return problem.Invalid("url-refused", "registry %s is at an address that may not be reached", host).Try("name its network in the installation's parameter AllowedNetworks")
	}
	if _, ok := problem.From(err); ok {
		return err
	}
	refused, ok := errors.AsType[*transport.Error](err)
	switch {
	case ok && refused.StatusCode == http.StatusNotFound:
		return problem.NotFound("source-image-missing", "registry %s has no image %s", host, image).Try("correct the rule's image, or push it")
	case ok && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden):
		return problem.Invalid("source-unauthorized", "registry %s does not give image %s to this token", host, image).Try("give the source a token that may read it")
	}
	return fmt.Errorf("asking registry %s for image %s: %w", host, image, err)
}

// Highest is the tag of the highest version in the range; empty if there is none. Pre-releases count where the range names one.
func Highest(tags []string, within string) (string, error) {
	constraint, err := semver.NewConstraint(within)
	if err != nil {
		return "", problem.Invalid("source-invalid", "%q is no range of versions", within).At("range").Try("give a range such as ^1.2 or >=1.0.0 <2.0.0")
	}
	return highest(tags, constraint.Check), nil
}

// HighestOf is the tag of the highest version of all, releases before pre-releases.
func HighestOf(tags []string) string {
	if found := highest(tags, func(v *semver.Version) bool { return v.Prerelease() == "" }); found != "" {
		return found
	}
	return highest(tags, func(*semver.Version) bool { return true })
}

func highest(tags []string, counts func(*semver.Version) bool) (found string) {
	var most *semver.Version
	for _, tag := range tags {
		v, err := semver.NewVersion(strings.ReplaceAll(tag, "_", "+"))
		if err != nil || len(tag) > 128 || !counts(v) {
			continue
		}
		if most == nil || v.GreaterThan(most) || v.Equal(most) && tag > found {
			most, found = v, tag
		}
	}
	return found
}
