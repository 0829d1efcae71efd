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

const org = "acme"

var errNone = errors.New("there is none")

// bucket is a store that counts what is read from it.
type bucket struct {
	archives map[string][]byte
	gets     int
	err      error
}

var _ chart.Store = (*bucket)(nil)

func (b *bucket) PutChart(_ context.Context, org, digest string, archive []byte) error {
	if b.err == nil {
		b.archives[org+digest] = archive
	}
	return b.err
}

func (b *bucket) GetChart(_ context.Context, org, digest string) ([]byte, error) {
	b.gets++
	if b.err != nil {
		return nil, b.err
	}
	archive, ok := b.archives[org+digest]
	if !ok {
		return nil, errNone
	}
	return archive, nil
}

func newBucket(archives ...[]byte) *bucket {
	b := &bucket{archives: map[string][]byte{}}
	for _, archive := range archives {
		b.archives[org+chart.Digest(archive)] = archive
	}
	return b
}

func get(t *testing.T, c *chart.Cache, want []byte) {
	t.Helper()
	got, err := c.GetChart(t.Context(), org, chart.Digest(want))
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
	if err := cache.PutChart(t.Context(), org, chart.Digest([]byte("c")), []byte("c")); err != nil || len(store.archives) != 3 {
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
		ageAll(t, dir)
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

// ageAll makes everything in dir an hour older.
func ageAll(t *testing.T, dir string) {
	t.Helper()
	for _, info := range files(t, dir) {
		then := info.ModTime().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, info.Name()), then, then); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir string) []fs.FileInfo {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var infos []fs.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	return infos
}

func sizeOf(t *testing.T, dir string) int64 {
	t.Helper()
	total := int64(0)
	for _, info := range files(t, dir) {
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
	for _, info := range files(t, dir) {
		if err := os.WriteFile(filepath.Join(dir, info.Name()), []byte("another"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	get(t, cache, archive)
	if store.gets != 2 {
		t.Error("a file that was changed was not read anew")
	}

	store.archives[org+chart.Digest(nil)] = archive
	if _, err := cache.GetChart(t.Context(), org, chart.Digest(nil)); !problem.Is(err, chart.CodeDigest) {
		t.Errorf("a wrong archive in the store: got %v", err)
	}
	if err := cache.PutChart(t.Context(), org, chart.Digest(nil), archive); !problem.Is(err, chart.CodeDigest) {
		t.Errorf("putting under a wrong digest: got %v", err)
	}
	if _, err := cache.GetChart(t.Context(), "other", chart.Digest(archive)); !errors.Is(err, errNone) {
		t.Errorf("another org: got %v", err)
	}
	for _, digest := range []string{"", "sha256:../../x", "../x"} {
		if _, err := cache.GetChart(t.Context(), org, digest); !errors.Is(err, errNone) {
			t.Errorf("digest %q: got %v", digest, err)
		}
	}
}

func TestCacheErrors(t *testing.T) {
	store := newBucket()
	cache := chart.NewCache(store, t.TempDir(), 100)
	if _, err := cache.GetChart(t.Context(), org, chart.Digest([]byte("x"))); !errors.Is(err, errNone) {
		t.Errorf("none: got %v", err)
	}
	errBoom := errors.New("boom")
	store.err = errBoom
	if _, err := cache.GetChart(t.Context(), org, chart.Digest([]byte("x"))); !errors.Is(err, errBoom) {
		t.Errorf("getting: got %v", err)
	}
	if err := cache.PutChart(t.Context(), org, chart.Digest([]byte("x")), []byte("x")); !errors.Is(err, errBoom) {
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
