package chart

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// CacheLimit is how much of a function's disk a Cache takes: half of what Lambda gives.
const CacheLimit = 256 << 20

// Store keeps archives by digest. Get's error wraps fs.ErrNotExist where there is none.
type Store interface {
	Put(ctx context.Context, digest string, archive []byte) error
	Get(ctx context.Context, digest string) ([]byte, error)
}

// Cache is a Store in front of another: it keeps archives in a directory, so that a warm function reads each once. What lies there is compared with
// its digest at each reading. A disk that is full or broken makes it slow, not wrong.
type Cache struct {
	store Store
	dir   string
	limit int64
	mu    sync.Mutex
}

var _ Store = (*Cache)(nil)

// NewCache keeps at most limit bytes in dir, which it makes and owns.
func NewCache(store Store, dir string, limit int64) *Cache {
	return &Cache{store: store, dir: dir, limit: limit}
}

// Put stores an archive under its digest.
func (c *Cache) Put(ctx context.Context, digest string, archive []byte) error {
	if err := verify(archive, digest, "the request"); err != nil {
		return err
	}
	if err := c.store.Put(ctx, digest, archive); err != nil {
		return fmt.Errorf("storing chart %s: %w", digest, err)
	}
	c.keep(digest, archive)
	return nil
}

// Get returns the archive of that digest, or a problem chart-not-found.
func (c *Cache) Get(ctx context.Context, digest string) ([]byte, error) {
	if !digestForm.MatchString(digest) {
		return nil, refProblem("a digest is sha256: and 64 hexadecimal digits in lower case")
	}
	if archive, ok := c.kept(digest); ok {
		return archive, nil
	}
	archive, err := c.store.Get(ctx, digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Invalid(CodeNotFound, "no chart with digest %s was uploaded", digest).At("chart").Try("Upload it with POST helm/charts.")
	}
	if err != nil {
		return nil, fmt.Errorf("reading chart %s: %w", digest, err)
	}
	if err := verify(archive, digest, "the store"); err != nil {
		return nil, err
	}
	c.keep(digest, archive)
	return archive, nil
}

func (c *Cache) path(digest string) string {
	return filepath.Join(c.dir, strings.TrimPrefix(digest, "sha256:")+".tgz")
}

func (c *Cache) kept(digest string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := c.path(digest)
	archive, err := os.ReadFile(path) //nolint:gosec // the name is made of a digest
	if err != nil {
		return nil, false
	}
	if Digest(archive) != digest {
		_ = os.Remove(path)
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // the oldest goes first, see shrink
	return archive, true
}

// keep writes beside and renames, so that no other process of this function reads a half.
func (c *Cache) keep(digest string, archive []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(len(archive)) > c.limit || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	c.shrink(c.limit - int64(len(archive)))
	part, err := os.CreateTemp(c.dir, "part-")
	if err != nil {
		return
	}
	_, err = part.Write(archive)
	if errors.Join(err, part.Close()) != nil || os.Rename(part.Name(), c.path(digest)) != nil {
		_ = os.Remove(part.Name())
	}
}

// shrink removes what was used longest ago until no more than limit is left.
func (c *Cache) shrink(limit int64) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	total := int64(0)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range files {
		if total <= limit {
			return
		}
		if os.Remove(filepath.Join(c.dir, info.Name())) == nil {
			total -= info.Size()
		}
	}
}
