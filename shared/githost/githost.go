// Package githost tells a Git host what became of a commit: a status on it, and one comment on its pull request.
package githost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/source"
)

// Host is the API of one repository. The client is guarded; the token goes to API's host alone.
type Host struct {
	Client     *http.Client
	Kind       source.Kind
	API        string // the base, without a slash at its end
	Repository string // owner/name
	Username   string // of Bitbucket's app passwords; empty where the token is enough
	Token      string
}

// State is that of a commit.
type State string

// The states of a commit.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
)

// Status is one line on a commit. Context tells it from others; with the same context it replaces the one before.
type Status struct {
	State       State
	Context     string
	Description string // 140 letters at most are shown
	URL         string
}

// ErrUnsupported is that the host has no such thing, or that Swell does not speak it.
var ErrUnsupported = errors.New("this kind of host takes none")

// errGone is that what was to be changed is not there.
var errGone = errors.New("it is not there")

// SetStatus puts a status on a commit.
func (h Host) SetStatus(ctx context.Context, commit string, s Status) error {
	s.Description = excerpt.Of(s.Description, 140)
	var path string
	var body any
	switch h.Kind {
	case source.GitHub, source.Gitea:
		path = "/repos/" + h.Repository + "/statuses/" + commit
		body = map[string]string{"state": string(s.State), "context": s.Context, "description": s.Description, "target_url": s.URL}
	case source.GitLab:
		path = h.project() + "/statuses/" + commit
		body = map[string]string{"state": map[State]string{Pending: "pending", Success: "success", Failure: "failed"}[s.State], "name": s.Context, "description": s.Description, "target_url": s.URL}
	case source.Bitbucket:
		path = "/repositories/" + h.Repository + "/commit/" + commit + "/statuses/build"
		state := map[State]string{Pending: "INPROGRESS", Success: "SUCCESSFUL", Failure: "FAILED"}[s.State]
		body = map[string]string{"state": state, "key": excerpt.Of(s.Context, 40), "name": s.Context, "description": s.Description, "url": s.URL}
	default:
		return ErrUnsupported
	}
	err := h.call(ctx, http.MethodPost, path, body, nil)
	if refused, ok := errors.AsType[*refusedError](err); ok && h.Kind == source.GitLab && refused.status == http.StatusBadRequest && strings.Contains(refused.text, "Cannot transition status") {
		return nil // it has that state already
	}
	return err
}

// Comment writes text on a pull request: in place of the comment of that id, or else of the one that has the marker, or else as a new one. The marker is
// put into the text, where nobody sees it.
func (h Host) Comment(ctx context.Context, pullRequest int, id, marker, text string) (string, error) {
	list, one, method := h.comments(pullRequest)
	if list == "" {
		return "", ErrUnsupported
	}
	body := map[string]string{"body": "<!-- " + marker + " -->\n" + text}
	if id != "" {
		err := h.call(ctx, method, one+id, body, nil)
		if !errors.Is(err, errGone) {
			return id, err
		}
	}
	id, err := h.find(ctx, list, marker)
	if err != nil {
		return "", err
	}
	if id != "" {
		return id, h.call(ctx, method, one+id, body, nil)
	}
	var made struct{ ID int64 }
	err = h.call(ctx, http.MethodPost, list, body, &made)
	return strconv.FormatInt(made.ID, 10), err
}

// comments are the path of a pull request's comments, that of one of them, and how it is changed.
func (h Host) comments(pullRequest int) (list, one, method string) {
	n := strconv.Itoa(pullRequest)
	switch h.Kind {
	case source.GitHub, source.Gitea:
		return "/repos/" + h.Repository + "/issues/" + n + "/comments", "/repos/" + h.Repository + "/issues/comments/", http.MethodPatch
	case source.GitLab:
		list = h.project() + "/merge_requests/" + n + "/notes"
		return list, list + "/", http.MethodPut
	}
	return "", "", ""
}

func (h Host) project() string { return "/projects/" + url.PathEscape(h.Repository) }

const (
	perPage  = 100 // GitHub's and GitLab's most
	maxPages = 20
)

// find looks for a comment with the marker, page by page.
func (h Host) find(ctx context.Context, list, marker string) (string, error) {
	for page := 1; page <= maxPages; page++ {
		var found []struct {
			ID   int64
			Body string
		}
		if err := h.call(ctx, http.MethodGet, fmt.Sprintf("%s?per_page=%d&limit=%d&page=%d", list, perPage, perPage, page), nil, &found); err != nil {
			return "", err
		}
		for _, c := range found {
			if strings.HasPrefix(c.Body, "<!-- "+marker+" -->") {
				return strconv.FormatInt(c.ID, 10), nil
			}
		}
		if len(found) < perPage && (h.Kind != source.Gitea || len(found) == 0) { // Gitea's most is what its operator says
			return "", nil
		}
	}
	return "", nil
}

type refusedError struct {
	status int
	text   string
	busy   bool // the host has a limit, which passes
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the host answered %d: %s", e.status, e.text)
}

// Passing says whether the same may be taken later: the host did not answer, or had too much to do.
func Passing(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), Passing)
	}
	if errors.Is(err, ErrUnsupported) || errors.Is(err, errGone) || netguard.Refused(err) {
		return false
	}
	refused, ok := errors.AsType[*refusedError](err)
	return err != nil && (!ok || refused.busy || refused.status >= http.StatusInternalServerError)
}

const maxAnswer = 8 << 20

func (h Host) call(ctx context.Context, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("writing to the host: %w", err)
		}
		reader = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, h.API+path, reader)
	if err != nil {
		return fmt.Errorf("writing to the host: %w", err)
	}
	h.authorize(r)
	resp, err := h.Client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the host: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	netguard.LimitBody(resp, maxAnswer)
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("reading the host's answer: %w", err)
	case resp.StatusCode == http.StatusNotFound:
		return errGone
	case resp.StatusCode >= http.StatusMultipleChoices:
		return &refusedError{resp.StatusCode, excerpt.Of(string(raw), 200), busy(resp)}
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("reading the host's answer: %w", err)
	}
	return nil
}

// busy says whether too much was asked of the host. GitHub says so by 403, too, with headers that no other refusal has.
func busy(resp *http.Response) bool {
	limited := resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-RateLimit-Remaining") == "0"
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusForbidden && limited
}

func (h Host) authorize(r *http.Request) {
	r.Header.Set("User-Agent", "swell")
	r.Header.Set("Content-Type", "application/json")
	switch {
	case h.Kind == source.GitHub:
		r.Header.Set("Accept", "application/vnd.github+json")
		r.Header.Set("X-GitHub-Api-Version", "2022-11-28")
		r.Header.Set("Authorization", "Bearer "+h.Token)
	case h.Kind == source.GitLab:
		r.Header.Set("PRIVATE-TOKEN", h.Token)
	case h.Kind == source.Gitea:
		r.Header.Set("Authorization", "token "+h.Token)
	case cmp.Or(h.Username, "x-token-auth") != "x-token-auth":
		r.SetBasicAuth(h.Username, h.Token)
	default:
		r.Header.Set("Authorization", "Bearer "+h.Token)
	}
}
