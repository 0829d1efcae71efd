package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/swell-sh/swell/shared/problem"
)

// The budget of one archive and of all archives packed in it together.
const (
	maxEntries  = 10_000
	maxUnpacked = 20 << 20
	maxFile     = 5 << 20 // Helm's own limit for one file
	maxMetadata = 256 << 10
	maxRatio    = 100
	ratioFloor  = 1 << 20 // below it a high ratio is only a boring file
	maxNesting  = 8       // of archives in archives
	maxName     = 1024
)

// file is one file that matters to Check.
type file struct {
	name    string
	content []byte
}

// part is one chart of an archive, the root or a subchart, at any depth.
type part struct {
	metadata     []byte // Chart.yaml
	requirements []byte // requirements.yaml, where charts of the first API declare their dependencies
	values       []byte // values.yaml
	schema       []byte // values.schema.json
}

// contents is what Check keeps of an archive.
type contents struct {
	parts   map[string]*part // by place: "" is the root, "charts/redis/" or "charts/redis-1.0.0.tgz/" a subchart
	schemas []file           // every values.schema.json, wherever it lies
}

func (c *contents) root() *part { return c.part("") }

func (c *contents) part(place string) *part {
	if c.parts[place] == nil {
		c.parts[place] = &part{}
	}
	return c.parts[place]
}

func read(archive []byte) (*contents, error) {
	r := &reader{contents: &contents{parts: map[string]*part{}}, entries: maxEntries, bytes: maxUnpacked}
	if err := r.read("", archive, 0); err != nil {
		return nil, err
	}
	return r.contents, nil
}

// reader walks an archive and the archives in it, on one budget.
type reader struct {
	contents *contents
	entries  int
	bytes    int64
}

func (r *reader) read(place string, archive []byte, depth int) error {
	switch {
	case len(archive) > MaxArchive:
		return tooLarge("the archive has more than %d MiB", MaxArchive>>20)
	case depth > maxNesting:
		return tooLarge("archives lie in archives more than %d deep", maxNesting)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return malformed(place, "is not compressed with gzip")
	}
	m := &meter{reader: r, from: unzipped, packed: int64(len(archive))}
	w := &walk{reader: r, place: place, depth: depth, seen: map[string]bool{}}
	if err := w.all(tar.NewReader(m)); err != nil {
		return m.explain(place, err)
	}
	if err := onlyZeros(m); err != nil {
		return m.explain(place, err)
	}
	return nil
}

// meter ends the reading of a bomb.
type meter struct {
	reader *reader
	from   io.Reader
	packed int64
	read   int64
	err    error
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.from.Read(b)
	m.read += int64(n)
	m.reader.bytes -= int64(n)
	switch {
	case m.reader.bytes < 0:
		m.err = tooLarge("the archive unpacks to more than %d MiB", maxUnpacked>>20)
	case m.read > ratioFloor && m.read > maxRatio*m.packed:
		m.err = tooLarge("the archive unpacks to more than %d times its size", maxRatio)
	}
	if m.err != nil {
		return 0, m.err
	}
	return n, err
}

// explain finds the problem behind what the tar reader says.
func (m *meter) explain(place string, err error) error {
	if m.err != nil {
		return m.err
	}
	if _, ok := problem.From(err); ok {
		return err
	}
	return malformed(place, "is damaged: %s", Printable(err.Error(), 200))
}

var errTrailing = errors.New("data after its end")

// onlyZeros reads the padding after the last entry, and with it gzip's checksum. Anything else there is seen by some programs and not by others.
func onlyZeros(r io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer)
		if len(bytes.Trim(buffer[:n], "\x00")) > 0 {
			return errTrailing
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// walk is the reading of one archive.
type walk struct {
	*reader
	place string
	depth int
	top   string
	seen  map[string]bool
}

func (w *walk) all(entries *tar.Reader) error {
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if w.entries--; w.entries < 0 {
			return tooLarge("the archive has more than %d entries", maxEntries)
		}
		if err := w.entry(h, entries); err != nil {
			return err
		}
	}
}

func (w *walk) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // `git archive` writes one: it holds no file
		return nil
	}
	name, err := w.checkEntry(h)
	if err != nil || h.Typeflag == tar.TypeDir {
		return err
	}
	_, name, _ = strings.Cut(name, "/") // Helm looks at what lies in the top directory
	return w.keep(name, h.Size, content)
}

// checkEntry refuses what is no plain file or directory in the one top directory.
func (w *walk) checkEntry(h *tar.Header) (string, error) {
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		return "", malformed(w.place, "has %s, which is no regular file and no directory", Quoted(h.Name))
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") { // a few bytes that claim to be gigabytes
			return "", malformed(w.place, "has the sparse file %s", Quoted(h.Name))
		}
	}
	if h.Size > maxFile {
		return "", tooLarge("the archive has a file of more than %d MiB: %s", maxFile>>20, Quoted(h.Name))
	}
	name := h.Name
	if h.Typeflag == tar.TypeDir {
		name = strings.TrimSuffix(name, "/")
	}
	if why := badName(name); why != "" {
		return "", malformed(w.place, "has the entry %s, whose name %s", Quoted(h.Name), why)
	}
	top, _, nested := strings.Cut(name, "/")
	switch {
	case w.top == "":
		w.top = top
	case w.top != top:
		return "", malformed(w.place, "has more than one top directory: %s and %s", Quoted(w.top), Quoted(top))
	}
	if h.Typeflag == tar.TypeReg {
		if !nested {
			return "", malformed(w.place, "has the file %s outside of a top directory", Quoted(name))
		}
		if w.seen[name] {
			return "", malformed(w.place, "has the file %s twice", Quoted(name))
		}
		w.seen[name] = true
	}
	return name, nil
}

var drive = regexp.MustCompile(`^[A-Za-z]:`)

func badName(name string) string {
	switch {
	case name == "" || len(name) > maxName:
		return "is empty or too long"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "has characters that cannot be shown"
	case strings.Contains(name, `\`):
		return "has a backslash"
	case strings.HasPrefix(name, "/"):
		return "is absolute"
	case name != path.Clean(name) || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return "leads elsewhere or is not in its simplest form"
	}
	for element := range strings.SplitSeq(name, "/") {
		if drive.MatchString(element) {
			return "begins with a drive"
		}
	}
	return ""
}

// keep reads the few files that Check looks into. The tar reader skips the others.
func (w *walk) keep(name string, size int64, content io.Reader) error {
	chart, rest := subchart(name)
	place := w.place + chart
	dir, base := path.Split(rest)
	switch {
	case rest == "Chart.yaml", rest == "requirements.yaml":
		if size > maxMetadata {
			return tooLarge("a %s has more than %d KiB", rest, maxMetadata>>10)
		}
		b, err := io.ReadAll(content)
		if p := w.contents.part(place); rest == "Chart.yaml" {
			p.metadata = b
		} else {
			p.requirements = b
		}
		return err
	case rest == "values.yaml":
		b, err := io.ReadAll(content)
		w.contents.part(place).values = b
		return err
	case base == "values.schema.json":
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		w.contents.schemas = append(w.contents.schemas, file{name: w.place + name, content: b})
		if dir == "" {
			w.contents.part(place).schema = b
		}
	case dir == "charts/" && strings.HasSuffix(base, ".tgz"):
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		return w.read(place+rest+"/", b, w.depth+1)
	}
	return nil
}

// subchart splits the path of a file into the place of the unpacked subchart that it belongs to and the rest.
func subchart(name string) (chart, rest string) {
	for {
		below, ok := strings.CutPrefix(name[len(chart):], "charts/")
		if !ok {
			return chart, name[len(chart):]
		}
		sub, _, ok := strings.Cut(below, "/")
		if !ok {
			return chart, name[len(chart):]
		}
		chart += "charts/" + sub + "/"
	}
}

func tooLarge(format string, args ...any) *problem.Problem {
	return problem.TooLarge(CodeTooLarge, format, args...).At("chart")
}

func malformed(place, format string, args ...any) *problem.Problem {
	what := "the archive "
	if place != "" {
		what = "the packed chart " + Quoted(strings.TrimSuffix(place, "/")) + " "
	}
	return problem.Invalid(CodeArchive, "%s", what+fmt.Sprintf(format, args...)).At("chart").Try("send what helm package makes")
}
