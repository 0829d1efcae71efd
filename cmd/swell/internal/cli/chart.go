package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/openapi"
)

// maxArchive is what the API takes; maxChartFile and maxChartFiles end a packing that has lost its way.
const (
	maxArchive    = 4 << 20
	maxChartFile  = 20 << 20
	maxChartFiles = 10_000
)

func (a *app) chartCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "chart", Aliases: []string{"charts"}, Short: "Push charts, and look at their versions"}
	cmd.AddCommand(&cobra.Command{
		Use: "push FOLDER|ARCHIVE", Short: "Push a chart, from its folder or as helm package made it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			chart, err := a.push(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return show(a, chart, func(c openapi.Chart) *table {
				t := &table{head: []string{"CHART", "VERSION", "REF"}}
				t.add(c.Name, c.Version, c.Ref)
				return t
			})
		},
	}, a.chartVersions())
	return cmd
}

// chartRef returns the reference of a chart; a local one is pushed first. As with Helm, what is there on this machine comes before a
// repository of that name.
func (a *app) chartRef(ctx context.Context, chart string) (string, error) {
	if !isLocal(chart) {
		return chart, nil
	}
	pushed, err := a.push(ctx, chart)
	return pushed.Ref, err
}

func isLocal(chart string) bool {
	if strings.Contains(chart, "://") {
		return false
	}
	if strings.HasPrefix(chart, ".") || filepath.IsAbs(chart) || strings.HasSuffix(chart, ".tgz") {
		return true
	}
	_, err := os.Stat(filepath.Join(chart, "Chart.yaml"))
	return chart != "" && err == nil
}

func (a *app) push(ctx context.Context, name string) (openapi.Chart, error) {
	info, err := os.Stat(name)
	if err != nil {
		return openapi.Chart{}, err
	}
	var archive []byte
	if info.IsDir() {
		archive, err = pack(name)
	} else {
		archive, err = a.readFile(name, maxArchive)
	}
	if err != nil {
		return openapi.Chart{}, err
	}
	if len(archive) > maxArchive {
		return openapi.Chart{}, fmt.Errorf("the chart in %s is over %d MiB packed; name what it does not need in its .helmignore", name, maxArchive>>20)
	}
	return read[openapi.Chart](a.api.PushChartWithBodyWithResponse(ctx, a.org, "application/gzip", bytes.NewReader(archive)))
}

// pack makes an archive of a chart's folder. The same files give the same bytes, and so the same digest: in order, without times, owners
// and modes. It does not fetch dependencies: helm dependency update does.
func pack(dir string) ([]byte, error) {
	chart, err := chartName(dir)
	if err != nil {
		return nil, err
	}
	ignored, err := readIgnore(dir)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	files := 0
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil || relative == "." {
			return err
		}
		relative = filepath.ToSlash(relative)
		if ignored.match(relative, entry.IsDir()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		if files++; files > maxChartFiles {
			return fmt.Errorf("%s has over %d files; is it a chart's folder?", dir, maxChartFiles)
		}
		return packFile(archive, name, path.Join(chart, relative), entry)
	})
	if err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := zipped.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func packFile(archive *tar.Writer, name, as string, entry fs.DirEntry) error {
	if !entry.Type().IsRegular() {
		return fmt.Errorf("%s is no regular file; a chart has no links", name)
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if info.Size() > maxChartFile {
		return fmt.Errorf("%s is over %d MiB; name it in .helmignore", name, maxChartFile>>20)
	}
	content, err := os.ReadFile(name) //nolint:gosec // a file of the folder that the user names
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: as, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err = archive.Write(content)
	return err
}

func chartName(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "Chart.yaml")) //nolint:gosec // of the folder that the user names
	if err != nil {
		return "", fmt.Errorf("%s is no chart's folder: %w", dir, err)
	}
	var chart struct {
		Name string `json:"name"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return "", fmt.Errorf("reading %s: %w", filepath.Join(dir, "Chart.yaml"), err)
	}
	if chart.Name == "" || strings.ContainsAny(chart.Name, `/\`) || chart.Name == ".." || chart.Name == "." {
		return "", fmt.Errorf("%s has no name that an archive can have", filepath.Join(dir, "Chart.yaml"))
	}
	return chart.Name, nil
}

// ignore is a .helmignore: one pattern a line, the last that matches decides.
type ignore []pattern

type pattern struct {
	glob   string
	not    bool // the line began with !
	dir    bool // the line ended with /
	rooted bool // the line has a / within: it is about the whole path
}

func readIgnore(dir string) (ignore, error) {
	all := ignore{{glob: ".helmignore"}, {glob: "templates/.?*", rooted: true}} // as Helm does
	text, err := os.ReadFile(filepath.Join(dir, ".helmignore"))                 //nolint:gosec // of the folder that the user names
	if os.IsNotExist(err) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var p pattern
		line, p.not = strings.CutPrefix(line, "!")
		line, p.dir = strings.CutSuffix(line, "/")
		p.rooted = strings.Contains(line, "/")
		p.glob = strings.TrimPrefix(line, "/")
		if _, err := path.Match(p.glob, ""); err != nil || strings.Contains(line, "**") {
			return nil, fmt.Errorf("%s: %q is no pattern that Helm takes", filepath.Join(dir, ".helmignore"), line)
		}
		all = append(all, p)
	}
	return all, nil
}

func (all ignore) match(name string, isDir bool) bool {
	ignored := false
	for _, p := range all {
		subject := name
		if !p.rooted {
			subject = path.Base(name)
		}
		if ok, _ := path.Match(p.glob, subject); ok && (isDir || !p.dir) {
			ignored = !p.not
		}
	}
	return ignored
}
