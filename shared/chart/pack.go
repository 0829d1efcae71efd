package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"path"
)

// Pack makes an archive of a chart's directory. The same files give the same bytes, so the same digest. It reads no .helmignore, and
// does not Check what it packed.
func Pack(dir fs.FS) ([]byte, error) {
	metadata, err := fs.ReadFile(dir, "Chart.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the chart's metadata: %w", err)
	}
	meta, err := parseMeta(metadata)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	entries := tar.NewWriter(zipped)
	err = fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(meta.Name, name), Mode: 0o644, Size: int64(len(content))}
		if err := entries.WriteHeader(header); err != nil {
			return err
		}
		_, err = entries.Write(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("packing chart %s: %w", meta.Name, err)
	}
	if err := entries.Close(); err != nil {
		return nil, fmt.Errorf("packing chart %s: %w", meta.Name, err)
	}
	if err := zipped.Close(); err != nil {
		return nil, fmt.Errorf("packing chart %s: %w", meta.Name, err)
	}
	return packed.Bytes(), nil
}
