package release

// Rendering is what a chart makes of one target's values, as a plan that is shown keeps it in the bucket. It may hold secrets.
type Rendering struct {
	Manifest     string   `json:"manifest"` // the documents of the release, without its hooks
	Hooks        []Hook   `json:"hooks"`
	CRDs         []string `json:"crds"`         // documents of the chart's crds folder
	Reproducible bool     `json:"reproducible"` // false: another render may differ
	Lookups      bool     `json:"lookups"`      // it asks the cluster for objects, which a plan does not answer
}

// Hook is an object that Helm makes around a verb. It is no part of the release.
type Hook struct {
	Kind      string   `json:"kind"`
	Name      string   `json:"name"`
	Namespace string   `json:"namespace,omitempty"` // empty: the release's, or none
	Events    []string `json:"events"`              // such as pre-upgrade
	Manifest  string   `json:"manifest"`
}

// String names nothing of what is rendered.
func (Rendering) String() string { return "[redacted]" }

// GoString is %#v.
func (Rendering) GoString() string { return "[redacted]" }
