package source

import (
	"cmp"
	"net/http"
)

// parseHarbor reads PUSH_ARTIFACT in Harbor's two formats: its own, and CloudEvents. Of several tags the first is told; the registry has them all.
func parseHarbor(header http.Header, body []byte) (Event, error) {
	type data struct {
		Resources  []struct{ Tag string }
		Repository struct {
			RepoFullName string `json:"repo_full_name"`
		}
	}
	type payload struct {
		Type      string
		EventData data `json:"event_data"`

		ID   string // of a CloudEvent
		Data data
	}
	p, err := decode[payload](body)
	if err != nil {
		return Event{}, err
	}
	told := p.EventData
	if p.Data.Repository.RepoFullName != "" {
		told = p.Data
	}
	e := Event{Delivery: cmp.Or(p.ID, header.Get("Ce-Id")), Kind: Other, What: cmp.Or(p.Type, header.Get("Ce-Type"))}
	if e.What == "PUSH_ARTIFACT" || e.What == "harbor.artifact.pushed" {
		e.Kind, e.What, e.Image = ImagePush, "", told.Repository.RepoFullName
		if len(told.Resources) > 0 {
			e.Tag = told.Resources[0].Tag
		}
	}
	return e, nil
}
