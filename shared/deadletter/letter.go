package deadletter

import (
	"encoding/json"
	"fmt"

	"github.com/swell-sh/swell/shared/excerpt"
)

// Letter is a record of the table's stream that could not be read, and why. publish-events writes it; Redrive hands the record to that function again.
type Letter struct {
	Reason string          `json:"reason"`
	Record json.RawMessage `json:"record"`
}

// message is what a dead message may say of itself: a letter, a notification, or what Lambda says of records that it gave up.
type message struct {
	Letter
	Receiver string `json:"receiver"`
	Detail   struct {
		Type string `json:"type"`
	} `json:"detail"`
	RequestContext struct {
		Condition string `json:"condition"`
	} `json:"requestContext"`
}

func reason(body string) string {
	var l message
	_ = json.Unmarshal([]byte(body), &l) // a body of another kind is shown as it is
	switch {
	case l.Reason != "":
		return l.Reason
	case l.Receiver != "":
		return fmt.Sprintf("receiver %s did not take %s; swell receiver show %s says why", l.Receiver, l.Detail.Type, l.Receiver)
	case l.RequestContext.Condition != "":
		return "Lambda gave up: " + l.RequestContext.Condition
	}
	return excerpt.Of(body, 200)
}
