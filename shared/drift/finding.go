// Package drift is what differs between a release's manifest and the live objects, told apart from what a cluster does by itself.
package drift

import (
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
)

// Op says what happened to an object or to a field of it.
type Op string

// The operations. Missing is of whole objects, the others are of fields.
const (
	Missing Op = "missing" // the object is not there, or is being deleted
	Changed Op = "changed"
	Removed Op = "removed"
	Added   Op = "added"
)

// Detection is the way a finding was made.
type Detection string

// The detections: the manifest says otherwise, or somebody who does not write the release owns a field that the manifest does not have.
const (
	ByManifest      Detection = "manifest"
	ByManagedFields Detection = "managed fields"
)

// Finding is one difference. It holds no value of a Secret.
type Finding struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Namespace  string    `json:"namespace,omitempty"` // empty: the object has none
	Name       string    `json:"name"`
	Op         Op        `json:"op"`
	Path       string    `json:"path,omitempty"` // as the package diff writes it; empty: the whole object
	Want       any       `json:"want,omitempty"` // as the manifest has it; nil: it does not, or the whole object is missing
	Live       any       `json:"live,omitempty"` // nil: it is not there
	Manager    string    `json:"manager,omitempty"`
	Detected   Detection `json:"detected"`
	At         time.Time `json:"at,omitzero"` // when the manager last wrote; zero: not known
}

// Options choose what counts.
type Options struct {
	Ignore []deployment.Ignore
}

const (
	masked   = "[masked]"
	maxShown = 4096 // bytes of a text
)

// Ellipsis ends a text that was cut.
const Ellipsis = "…"

// Of makes what is shown of a difference. The values of a Secret, and what stands in its annotations, are masked.
func Of(object map[string]any, d Difference) Finding {
	f := Missed(object)
	f.Op, f.Path, f.Want, f.Live = d.Op, d.Path.String(), d.Want, d.Live
	f.Manager, f.Detected, f.At = d.Manager, d.Detected, d.At
	show := shorten
	if f.Kind == "Secret" && secret(d) {
		show = func(string) string { return masked }
	}
	f.Want, f.Live = texts(f.Want, show), texts(f.Live, show)
	return f
}

// Missed is the finding of an object that is not there.
func Missed(object map[string]any) Finding {
	return Finding{
		APIVersion: text(object, "apiVersion"), Kind: text(object, "kind"), Namespace: text(object, "metadata", "namespace"),
		Name: text(object, "metadata", "name"), Op: Missing, Detected: ByManifest,
	}
}

func secret(d Difference) bool {
	switch d.Path[0].Field {
	case "data", "stringData":
		return true
	case "metadata":
		return len(d.Path) < 2 || d.Path[1].Field == "annotations"
	}
	return false
}

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + Ellipsis // a character that was cut in two would not survive JSON
}

// texts returns a copy of v with every text shown by show.
func texts(v any, show func(string) string) any {
	switch v := v.(type) {
	case string:
		return show(v)
	case map[string]any:
		shown := make(map[string]any, len(v))
		for k, item := range v {
			shown[k] = texts(item, show)
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i, item := range v {
			shown[i] = texts(item, show)
		}
		return shown
	}
	return v
}

// at returns what stands at the fields, or nil.
func at(object map[string]any, fields ...string) any {
	var v any = object
	for _, f := range fields {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[f]
	}
	return v
}

func text(object map[string]any, fields ...string) string {
	s, _ := at(object, fields...).(string)
	return s
}
