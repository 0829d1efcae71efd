package cluster

// Selector chooses clusters by their labels, as Kubernetes does: all of it must hold. An empty one chooses none, since nobody means all
// clusters by saying nothing.
type Selector struct {
	MatchLabels      map[string]string
	MatchExpressions []Requirement
}

// Requirement is one condition on a label.
type Requirement struct {
	Key      string
	Operator Operator
	Values   []string // of In and NotIn
}

// Operator is how a requirement compares.
type Operator string

// Kubernetes' operators.
const (
	In           Operator = "In"
	NotIn        Operator = "NotIn"
	Exists       Operator = "Exists"
	DoesNotExist Operator = "DoesNotExist"
)
