package diff

// Object is what a plan, or somebody's hand, does to one object of a release.
type Object struct {
	APIVersion  string
	Kind        string
	Namespace   string // empty: it has none
	Name        string
	Action      Action
	Destructive []string // why its change loses something or cannot be done in place; empty: it does not
	Note        string   // what could not be compared, and why
	Changes     []Change // of Update
}

// Action is what happens to an object.
type Action string

// The actions. Keep: it leaves the release and stays on the cluster, as its resource policy says.
const (
	Create    Action = "create"
	Update    Action = "update"
	Delete    Action = "delete"
	Keep      Action = "keep"
	Unchanged Action = "unchanged"
)
