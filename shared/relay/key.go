package relay

import (
	"encoding/json"
	"fmt"

	"github.com/swell-sh/swell/shared/webhook"
)

// KeysName is the name of the secret with the keys of a cluster's relay.
func KeysName(org, clusterID string) string { return "swell/" + org + "/relay/" + clusterID }

// keys is the secret as it is kept.
type keys struct {
	Current  string `json:"current"`
	Previous string `json:"previous,omitempty"`
}

// FormatKeys writes the secret: the key that a relay signs with now and, while that rotates, the one before it; its zero value is none.
func FormatKeys(current, previous webhook.Key) []byte {
	k := keys{Current: current.Text()}
	if !previous.IsZero() {
		k.Previous = previous.Text()
	}
	raw, _ := json.Marshal(k) // two strings: it never fails
	return raw
}

// ParseKeys reads the keys that a relay may sign with, the current one first.
func ParseKeys(secret []byte) ([]webhook.Key, error) {
	var k keys
	if json.Unmarshal(secret, &k) != nil {
		return nil, fmt.Errorf("reading the keys of a relay: the secret is not JSON with current and previous")
	}
	current, err := webhook.ParseKey(k.Current)
	if err != nil {
		return nil, fmt.Errorf("reading the current key of a relay: %w", err)
	}
	if k.Previous == "" {
		return []webhook.Key{current}, nil
	}
	previous, err := webhook.ParseKey(k.Previous)
	if err != nil {
		return nil, fmt.Errorf("reading the previous key of a relay: %w", err)
	}
	return []webhook.Key{current, previous}, nil
}
