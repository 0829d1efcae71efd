package catalog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// Described is one version of a chart as its repository describes it, which nobody has checked.
type Described struct {
	Name        string   `json:"-" yaml:"-"`
	Version     string   `json:"version" yaml:"version"`
	AppVersion  string   `json:"appVersion" yaml:"appVersion"`
	Description string   `json:"description" yaml:"description"`
	Created     string   `json:"created" yaml:"created"`
	Deprecated  bool     `json:"deprecated" yaml:"deprecated"`
	Keywords    []string `json:"keywords" yaml:"keywords"`
	URLs        []string `json:"urls" yaml:"urls"`
	Digest      string   `json:"digest" yaml:"digest"`

	Provenance Provenance `json:"-" yaml:"-"`
}

// Provenance is whether a version has a provenance file beside it. Nobody has verified it.
type Provenance string

// What is known of a provenance file.
const (
	ProvenancePresent Provenance = "present"
	ProvenanceAbsent  Provenance = "absent"
	ProvenanceUnknown Provenance = "unknown"
)

// CreatedAt is when the version was made, as far as the repository says so.
func (d Described) CreatedAt() time.Time {
	at, err := time.Parse(time.RFC3339, d.Created)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// Charts lists the charts of a repository by name, each in its newest stable version, or the newest of all if none is stable. Every word of query
// is in the chart's name, description or keywords. The index is read whole, chart by chart.
func (f *Fetcher) Charts(ctx context.Context, source Source, query string) ([]Described, error) {
	f, err := f.reading(source)
	if err != nil {
		return nil, err
	}
	if source.Type() == repository.OCI {
		return nil, problem.Invalid(CodeNoListing, "%s is in an OCI registry, which does not list its charts", source).At("repo").
			Try("Ask for the versions of a chart by its name: GET helm/repos/{repo}/charts/{chart}.")
	}
	index, _, err := f.index(ctx)
	if err != nil {
		return nil, err
	}
	charts := map[string]Described{}
	err = describe(index, func(name string, versions []Described) {
		if len(versions) == 0 {
			return
		}
		newest := versions[best(versions)]
		newest.Name = name
		if newest.mentions(query) {
			charts[name] = newest
		}
	})
	if err != nil {
		return nil, f.badIndex(err)
	}
	list := make([]Described, 0, len(charts))
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		list = append(list, charts[name])
	}
	return list, nil
}

func best(versions []Described) int {
	names := make([]string, len(versions))
	for i, v := range versions {
		names[i] = v.Version
	}
	for _, wanted := range []string{"", ">=0-0"} {
		if i, err := pick(names, wanted); err == nil && i >= 0 {
			return i
		}
	}
	return 0
}

func (d Described) mentions(query string) bool {
	text := strings.ToLower(d.Name + " " + d.Description + " " + strings.Join(d.Keywords, " "))
	for _, word := range strings.Fields(strings.ToLower(query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// describe hands on the versions of each chart of an index, of some twice where the layout turns out to be another than Helm's. A chart whose versions cannot be read is an error: it would be missing in silence.
func describe(index []byte, with func(name string, versions []Described)) error {
	if trimmed := bytes.TrimSpace(index[:min(len(index), 64)]); bytes.HasPrefix(trimmed, []byte("{")) {
		return describeJSON(index, with)
	}
	var failed error
	regular := sections(index, func(_ string, lines []byte) bool {
		var one map[string][]Described
		if failed = parseSmall(lines, &one); failed == nil {
			for name, versions := range one {
				with(name, versions)
			}
		}
		return failed != nil
	})
	if regular || failed != nil {
		return failed
	}
	var whole struct {
		Entries map[string][]Described `yaml:"entries"`
	}
	if err := parseSmall(index, &whole); err != nil {
		return err
	}
	if whole.Entries == nil {
		return indexError("it has no entries")
	}
	for name, versions := range whole.Entries {
		with(name, versions)
	}
	return nil
}

func describeJSON(index []byte, with func(name string, versions []Described)) error {
	var whole struct {
		Entries map[string][]Described `json:"entries"`
	}
	if err := json.Unmarshal(index, &whole); err != nil || whole.Entries == nil {
		return indexError("it is not JSON with entries")
	}
	for name, versions := range whole.Entries {
		with(name, versions)
	}
	return nil
}

// describedIn is what the index says of one chart.
func describedIn(index []byte, chart string) (found []Described, err error) {
	if part, regular := section(index, chart); regular && part != nil {
		var only map[string][]Described
		if err := parseSmall(part, &only); err != nil {
			return nil, err
		}
		return only[chart], nil
	}
	err = describe(index, func(name string, versions []Described) {
		if name == chart {
			found = versions
		}
	})
	return found, err
}

// newestFirst orders versions; those that are not semantic come last.
func newestFirst(a, b string) int {
	va, errA := semver.NewVersion(a)
	vb, errB := semver.NewVersion(b)
	switch {
	case errA == nil && errB == nil:
		return cmp.Or(vb.Compare(va), cmp.Compare(b, a))
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return cmp.Compare(b, a)
}
