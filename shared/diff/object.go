package diff

// Object is what a plan, or somebody's hand, does to one object of a release. Its JSON is how a list of them is kept:
//
//	{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "web", "name": "web", "action": "update",
//	 "changes": [{"path": "spec.replicas", "op": "changed", "before": 2, "after": 3}]}
type Object struct {
	APIVersion  string   `json:"apiVersion,omitempty"`
	Kind        string   `json:"kind"`
	Namespace   string   `json:"namespace,omitempty"` // empty: it has none
	Name        string   `json:"name"`
	Action      Action   `json:"action"`
	Destructive []string `json:"destructive,omitempty"` // why its change loses something or cannot be done in place; empty: it does not
	Note        string   `json:"note,omitempty"`        // what could not be compared, and why
	Changes     []Change `json:"changes,omitempty"`     // of Update
}

// Action is what happens to an object.
type Action string

// The actions. Keep: it leaves the release and stays on the cluster, as its resource policy says. Hook: Helm makes it around the verb; it
// is no part of the release and is not compared.
const (
	Create    Action = "create"
	Update    Action = "update"
	Delete    Action = "delete"
	Keep      Action = "keep"
	Unchanged Action = "unchanged"
	Hook      Action = "hook"
)
