package workflow

// RelayOrder is a message to InstallRelay: what is to be done with the relay of a cluster.
type RelayOrder struct {
	Org     string    `json:"org"`
	Cluster string    `json:"cluster"`
	Do      RelayVerb `json:"do"`
	Attempt int       `json:"attempt,omitempty"` // of RelaySettle, from 0
}

// RelayVerb is what may be done with a relay.
type RelayVerb string

// The verbs. RelaySettle ends a rotation once the relay was heard with its new key.
const (
	RelayInstall RelayVerb = "install"
	RelayRotate  RelayVerb = "rotate"
	RelaySettle  RelayVerb = "settle"
	RelayRemove  RelayVerb = "remove"
)
