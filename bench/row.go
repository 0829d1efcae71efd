package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one figure. Anchor and limit are nil where there is none; the limit is one on ours. Holds is nil where there is no limit.
type row struct {
	ID     string   `json:"id"`
	What   string   `json:"what"`
	Ours   float64  `json:"ours"`
	Anchor *float64 `json:"anchor"`
	Ratio  *float64 `json:"ratio"`
	Unit   string   `json:"unit"`
	Limit  *float64 `json:"limit"`
	Holds  *bool    `json:"holds"`
}

// bench gathers the rows.
type bench struct {
	root  string // the repository
	work  string // a folder that goes away at the end
	notes io.Writer
	seed  uint64
	// What is measured beside and not Swell's: a folder of Flux's helm-controller, and the helm-diff plugin's program. Empty: not measured.
	flux, helmDiff string
	some           bool // not all parts run
	rows           []row
}

func (b *bench) note(format string, args ...any) {
	_, _ = fmt.Fprintf(b.notes, "bench: "+format+"\n", args...)
}

// add keeps a figure and returns it, to give it an anchor or a limit.
func (b *bench) add(id, unit string, ours float64, what string, args ...any) *row {
	b.rows = append(b.rows, row{ID: id, What: fmt.Sprintf(what, args...), Ours: ours, Unit: unit})
	return &b.rows[len(b.rows)-1]
}

// against sets what the figure is measured beside.
func (r *row) against(anchor float64) *row {
	r.Anchor = &anchor
	if anchor != 0 {
		r.Ratio = new(r.Ours / anchor)
	}
	return r
}

// atMost sets the limit.
func (r *row) atMost(limit float64) { r.Limit, r.Holds = &limit, new(r.Ours <= limit) }

// report prints the table and writes the files.
func (b *bench) report(ctx context.Context, out io.Writer, write bool) error {
	table := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tOURS\tANCHOR\tRATIO\tUNIT\tLIMIT\tHOLDS\tWHAT")
	for _, r := range b.rows {
		_, _ = fmt.Fprintln(table, strings.Join(append(r.cells(), r.What), "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	rows, err := b.merged()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.file()), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(b.file(), append(raw, '\n'), 0o600); err != nil {
		return err
	}
	if !write {
		return nil
	}
	return os.WriteFile(filepath.Join(b.root, "docs", "figures.md"), b.page(ctx, rows), 0o644) //nolint:gosec // a page for all to read
}

func (b *bench) file() string { return filepath.Join(b.root, "build", "bench.json") }

// merged lays the rows of a run of some parts over those of the runs before. A whole run begins anew.
func (b *bench) merged() ([]row, error) {
	before := []row{}
	raw, err := os.ReadFile(b.file())
	if err == nil && b.some {
		err = json.Unmarshal(raw, &before)
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("reading the rows of the last run: %w", err)
	}
	merged := slices.DeleteFunc(before, func(old row) bool {
		return slices.ContainsFunc(b.rows, func(r row) bool { return r.ID == old.ID })
	})
	merged = append(merged, b.rows...)
	slices.SortStableFunc(merged, func(a, b row) int { return strings.Compare(family(a.ID), family(b.ID)) })
	return merged, nil
}

// family is what a row belongs to: "P2" of "P2-install".
func family(id string) string {
	name, _, _ := strings.Cut(id, "-")
	return name
}

func (r *row) cells() []string {
	number := func(f *float64) string {
		if f == nil {
			return "–"
		}
		return text(*f)
	}
	holds := "–"
	if r.Holds != nil {
		holds = map[bool]string{true: "yes", false: "NO"}[*r.Holds]
	}
	return []string{r.ID, text(r.Ours), number(r.Anchor), number(r.Ratio), r.Unit, number(r.Limit), holds}
}

// text has no more digits than the measurement.
func text(f float64) string {
	switch {
	case f == float64(int64(f)) || f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f < 0.1:
		return strconv.FormatFloat(f, 'g', 2, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// page is docs/figures.md.
func (b *bench) page(ctx context.Context, rows []row) []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, `# Figures

Written by `+"`go run ./bench -write`"+` on %s: %d cores, %s, %s/%s, version %s. Times on a shared machine are noise: read the ratios, and the
counts and sizes. The anchor of a row is Helm's own command line (v3) on the same cluster in the same run, unless the row says otherwise.
A limit is one on our own figure.

| id | ours | anchor | ratio | unit | limit | holds | what |
|---|---|---|---|---|---|---|---|
`, time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, b.version(ctx))
	for _, r := range rows {
		fmt.Fprintf(&page, "| %s | %s |\n", strings.Join(r.cells(), " | "), strings.ReplaceAll(r.What, "|", "\\|"))
	}
	return page.Bytes()
}

func (b *bench) version(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always")
	cmd.Dir = b.root
	out, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
