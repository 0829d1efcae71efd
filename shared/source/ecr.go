package source

import "net/http"

// parseECR reads the event "ECR Image Action", which EventBridge delivers.
func parseECR(_ http.Header, body []byte) (Event, error) {
	type payload struct {
		ID         string
		DetailType string `json:"detail-type"`
		Detail     struct {
			ActionType     string `json:"action-type"`
			Result         string
			RepositoryName string `json:"repository-name"`
			ImageTag       string `json:"image-tag"`
		}
	}
	p, err := decode[payload](body)
	if err != nil {
		return Event{}, err
	}
	if p.DetailType != "ECR Image Action" || p.Detail.ActionType != "PUSH" || p.Detail.Result != "SUCCESS" {
		return Event{Delivery: p.ID, Kind: Other, What: p.DetailType + " " + p.Detail.ActionType}, nil
	}
	return Event{Delivery: p.ID, Kind: ImagePush, Image: p.Detail.RepositoryName, Tag: p.Detail.ImageTag}, nil
}
