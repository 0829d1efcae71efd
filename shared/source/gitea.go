package source

import (
	"net/http"
	"strings"
)

// parseGitea reads push and pull_request of Gitea and Forgejo, as docs.gitea.com publishes them. Their create events of tags come with a push.
func parseGitea(header http.Header, body []byte) (Event, error) {
	type repository struct {
		FullName string `json:"full_name"`
	}
	type payload struct {
		Ref         string
		After       string
		Action      string
		Number      int
		Repository  repository
		PullRequest struct {
			Head struct {
				Ref, SHA string
				Repo     repository
			}
			Base struct {
				Ref  string
				Repo repository
			}
		} `json:"pull_request"`
	}
	p, err := decode[payload](body)
	if err != nil {
		return Event{}, err
	}
	delivery, event := header.Get("X-Gitea-Delivery"), header.Get("X-Gitea-Event")
	switch event {
	case "push":
		return pushOf(delivery, p.Repository.FullName, p.Ref, p.After), nil
	case "pull_request", "pull_request_sync":
		e := Event{
			Delivery: delivery, Kind: PullRequest, Repository: p.Repository.FullName, PullRequest: p.Number, Ref: heads + p.PullRequest.Head.Ref,
			Commit: p.PullRequest.Head.SHA, Base: p.PullRequest.Base.Ref, Fork: !strings.EqualFold(p.PullRequest.Head.Repo.FullName, p.PullRequest.Base.Repo.FullName),
		}
		switch p.Action {
		case "opened", "reopened", "edited", "synchronized":
		default:
			e.Kind, e.What = Other, event+"."+p.Action
		}
		return e, nil
	}
	return Event{Delivery: delivery, Kind: Other, Repository: p.Repository.FullName, What: event}, nil
}
