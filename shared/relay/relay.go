// Package relay is what the watcher inside a cluster says to Swell: news of the workloads of Helm releases. It is a hint where to look and why,
// never the truth: whoever acts on it looks at the cluster.
package relay

import "time"

// Where Swell installs the relay in every cluster.
const (
	ReleaseName = "swell-relay"
	Namespace   = "swell-system"
)

// Heartbeat is how often a relay is heard while nothing happens; SilentAfter is for how long one may say nothing before it is taken for dead: half a heartbeat
// more, for what is sent again.
const (
	Heartbeat   = 5 * time.Minute
	SilentAfter = Heartbeat + Heartbeat/2
)

// Delivery is one signed request of a relay. It may come twice, late and out of order.
type Delivery struct {
	Relay    string    `json:"relay"`         // version of the relay
	Key      string    `json:"key,omitempty"` // the name of the key that it signs with, by which a rotation ends
	SentAt   time.Time `json:"sentAt"`
	Cluster  *Cluster  `json:"cluster,omitempty"` // with every heartbeat
	Reports  []Report  `json:"reports"`
	Dropped  int       `json:"dropped,omitempty"` // reports of no last state that a full buffer lost since the delivery before
	Watching int       `json:"watching"`          // objects of releases that it follows
}

// Cluster is what the relay sees of its cluster as a whole.
type Cluster struct {
	Version           string `json:"version"` // of the API server
	Nodes             int    `json:"nodes"`
	ReadyNodes        int    `json:"readyNodes"`
	MilliCPU          int64  `json:"milliCPU"`          // allocatable, over all nodes
	MemoryBytes       int64  `json:"memoryBytes"`       // allocatable
	Pods              int64  `json:"pods"`              // allocatable
	RequestedMilliCPU int64  `json:"requestedMilliCPU"` // by pods that run; 0: not counted
}

// State is what a report says of one object.
type State string

// The states. Complete and Failed are last words on one generation of an object; Changed and Deleted are about what somebody else than Helm did.
const (
	Progressing State = "progressing"
	Complete    State = "complete"
	Failed      State = "failed"
	Changed     State = "changed"
	Deleted     State = "deleted"
)

// Terminal says that the state is a last word on the object's generation, which must be neither lost nor said twice.
func (s State) Terminal() bool { return s == Complete || s == Failed }

// Report is news of one object of one release.
type Report struct {
	ID        string    `json:"id"` // of the fact: who finds the same again gives it the same id
	Namespace string    `json:"namespace"`
	Release   string    `json:"release"` // Helm's meta.helm.sh/release-name; its namespace is Namespace
	Object    Object    `json:"object"`
	State     State     `json:"state"`
	Cause     *Cause    `json:"cause,omitempty"` // of Failed and of Progressing that waits for something
	Manager   string    `json:"manager,omitempty"`
	SeenAt    time.Time `json:"seenAt"` // by the relay's clock
}

// Object is a Kubernetes object at one of its generations.
type Object struct {
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
}

// Cause is what a person needs to know of an object that does not run.
type Cause struct {
	Code    string `json:"code"`              // stable, kebab-case: image-pull, crash-loop, oom-killed, unschedulable, deadline-exceeded, job-failed, volume-unbound
	Message string `json:"message"`           // the cluster's own words, with the pod's name
	Image   string `json:"image,omitempty"`   // that could not be pulled
	Logs    string `json:"logs,omitempty"`    // the last lines of the container, at most 2 KB
	Pod     string `json:"pod,omitempty"`     // that shows it
	Waiting bool   `json:"waiting,omitempty"` // it may still pass by itself: a reason to wait, not to fail
}
