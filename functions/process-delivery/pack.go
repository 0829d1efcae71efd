package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/git"
	"github.com/swell-sh/swell/shared/problem"
)

const maxArchive = 4 << 20

// pack makes a chart's archive of a directory: the same bytes of the same files, so that its digest says whether it changed. Dependencies are taken as
// they are in charts/; none is fetched.
func pack(s *git.Snapshot, dir string) ([]byte, error) {
	files, err := s.Dir(dir)
	if err != nil {
		return nil, err
	}
	var meta struct {
		Name string `json:"name"`
	}
	if err := yaml.Unmarshal(files["Chart.yaml"], &meta); err != nil || meta.Name == "" {
		return nil, problem.Invalid("source-path-missing", "directory %s has no Chart.yaml with a name", dir).Try("name the directory that Chart.yaml is in")
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := archive.WriteHeader(&tar.Header{Name: meta.Name + "/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg, Format: tar.FormatPAX}); err != nil {
			return nil, fmt.Errorf("packing chart %s: %w", dir, err)
		}
		if _, err := archive.Write(files[name]); err != nil {
			return nil, fmt.Errorf("packing chart %s: %w", dir, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("packing chart %s: %w", dir, err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("packing chart %s: %w", dir, err)
	}
	if out.Len() > maxArchive {
		return nil, problem.Invalid("source-too-large", "chart %s packs to over %d MiB", dir, maxArchive>>20).Try("leave out what the chart does not need")
	}
	return out.Bytes(), nil
}

// digest tells whether anything of the change is another.
func (c change) digest() (string, error) {
	raw, err := json.Marshal(c.DeploymentRequest)
	if err != nil {
		return "", fmt.Errorf("digesting a change: %w", err)
	}
	sum, archive := sha256.New(), sha256.Sum256(c.archive)
	sum.Write(raw)
	sum.Write(archive[:])
	return hex.EncodeToString(sum.Sum(nil)), nil
}
