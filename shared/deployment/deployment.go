// Package deployment is the intent "this chart, version, values and overrides on the clusters of this group".
package deployment

import (
	"regexp"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/rollout"
)

// Mode says what reconcile does about a release that is not as desired.
type Mode string

// Detect only records; Correct starts a run.
const (
	Detect  Mode = "detect"
	Correct Mode = "correct"
)

// Deployment is the head of an intent; what it asks for is in its generations.
type Deployment struct {
	Org         string
	ID          string
	GroupID     string
	ReleaseName string // unique in the group
	Namespace   string // of the release on every target; never changes
	Generation  int    // the one that the targets should have: the newest, until a rollback names an older one
	Newest      int    // the highest number that was accepted; the next one is Newest+1
	Mode        Mode
	// InstallOnJoin: a cluster that joins gets the deployment at once, not with the next update.
	InstallOnJoin bool
	// RemovalLimit is the percentage of the targets beyond which a run stops instead of removing releases; 0 is defaultRemovalLimit.
	RemovalLimit int
	Ignore       []Ignore // differences that are no drift
	DependsOn    []string // names of the group's deployments that must be well on a target before this one begins there
	Deleting     bool     // a run that removes it was accepted
	LastRun      string
	RunSeq       int64 // rises with every run; orders who may move a desired pointer
	Version      int64 // rises with every change, for optimistic locking and ETags
	CreatedAt    time.Time
	UpdatedAt    time.Time
	CreatedBy    string
}

// Generation is one accepted version of a deployment's intent. It never changes.
type Generation struct {
	Org            string
	DeploymentID   string
	Number         int
	Chart          Chart
	ValuesRef      string   // key of the Intent's values in the bucket
	Overridden     []string // names of the clusters that have an override, sorted
	TimeoutSeconds int      // how long a target may take to become ready
	Remediation    Remediation
	Atomic         bool // where one target fails, all return to what they were
	Rollout        rollout.Rollout
	HealthChecks   []HealthCheck
	Tests          Tests
	SecretPaths    []string // paths of values that are masked when they are read, such as auth.password
	OwnValuesRef   string   // key of what the request itself said, where values were reused; empty: ValuesRef
	Before         int      // the generation that the targets should have had until then; 0: it is the first
	Reused         int      // the generation whose values were reused; 0: none
	PlanHash       string   // of the plan that it applies; empty: it was accepted without one
	RunID          string   // of the run that first brought it to the targets: its result
	CreatedAt      time.Time
	CreatedBy      string
}

// Ignore names fields whose differences are no drift. An empty field matches everything.
type Ignore struct {
	Kind, Namespace, Name string
	Path                  string // a pattern of the package diff: spec.replicas, metadata.annotations[*]
}

// Chart is a chart resolved to its bytes.
type Chart struct {
	Ref         string // as the user gave it: repo/chart, oci://… or sha256:…
	Name        string
	Version     string
	Digest      string // sha256:…, the key of the archive in the bucket
	Description string
}

// Values are what a generation sets: common ones, and overrides by cluster name.
type Values struct {
	Common    map[string]any            `json:"values"`
	Overrides map[string]map[string]any `json:"valueOverrides"`
}

// For returns what the named cluster gets: the common values with its override over them.
func (v Values) For(clusterName string) map[string]any {
	return Merge(v.Common, v.Overrides[clusterName])
}

// Reuse lays the values of a request over those of the generation before, as reuseValues asks: clusters that are not mentioned
// keep their override.
func (v Values) Reuse(request Values) Values {
	out := Values{Common: Merge(v.Common, request.Common), Overrides: map[string]map[string]any{}}
	for name, values := range v.Overrides {
		out.Overrides[name] = values
	}
	for name, values := range request.Overrides {
		out.Overrides[name] = Merge(v.Overrides[name], values)
	}
	return out
}

// Merge lays over on base: maps are merged deeply, lists and scalars replaced whole, a null is kept (Helm then drops the chart's
// default). Neither argument changes.
func Merge(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	for k, v := range base {
		out[k] = v
	}
	for k, v := range over {
		below, isMap := out[k].(map[string]any)
		above, overIsMap := v.(map[string]any)
		if isMap && overIsMap {
			out[k] = Merge(below, above)
			continue
		}
		out[k] = v
	}
	return out
}

// Limits on what a deployment may ask for.
const (
	maxNameLength    = 53 // Helm's own limit
	MaxValuesBytes   = 512 << 10
	DefaultTimeout   = 600 // seconds
	minTimeout       = 10
	maxTimeout       = 3600
	DefaultNamespace = "default"
)

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// ValidateReleaseName refuses what Helm and Kubernetes would.
func ValidateReleaseName(name string) error {
	if len(name) > maxNameLength || !dnsLabel.MatchString(name) {
		return problem.Invalid("release-name-invalid", "release name %q is not a DNS-1123 label of at most %d characters", name, maxNameLength).
			At("releaseName").Try("use lower-case letters, digits and '-', beginning and ending with a letter or digit")
	}
	return nil
}

// ValidateNamespace refuses what is no namespace's name.
func ValidateNamespace(name string) error {
	if len(name) > 63 || !dnsLabel.MatchString(name) {
		return problem.Invalid("namespace-invalid", "namespace %q is not a DNS-1123 label", name).At("namespace").
			Try("use at most 63 lower-case letters, digits and '-'")
	}
	return nil
}

// ValidateTimeout bounds how long a target may take to become ready.
func ValidateTimeout(seconds int) error {
	if seconds < minTimeout || seconds > maxTimeout {
		return problem.Invalid("timeout-invalid", "timeoutSeconds is %d", seconds).At("timeoutSeconds").
			Try("use %d to %d seconds", minTimeout, maxTimeout)
	}
	return nil
}

// ValidateOverrides refuses an override for a name that is no target: it would be dropped in silence.
func ValidateOverrides(overrides map[string]map[string]any, memberNames []string) error {
	members := map[string]bool{}
	for _, n := range memberNames {
		members[n] = true
	}
	for name := range overrides {
		if !members[name] {
			return problem.Invalid("override-unknown", "no member of the group is named %q", name).At("valueOverrides." + name).
				Try("name one of the group's members, or add the cluster to the group first")
		}
	}
	return nil
}
