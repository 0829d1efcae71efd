// Package cluster is the Kubernetes cluster as Swell knows it: who it is, how it is reached, when it was last seen.
package cluster

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// Status is what the last look at the cluster's API showed.
type Status string

// A cluster answers, or its state is not known; Swell never guesses.
const (
	Running Status = "RUNNING"
	Unknown Status = "UNKNOWN"
)

// Cluster is a Kubernetes cluster that was imported.
type Cluster struct {
	Org  string
	ID   string
	Name string // unique in the org; overrides are keyed by it

	Cloud        string
	Distribution string
	Location     string
	Labels       map[string]string

	UID     string // of the kube-system namespace: the cluster's identity
	Version string // of the API server, such as v1.36.3
	Nodes   int

	Access Access
	Runner string // who runs Helm: only RunnerLambda for now

	Status        Status
	StatusMessage string
	StatusSince   time.Time // since when Status holds
	CheckedAt     time.Time // the last look that reached it
	NextCheckAt   time.Time // when reconcile is due

	Relay      Relay
	RelaySetup RelaySetup
	Capacity   Capacity

	Revision  int64  // of what was said of it: a change raises it, a look does not
	GroupID   string // the group it is a member of, or empty; kept in its own item
	CreatedAt time.Time
	CreatedBy string
}

// Relay is the watcher inside the cluster, as it was last heard. Its zero value was never heard.
type Relay struct {
	Version  string
	Key      string // the name of the key that it signs with
	HeardAt  time.Time
	Watching int // objects of releases that it follows
}

// Capacity is what the cluster's relay counted: over all nodes, what may be used.
type Capacity struct {
	ReadyNodes        int
	MilliCPU          int64
	MemoryBytes       int64
	Pods              int64
	RequestedMilliCPU int64 // by pods that run; 0: not counted
}

// Access says how a cluster's API is reached; the credential itself is in Secrets Manager.
type Access struct {
	Mode          string // only AccessPublic for now
	Endpoint      string // URL of the API server
	CredentialRef string // name of the secret and, once it was replaced, '#' and which it is
}

// The ways of access and the runners there are.
const (
	AccessPublic = "public"
	RunnerLambda = "lambda"
)

var (
	nameRule  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelRule = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_./]{0,126}[A-Za-z0-9])?$`)
)

// Validate finds what a user got wrong in what describes the cluster.
func (c Cluster) Validate() error {
	if !nameRule.MatchString(c.Name) {
		return problem.Invalid("cluster-name-invalid", "cluster name %q is not a DNS-1123 label", c.Name).At("name").
			Try("use at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit")
	}
	for field, value := range map[string]string{"cloud": c.Cloud, "distribution": c.Distribution, "location": c.Location} {
		if len(value) > 63 {
			return problem.Invalid("field-too-long", "%s has %d characters", field, len(value)).At(field).Try("use at most 63")
		}
	}
	if len(c.Labels) > 50 {
		return problem.Invalid("too-many-labels", "%d labels are given", len(c.Labels)).At("labels").Try("use at most 50")
	}
	for key, value := range c.Labels {
		if !validLabel(key, value) {
			return labelInvalid(key, "labels."+key)
		}
	}
	return nil
}

func validLabel(key, value string) bool {
	return labelRule.MatchString(key) && (value == "" || labelRule.MatchString(value))
}

func labelInvalid(what, field string) error {
	return problem.Invalid("label-invalid", "label %q is not a valid label", what).At(field).
		Try("use letters, digits, '-', '_', '.' and '/', at most 128 characters")
}

// SecretName is where the cluster's credential is kept.
func SecretName(org, id string) string { return "swell/" + org + "/cluster/" + id }

// With is the cluster with another credential for that server, as of its next revision. The revision stands in the reference, behind '#', so that
// who remembers the credential before reads the secret again.
func (c Cluster) With(server string) Cluster {
	c.Revision++
	c.Access.Endpoint, c.Access.CredentialRef = server, fmt.Sprintf("%s#%d", SecretName(c.Org, c.ID), c.Revision)
	return c
}

// The times between looks: where nobody says otherwise, and at most between those at a cluster that does not answer.
const (
	CheckEvery    = 5 * time.Minute
	maxCheckAgain = time.Hour
)

// NextCheck is when a cluster that was looked at now is due again: every is what its groups ask for; 0 leaves its schedule as it is, for a look
// that a person asked for, unless that found again a cluster that was lost. One that does not answer is left alone for as long again as it has not answered, up to an hour: each wait is twice the
// one before. The jitter, a tenth either way by its id, keeps clusters apart that were imported, or lost, together.
func (c Cluster) NextCheck(every time.Duration, answered bool, now time.Time) time.Time {
	if every == 0 {
		if answered && c.Status != Unknown && c.NextCheckAt.After(now) {
			return c.NextCheckAt
		}
		every = CheckEvery
	}
	if !answered && c.Status == Unknown {
		every = max(every, min(now.Sub(c.StatusSince), maxCheckAgain))
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.ID)) // it never fails
	tenths := time.Duration(h.Sum32()%2001) - 1000
	return now.Add(every + every*tenths/10000)
}
