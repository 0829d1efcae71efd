package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/webhook"
)

// Event is what a delivery says. It only says where to look: what is deployed is what the host itself answers afterwards.
type Event struct {
	Delivery    string // the same each time the host sends it again
	Kind        EventKind
	Repository  string   // as the host calls it: owner/name
	Ref         string   // refs/heads/main, refs/tags/v1; of a pull request the branch that it comes from
	Also        []string // refs that were pushed together with Ref
	Commit      string   // what the host says the ref is at
	Deleted     bool     // the ref is gone
	PullRequest int
	Base        string // the branch that a pull request goes to
	Fork        bool   // it comes from another repository
	Image       string // the repository in the registry
	Tag         string // of an image
	What        string // of another event: the host's word for it
}

// EventKind says what happened.
type EventKind string

// The kinds of events. Ping is the host trying the hook; Other is what no rule can be about.
const (
	Ping        EventKind = "ping"
	Push        EventKind = "push"
	TagPush     EventKind = "tag"
	PullRequest EventKind = "pull-request"
	ImagePush   EventKind = "image"
	Other       EventKind = "other"
)

// MaxBody is the largest body that a hook takes: GitHub sends up to 25 MB, but what a push of any size says fits here unless it lists thousands of
// commits. API Gateway takes 10 MB, a function 6.
const MaxBody = 5 << 20

// Parse reads a delivery that Verify has passed.
func Parse(k Kind, header http.Header, body []byte) (Event, error) {
	parse := map[Kind]func(http.Header, []byte) (Event, error){
		GitHub: parseGitHub, GHCR: parseGHCR, GitLab: parseGitLab, Bitbucket: parseBitbucket, Gitea: parseGitea,
		DockerHub: parseDockerHub, Harbor: parseHarbor, Generic: parseGeneric, ECR: parseECR,
	}[k]
	if parse == nil {
		return Event{}, unreadable("no host of kind %q sends deliveries", k)
	}
	e, err := parse(header, body)
	if err != nil {
		return Event{}, err
	}
	if e.Delivery == "" || !webhook.ValidID(e.Delivery) {
		sum := sha256.Sum256(body)
		e.Delivery = hex.EncodeToString(sum[:16])
	}
	for _, text := range []*string{&e.Repository, &e.Ref, &e.Commit, &e.Base, &e.Image, &e.Tag, &e.What} {
		*text = printable(*text)
	}
	return e, nil
}

func unreadable(format string, args ...any) *problem.Problem {
	return problem.Malformed("delivery-unreadable", format, args...).Try("set the hook's content type to application/json, and its kind to the source's")
}

func decode[T any](body []byte) (T, error) {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return v, unreadable("the delivery is not the JSON that the host publishes")
	}
	return v, nil
}

// printable is what of a text may stand in a table: a delivery's words are a stranger's, even if they are signed.
func printable(text string) string {
	return excerpt.Of(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == utf8.RuneError {
			return -1
		}
		return c
	}, text), maxText)
}

const maxAlso = 20

const (
	heads = "refs/heads/"
	tags  = "refs/tags/"
)

// pushOf is the event of a ref that moved.
func pushOf(delivery, repository, ref, after string) Event {
	e := Event{Delivery: delivery, Kind: Other, Repository: repository, Ref: ref, Commit: after, What: "push"}
	switch {
	case strings.HasPrefix(ref, heads):
		e.Kind, e.What = Push, ""
	case strings.HasPrefix(ref, tags):
		e.Kind, e.What = TagPush, ""
	}
	if strings.Trim(after, "0") == "" {
		e.Commit, e.Deleted = "", true
	}
	return e
}

// Match returns the numbers of the rules that the event is about, or why there is none.
func (s Source) Match(e Event) (rules []int, why string) {
	switch {
	case e.Kind == Other:
		return nil, "no rule can be about the event " + e.What
	case e.Kind != ImagePush && e.Repository != "" && !strings.EqualFold(e.Repository, s.Path()):
		return nil, "the event is of repository " + e.Repository
	case e.Deleted:
		return nil, e.Ref + " was deleted; what it deployed stays"
	case e.Kind == PullRequest && e.Fork:
		return nil, "pull request " + strconv.Itoa(e.PullRequest) + " comes from another repository, whose files are a stranger's"
	}
	for i, r := range s.Rules {
		if r.about(e) {
			rules = append(rules, i)
		}
	}
	if len(rules) == 0 {
		why = "no rule is about " + e.subject()
	}
	return rules, why
}

func (r Rule) about(e Event) bool {
	switch e.Kind {
	case Push, TagPush:
		return slices.ContainsFunc(append([]string{e.Ref}, e.Also...), r.follows)
	case PullRequest:
		return r.Branch != "" && e.Base == r.Branch
	case ImagePush:
		return r.OfImage() && strings.EqualFold(r.Image, e.Image)
	}
	return false
}

// follows says whether the rule is about the branch or tag.
func (r Rule) follows(ref string) bool {
	if tag, ok := strings.CutPrefix(ref, tags); ok && r.Tag != "" {
		matches, _ := path.Match(r.Tag, tag)
		return matches
	}
	return r.Branch != "" && ref == heads+r.Branch
}

// subject is what the event is about, in a few words.
func (e Event) subject() string {
	switch e.Kind {
	case ImagePush:
		return "image " + e.Image
	case PullRequest:
		return "pull request " + strconv.Itoa(e.PullRequest) + " to " + e.Base
	}
	return e.Ref
}
