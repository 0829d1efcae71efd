package chart_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
)

// bucket is a store that counts what is read from it.
type bucket struct {
	archives map[string][]byte
	gets     int
	err      error
}

var _ chart.Store = (*bucket)(nil)

func (b *bucket) Put(_ context.Context, digest string, archive []byte) error {
	if b.err == nil {
		b.archives[digest] = archive
	}
	return b.err
}

func (b *bucket) Get(_ context.Context, digest string) ([]byte, error) {
	b.gets++
	if b.err != nil {
		return nil, b.err
	}
	archive, ok := b.archives[digest]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", digest, fs.ErrNotExist)
	}
	return archive, nil
}

func newBucket(archives ...[]byte) *bucket {
	b := &bucket{archives: map[string][]byte{}}
	for _, archive := range archives {
		b.archives[chart.Digest(archive)] = archive
	}
	return b
}

func get(t *testing.T, c *chart.Cache, want []byte) {
	t.Helper()
	got, err := c.Get(t.Context(), chart.Digest(want))
	if err != nil || string(got) != string(want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestCacheReadsTheStoreOnce(t *testing.T) {
	store := newBucket([]byte("a"), []byte("b"))
	dir := filepath.Join(t.TempDir(), "charts")
	cache := chart.NewCache(store, dir, 100)
	for range 3 {
		get(t, cache, []byte("a"))
		get(t, cache, []byte("b"))
	}
	get(t, chart.NewCache(store, dir, 100), []byte("a")) // another process, the same disk
	if store.gets != 2 {
		t.Errorf("the store was read %d times", store.gets)
	}
	if err := cache.Put(t.Context(), chart.Digest([]byte("c")), []byte("c")); err != nil || len(store.archives) != 3 {
		t.Errorf("putting: %v", err)
	}
	get(t, cache, []byte("c"))
	if store.gets != 2 {
		t.Errorf("what was put was read from the store")
	}
}

func TestCacheStaysWithinItsLimit(t *testing.T) {
	archives := make([][]byte, 10)
	for i := range archives {
		archives[i] = []byte(strings.Repeat(fmt.Sprint(i), 30))
	}
	store := newBucket(archives...)
	dir := t.TempDir()
	cache := chart.NewCache(store, dir, 100)
	for i, archive := range archives {
		get(t, cache, archive)
		age(t, dir, archive, time.Duration(len(archives)-i)*time.Hour)
		get(t, cache, archives[0]) // used all the time, so it stays
		if size := sizeOf(t, dir); size > 100 {
			t.Errorf("after %d archives the cache has %d bytes", i+1, size)
		}
	}
	if want := len(archives); store.gets != want {
		t.Errorf("the store was read %d times, want %d", store.gets, want)
	}
	large := []byte(strings.Repeat("x", 101))
	store.archives = maps.Collect(maps.All(newBucket(large).archives))
	get(t, cache, large)
	if size := sizeOf(t, dir); size > 100 || size == 0 {
		t.Errorf("after one too large the cache has %d bytes", size)
	}
}

func fileOf(dir string, archive []byte) string {
	return filepath.Join(dir, strings.TrimPrefix(chart.Digest(archive), "sha256:")+".tgz")
}

func age(t *testing.T, dir string, archive []byte, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	if err := os.Chtimes(fileOf(dir, archive), then, then); err != nil {
		t.Fatal(err)
	}
}

func sizeOf(t *testing.T, dir string) int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

func TestCacheTrustsNobody(t *testing.T) {
	archive := []byte("archive")
	store := newBucket(archive)
	dir := t.TempDir()
	cache := chart.NewCache(store, dir, 100)
	get(t, cache, archive)
	if err := os.WriteFile(fileOf(dir, archive), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	get(t, cache, archive)
	if store.gets != 2 {
		t.Error("a file that was changed was not read anew")
	}

	store.archives[chart.Digest(nil)] = archive
	if _, err := cache.Get(t.Context(), chart.Digest(nil)); !problem.Is(err, chart.CodeDigest) {
		t.Errorf("a wrong archive in the store: got %v", err)
	}
	if err := cache.Put(t.Context(), chart.Digest(nil), archive); !problem.Is(err, chart.CodeDigest) {
		t.Errorf("putting under a wrong digest: got %v", err)
	}
	for _, digest := range []string{"", "sha256:../../x", "../x"} {
		if _, err := cache.Get(t.Context(), digest); !problem.Is(err, chart.CodeRef) {
			t.Errorf("digest %q: got %v", digest, err)
		}
	}
}

func TestCacheErrors(t *testing.T) {
	store := newBucket()
	cache := chart.NewCache(store, t.TempDir(), 100)
	if _, err := cache.Get(t.Context(), chart.Digest([]byte("x"))); !problem.Is(err, chart.CodeNotFound) {
		t.Errorf("none: got %v", err)
	}
	errBoom := errors.New("boom")
	store.err = errBoom
	if _, err := cache.Get(t.Context(), chart.Digest([]byte("x"))); !errors.Is(err, errBoom) {
		t.Errorf("getting: got %v", err)
	}
	if err := cache.Put(t.Context(), chart.Digest([]byte("x")), []byte("x")); !errors.Is(err, errBoom) {
		t.Errorf("putting: got %v", err)
	}
}

func TestCacheWorksWithoutADisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store := newBucket([]byte("a"))
	cache := chart.NewCache(store, filepath.Join(file, "charts"), 100)
	get(t, cache, []byte("a"))
	get(t, cache, []byte("a"))
}
