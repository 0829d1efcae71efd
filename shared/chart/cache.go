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
)

// CacheLimit is how much of a function's disk a Cache takes: half of what Lambda gives.
const CacheLimit = 256 << 20

// Store keeps the archives of each org by digest.
type Store interface {
	PutChart(ctx context.Context, org, digest string, archive []byte) error
	GetChart(ctx context.Context, org, digest string) ([]byte, error)
}

// Cache is a Store in front of another: it keeps archives in a directory, so that a warm function reads each once. What lies there is compared with
// its digest at each reading, and no org finds there what another has. A disk that is full or broken makes it slow, not wrong.
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

// PutChart stores an archive of the org under its digest.
func (c *Cache) PutChart(ctx context.Context, org, digest string, archive []byte) error {
	if err := verify(archive, digest, "the request"); err != nil {
		return err
	}
	if err := c.store.PutChart(ctx, org, digest, archive); err != nil {
		return err
	}
	c.keep(c.path(org, digest), archive)
	return nil
}

// GetChart returns the org's archive of that digest. Where there is none the error is the store's.
func (c *Cache) GetChart(ctx context.Context, org, digest string) ([]byte, error) {
	path := c.path(org, digest)
	if archive, ok := c.kept(path, digest); ok {
		return archive, nil
	}
	archive, err := c.store.GetChart(ctx, org, digest)
	if err != nil {
		return nil, err
	}
	if err := verify(archive, digest, "the store"); err != nil {
		return nil, err
	}
	c.keep(path, archive)
	return archive, nil
}

// path hashes both, so that neither can lead out of the directory.
func (c *Cache) path(org, digest string) string {
	name := strings.TrimPrefix(Digest(fmt.Appendf(nil, "%q %q", org, digest)), "sha256:")
	return filepath.Join(c.dir, name+".tgz")
}

func (c *Cache) kept(path, digest string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	archive, err := os.ReadFile(path) //nolint:gosec // path makes it
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
func (c *Cache) keep(path string, archive []byte) {
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
	if errors.Join(err, part.Close()) != nil || os.Rename(part.Name(), path) != nil {
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
