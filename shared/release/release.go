// Package release is what Helm calls so on one cluster, as Swell wants it and as Swell saw it.
package release

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Key names a release within an org. Its item is created once, conditionally: that claims the name.
type Key struct {
	Org       string
	ClusterID string
	Namespace string
	Name      string
}

// Owner is who may move a release: a deployment for now.
type Owner struct{ Kind, ID string }

// OwnedByDeployment is the owner that a deployment is.
func OwnedByDeployment(id string) Owner { return Owner{Kind: "deployment", ID: id} }

// Health says whether the release's workloads run. Helm's "deployed" says only that they were accepted.
type Health string

// The healths there are.
const (
	Progressing Health = "PROGRESSING"
	Healthy     Health = "HEALTHY"
	Unhealthy   Health = "UNHEALTHY"
)

// Release is the canonical item of one release. Only runs move Desired; only a look at the cluster moves Observed.
type Release struct {
	Key
	Owner         Owner
	Healthy       int         // the revision that a run saw healthy last; 0: none. Its record is never pruned
	Verified      *Desired    // what Healthy was made of; nil: no run has recorded it
	Drift         *Drift      // nil: never compared
	CheckError    *CheckError // why the last look could not tell all; nil: it did
	Desired       *Desired    // nil: no run reached the target yet
	Observed      *Observed   // nil: never looked at
	Health        Health
	HealthMessage string
	HealthAt      time.Time
	ActiveRun     string   // the run whose batch has it; reconcile keeps away
	CatchUp       *CatchUp // what it missed while its cluster did not answer; nil: nothing
	Lease         Lease
	Fence         int64 // rises with every lease, never falls
}

// Drift is how far the live objects differ from the manifest of the release's revision.
type Drift struct {
	Revision int       // whose manifest it was compared with
	Objects  int       // that differ, or are missing
	Fields   int       // that differ, over all objects
	Ref      string    // key in the bucket of the findings; empty where nothing differs
	Since    time.Time // from when on something differs without a break
	At       time.Time // when these findings were first seen
}

// After completes what was found now with since when something differs, and says whether it tells anything that previous did not.
// Nothing found where nothing was before tells nothing.
func (d Drift) After(previous *Drift) (Drift, bool) {
	drifted := previous != nil && previous.Objects > 0
	if d.Objects == 0 {
		return d, drifted
	}
	d.Since = d.At
	if drifted && previous.Revision == d.Revision {
		d.Since = previous.Since
		return d, d.Ref != previous.Ref
	}
	return d, true
}

// DriftedObjects are the live objects that differ from the manifest of the revision that was last seen.
func (r Release) DriftedObjects() int {
	if r.Drift == nil || r.Observed == nil || r.Drift.Revision != r.Observed.Revision {
		return 0
	}
	return r.Drift.Objects
}

// Lease is the right to write the release on its cluster, until it expires.
type Lease struct {
	Holder    string
	ExpiresAt time.Time
}

// Desired is the plan entry the release should have.
type Desired struct {
	Seq          int64 // of the run that set it
	Generation   int
	RunID        string
	PlanHash     string
	InputHash    string
	ChartName    string
	ChartVersion string
	HealthChecks bool // the generation has rules of its own for the health of objects
	Absent       bool // it should not be there at all
	SetAt        time.Time
}

// DesiredBy is the entry as the state that a run moves its release to.
func (e PlanEntry) DesiredBy(runID string, seq int64, planHash string, at time.Time) Desired {
	return Desired{Seq: seq, Generation: e.Generation, RunID: runID, PlanHash: planHash, InputHash: e.InputHash, ChartName: e.ChartName,
		ChartVersion: e.ChartVersion, HealthChecks: e.HealthChecks, Absent: e.Absent, SetAt: at}
}

// Observed is what the cluster showed. Absent: no record of that name.
type Observed struct {
	Absent        bool
	Revision      int
	Status        string // Helm's own word, lower case
	ChartName     string
	ChartVersion  string
	OwnerLabel    string // of the record; a record without ours is foreign
	InputHash     string
	LabelRevision int    // the revision that the label was written for; another means somebody wrote a newer one by hand
	RolledBackTo  int    // the revision that somebody chose by a rollback by hand; 0: none
	ValuesDigest  string // of the record's values
	Differs       []string
	At            time.Time
}

// SameRecord says whether both looks found the same record in the same state.
func (o Observed) SameRecord(other Observed) bool {
	return o.Absent == other.Absent && o.Revision == other.Revision && o.Status == other.Status && o.InputHash == other.InputHash &&
		o.LabelRevision == other.LabelRevision && o.OwnerLabel == other.OwnerLabel
}

// PlanEntry is the immutable decision for one release of one run.
type PlanEntry struct {
	PlanHash     string
	ClusterID    string
	ClusterName  string
	Key          Key
	Action       Action // foreseen; the verb is decided again at the cluster
	Absent       bool   // the release should be gone; chart and values are empty then
	InputHash    string
	ChartName    string
	ChartVersion string
	ChartDigest  string
	ValuesRef    string // key in the bucket of the merged values
	ValuesDigest string
	CRDsRef      string // key in the bucket of the CRDs that the chart brings; empty if none
	ManifestRef  string // key in the bucket of the Rendering; only a plan that is shown keeps it
	SeenRevision int    // precondition seen, 0 if none
	Capabilities string // precondition seen: a digest of the cluster's version, and of its APIs where the chart asks for them; empty: it did not answer
	Generation   int
	Timeout      int      // seconds to become ready
	HealthChecks bool     // the generation has rules of its own for the health of objects
	Tests        int      // seconds that the chart's tests may take; 0: they do not run
	DependsOn    []string // names of deployments that must be well on the target first
	TakeBack
}

// TakeBack is what an entry says that takes back what its run did to a target. The zero value: it does not.
type TakeBack struct {
	TakesBack      bool
	RollbackTo     int  // revision that Helm rolls back to; 0: the release is uninstalled
	AcrossHandMade bool // also across a revision that a person made by hand
	TryAgain       bool // what the run wanted is tried again after it
}

// Input is all that decides what a release should be. Applying it does not change it.
type Input struct {
	ChartDigest  string `json:"chart"`
	ValuesDigest string `json:"values"`
	Name         string `json:"name"`
	Namespace    string `json:"namespace"`
}

// Hash is the inputHash: it fits a label's 63 characters.
func (in Input) Hash() string { return Digest(in) }

// Digest is the base32 SHA-256 of v's JSON: 52 characters, lower case, fit for a label, a key and a path.
func Digest(v any) string {
	raw, err := json.Marshal(v)
	if err != nil { // only values that came from JSON get here
		raw = fmt.Appendf(nil, "%v", v)
	}
	sum := sha256.Sum256(raw)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// PlanHash binds one apply: the inputHashes, the preconditions seen, and the basis: the digest of the draft that a plan is shown of, so
// that planning an unmoved world twice gives one plan, else the run.
func PlanHash(basis string, entries []PlanEntry) string {
	lines := make([]string, 0, len(entries)+1)
	for _, e := range entries {
		lines = append(lines, fmt.Sprintf("%s %s %s %d %s", e.ClusterID, e.Action, e.InputHash, e.SeenRevision, e.Capabilities))
	}
	slices.Sort(lines)
	return Digest(append(lines, basis))
}

// The labels that Swell writes on Helm's record.
const (
	LabelOwner    = "swell-owner"
	LabelInput    = "swell-input"
	LabelRevision = "swell-revision"
	LabelFence    = "swell-fence"
	LabelRun      = "swell-run"
)

// InSync says whether the cluster has what is desired.
func InSync(d *Desired, o *Observed) bool {
	if d == nil || o == nil {
		return false
	}
	if d.Absent || o.Absent {
		return d.Absent == o.Absent
	}
	return o.Status == "deployed" && o.seen().IsOf(d.InputHash)
}

// absentTimeout is how long, in seconds, a release may take to be gone.
const absentTimeout = 300

// AbsentEntry is the plan entry of a release that should be gone.
func AbsentEntry(key Key, clusterName string, generation int) PlanEntry {
	return PlanEntry{
		ClusterID: key.ClusterID, ClusterName: clusterName, Key: key, Action: Uninstall, Absent: true,
		InputHash: Digest([]string{"absent", key.Namespace, key.Name}), Generation: generation, Timeout: absentTimeout,
	}
}
