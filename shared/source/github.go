package source

import (
	"net/http"
	"strings"
)

// parseGitHub reads push and pull_request, as docs.github.com/webhooks publishes them.
func parseGitHub(header http.Header, body []byte) (Event, error) {
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
				Repo     repository // null, if the fork is gone
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
	delivery, event := header.Get("X-GitHub-Delivery"), header.Get("X-GitHub-Event")
	switch event {
	case "ping":
		return Event{Delivery: delivery, Kind: Ping, Repository: p.Repository.FullName}, nil
	case "push":
		return pushOf(delivery, p.Repository.FullName, p.Ref, p.After), nil
	case "pull_request":
		e := Event{
			Delivery: delivery, Kind: PullRequest, Repository: p.Repository.FullName, PullRequest: p.Number, Ref: heads + p.PullRequest.Head.Ref,
			Commit: p.PullRequest.Head.SHA, Base: p.PullRequest.Base.Ref, Fork: !strings.EqualFold(p.PullRequest.Head.Repo.FullName, p.PullRequest.Base.Repo.FullName),
		}
		switch p.Action {
		case "opened", "synchronize", "reopened", "ready_for_review":
		case "edited": // its base may be another now
		default:
			e.Kind, e.What = Other, "pull_request."+p.Action
		}
		return e, nil
	}
	return Event{Delivery: delivery, Kind: Other, Repository: p.Repository.FullName, What: event}, nil
}
