package source

import "net/http"

// parseDockerHub reads the one event of Docker Hub: a tag was pushed. It has no id; the time of the push makes the body one of its own.
func parseDockerHub(_ http.Header, body []byte) (Event, error) {
	type payload struct {
		PushData struct {
			Tag string
		} `json:"push_data"`
		Repository struct {
			RepoName string `json:"repo_name"`
		}
	}
	p, err := decode[payload](body)
	if err != nil {
		return Event{}, err
	}
	if p.Repository.RepoName == "" {
		return Event{Kind: Other, What: "without a repository"}, nil
	}
	return Event{Kind: ImagePush, Image: p.Repository.RepoName, Tag: p.PushData.Tag}, nil
}
