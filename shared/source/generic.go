package source

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/swell-sh/swell/shared/webhook"
)

// parseGeneric reads Swell's own words, signed the way of Standard Webhooks: {"type": "push", "ref": "refs/heads/main"}, or {"type": "image",
// "image": "acme/shop", "tag": "1.2.3"}. They are strict: whoever writes them should hear of a slip.
func parseGeneric(header http.Header, body []byte) (Event, error) {
	var p struct {
		Type   string `json:"type"`
		Ref    string `json:"ref"`
		Commit string `json:"commit"`
		Image  string `json:"image"`
		Tag    string `json:"tag"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || d.More() {
		return Event{}, unreadable("the delivery is not one object of type, ref, commit, image and tag")
	}
	delivery := header.Get(webhook.HeaderID)
	switch {
	case p.Type == "ping":
		return Event{Delivery: delivery, Kind: Ping}, nil
	case p.Type == "push" && p.Ref != "":
		e := pushOf(delivery, "", p.Ref, p.Commit)
		e.Deleted = false // an empty commit is one that is not told
		return e, nil
	case p.Type == "image" && p.Image != "":
		return Event{Delivery: delivery, Kind: ImagePush, Image: p.Image, Tag: p.Tag}, nil
	}
	return Event{}, unreadable("the delivery's type is neither ping, nor push with a ref, nor image with an image")
}
