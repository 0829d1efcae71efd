// Package git reads a Git repository over HTTPS: one shallow fetch of one ref into memory, with an end to how much.
package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
)

// Limits of what is read.
const (
	maxPack     = 64 << 20  // as the host sends it
	maxUnpacked = 128 << 20 // in memory
	maxFile     = 1 << 20
	maxFiles    = 1000     // of one directory
	maxDir      = 16 << 20 // of its files together
)

// Credential is what a repository is read with; none reads as anybody.
type Credential struct{ Username, Token string }

// Open makes the package fetch by that client from now on, whose dialer is guarded. A repository that has moved to another host is refused, so that no
// credential goes there. go-git keeps its transports for the whole process: they ask whichever client is open.
func Open(guarded *http.Client) {
	open.Store(guarded)
	once.Do(func() {
		overHTTP := githttp.NewClient(&http.Client{Transport: short{}, CheckRedirect: stay})
		client.Protocols = map[string]transport.Transport{"https": overHTTP, "http": overHTTP}
	})
}

var (
	open atomic.Pointer[http.Client]
	once sync.Once
)

func stay(r *http.Request, via []*http.Request) error {
	if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
		return problem.Invalid("source-moved", "the repository has moved to %s://%s", r.URL.Scheme, r.URL.Host).Try("give the source its new URL")
	}
	return open.Load().CheckRedirect(r, via)
}

// short ends an answer that is too long.
type short struct{}

func (short) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := open.Load().Transport.RoundTrip(r)
	if err == nil {
		netguard.LimitBody(resp, maxPack)
	}
	return resp, err
}

// Refs are the commits that the branches and tags are at; an annotated tag's is the commit that it is of.
func Refs(ctx context.Context, url string, c Credential) (map[string]string, error) {
	listed, err := remote(url, nil).ListContext(ctx, &gogit.ListOptions{Auth: auth(c), PeelingOption: gogit.AppendPeeled})
	if err != nil {
		return nil, explained(url, err)
	}
	refs := map[string]string{}
	for _, ref := range listed {
		if ref.Type() == plumbing.HashReference && !strings.HasSuffix(ref.Name().String(), peeled) {
			refs[ref.Name().String()] = ref.Hash().String()
		}
	}
	for _, ref := range listed {
		if name, ok := strings.CutSuffix(ref.Name().String(), peeled); ok {
			refs[name] = ref.Hash().String()
		}
	}
	return refs, nil
}

const peeled = "^{}"

// Snapshot is a repository as it was at one commit.
type Snapshot struct {
	Commit string
	tree   *object.Tree
}

// Fetch reads what the ref is at now.
func Fetch(ctx context.Context, url, ref string, c Credential) (*Snapshot, error) {
	store := newBounded(maxUnpacked)
	const here = "refs/swell/fetched"
	err := remote(url, store).FetchContext(ctx, &gogit.FetchOptions{
		RefSpecs: []config.RefSpec{config.RefSpec("+" + ref + ":" + here)}, Depth: 1, Auth: auth(c), Tags: gogit.NoTags,
	})
	if err != nil && !errors.Is(err, gogit.NoErrAlreadyUpToDate) {
		if _, missing := errors.AsType[gogit.NoMatchingRefSpecError](err); missing {
			return nil, problem.NotFound("source-ref-missing", "the repository has no %s", ref).Try("give the rule a branch that is there")
		}
		return nil, explained(url, err)
	}
	at, err := store.Reference(here)
	if err != nil {
		return nil, fmt.Errorf("reading the fetched ref %s: %w", ref, err)
	}
	commit, err := commitOf(store, at.Hash())
	if err != nil {
		return nil, err
	}
	tree, err := commit.Tree()
	if err != nil {
		return nil, fmt.Errorf("reading the files of commit %s: %w", commit.Hash, err)
	}
	return &Snapshot{Commit: commit.Hash.String(), tree: tree}, nil
}

// commitOf follows an annotated tag.
func commitOf(store *bounded, hash plumbing.Hash) (*object.Commit, error) {
	if tag, err := object.GetTag(store, hash); err == nil {
		return tag.Commit()
	}
	commit, err := object.GetCommit(store, hash)
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", hash, err)
	}
	return commit, nil
}

// File reads one file. A symbolic link is none: it could lead anywhere.
func (s *Snapshot) File(name string) ([]byte, error) {
	f, err := s.tree.File(path.Clean(name))
	if err != nil {
		return nil, missing("file", name, s.Commit)
	}
	return read(f, name)
}

func read(f *object.File, name string) ([]byte, error) {
	if !f.Mode.IsFile() || f.Mode.String() == "0120000" {
		return nil, problem.Invalid("source-path-missing", "%s is a link, not a file", name).Try("name the file itself")
	}
	if f.Size > maxFile {
		return nil, problem.Invalid("source-too-large", "%s is over %d MiB", name, maxFile>>20)
	}
	r, err := f.Reader()
	if err != nil {
		return nil, fmt.Errorf("reading file %s: %w", name, err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	raw, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading file %s: %w", name, err)
	}
	return raw, nil
}

// Dir reads the files beneath a directory, by their path in it. Links are left out.
func (s *Snapshot) Dir(name string) (map[string][]byte, error) {
	tree, err := s.tree.Tree(path.Clean(name))
	if err != nil {
		return nil, missing("directory", name, s.Commit)
	}
	files, sum := map[string][]byte{}, 0
	err = tree.Files().ForEach(func(f *object.File) error {
		if f.Mode.String() == "0120000" {
			return nil
		}
		if len(files) == maxFiles {
			return problem.Invalid("source-too-large", "directory %s has over %d files", name, maxFiles)
		}
		raw, err := read(f, f.Name)
		if sum += len(raw); sum > maxDir {
			return problem.Invalid("source-too-large", "the files of directory %s have over %d MiB", name, maxDir>>20)
		}
		files[f.Name] = raw
		return err
	})
	return files, err
}

func missing(what, name, commit string) *problem.Problem {
	return problem.NotFound("source-path-missing", "there is no %s %s at commit %s", what, name, commit).Try("correct the rule's path, or push the %s", what)
}

func remote(url string, store *bounded) *gogit.Remote {
	if store == nil {
		store = newBounded(maxUnpacked)
	}
	return gogit.NewRemote(store, &config.RemoteConfig{Name: "origin", URLs: []string{url}})
}

// auth sends a token without a name as GitHub, GitLab and Gitea take it.
func auth(c Credential) transport.AuthMethod {
	if c.Token == "" {
		return nil
	}
	if c.Username == "" {
		c.Username = "x-access-token"
	}
	return &githttp.BasicAuth{Username: c.Username, Password: c.Token}
}

// explained says what an error of the host means. What is not the source's fault may be tried again.
func explained(url string, err error) error {
	if _, ok := problem.From(err); ok {
		return err
	}
	if _, tooLarge := errors.AsType[*netguard.TooLargeError](err); tooLarge || errors.Is(err, errTooLarge) {
		return problem.Invalid("source-too-large", "the repository has more than %d MiB at one commit", maxPack>>20).Try("keep what is deployed in a repository of its own")
	}
	if netguard.Refused(err) {
		return problem.Invalid("url-refused", "%s leads to an address that may not be reached", url).Try("name its network in the installation's parameter AllowedNetworks")
	}
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return problem.NotFound("source-ref-missing", "the repository is empty").Try("push to it")
	}
	for _, refused := range []error{transport.ErrAuthenticationRequired, transport.ErrAuthorizationFailed, transport.ErrRepositoryNotFound} {
		if errors.Is(err, refused) {
			return problem.Invalid("source-unauthorized", "the host does not give %s to this token: %v", url, refused).Try("give the source a token that may read it")
		}
	}
	return fmt.Errorf("fetching from %s: %w", url, err)
}

// Names are the tags of refs, sorted.
func Names(refs map[string]string) (tags []string) {
	for ref := range refs {
		if tag, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}
