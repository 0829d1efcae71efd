package source

import (
	"cmp"
	"net/http"

	"github.com/swell-sh/swell/shared/webhook"
)

// parseGitLab reads push, tag_push and merge_request, as docs.gitlab.com publishes them.
func parseGitLab(header http.Header, body []byte) (Event, error) {
	type project struct {
		PathWithNamespace string `json:"path_with_namespace"`
	}
	type payload struct {
		ObjectKind       string `json:"object_kind"`
		Ref              string
		After            string
		Project          project
		ObjectAttributes struct {
			IID             int
			Action          string
			SourceBranch    string `json:"source_branch"`
			TargetBranch    string `json:"target_branch"`
			SourceProjectID int64  `json:"source_project_id"`
			TargetProjectID int64  `json:"target_project_id"`
			OldRev          string
			LastCommit      struct{ ID string } `json:"last_commit"`
		} `json:"object_attributes"`
	}
	p, err := decode[payload](body)
	if err != nil {
		return Event{}, err
	}
	// Before 17.4 only the event has an id.
	delivery := cmp.Or(header.Get(webhook.HeaderID), header.Get("Idempotency-Key"), header.Get("X-Gitlab-Event-UUID"))
	switch p.ObjectKind {
	case "push", "tag_push":
		return pushOf(delivery, p.Project.PathWithNamespace, p.Ref, p.After), nil
	case "merge_request":
		a := p.ObjectAttributes
		e := Event{
			Delivery: delivery, Kind: PullRequest, Repository: p.Project.PathWithNamespace, PullRequest: a.IID, Ref: heads + a.SourceBranch,
			Commit: a.LastCommit.ID, Base: a.TargetBranch, Fork: a.SourceProjectID != a.TargetProjectID,
		}
		switch a.Action {
		case "open", "reopen", "update":
		default:
			e.Kind, e.What = Other, "merge_request."+a.Action
		}
		return e, nil
	}
	return Event{Delivery: delivery, Kind: Other, Repository: p.Project.PathWithNamespace, What: cmp.Or(p.ObjectKind, header.Get("X-Gitlab-Event"))}, nil
}
