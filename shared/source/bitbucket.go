package source

import (
	"net/http"
	"strings"
)

// parseBitbucket reads repo:push and pullrequest:*, as Bitbucket Cloud publishes them. A push can hold several changes: the branches and tags that
// moved together.
func parseBitbucket(header http.Header, body []byte) (Event, error) {
	type repository struct {
		FullName string `json:"full_name"`
	}
	type end struct {
		Branch     struct{ Name string }
		Commit     struct{ Hash string }
		Repository repository
	}
	type ref struct {
		Type, Name string
		Target     struct{ Hash string }
	}
	type payload struct {
		Repository repository
		Push       struct {
			Changes []struct{ New, Old *ref }
		}
		PullRequest struct {
			ID                  int
			Source, Destination end
		} `json:"pullrequest"`
	}
	p, err := decode[payload](body)
	if err != nil {
		return Event{}, err
	}
	delivery, event := header.Get("X-Request-UUID"), header.Get("X-Event-Key")
	switch event {
	case "diagnostics:ping":
		return Event{Delivery: delivery, Kind: Ping, Repository: p.Repository.FullName}, nil
	case "repo:push":
		e := Event{Delivery: delivery, Kind: Other, Repository: p.Repository.FullName, What: "repo:push without a change"}
		for _, change := range p.Push.Changes {
			switch {
			case change.New == nil && change.Old != nil && e.Kind == Other:
				e = pushOf(delivery, p.Repository.FullName, refOf(change.Old.Type, change.Old.Name), "")
			case change.New == nil:
			case e.Kind == Other || e.Deleted:
				e = pushOf(delivery, p.Repository.FullName, refOf(change.New.Type, change.New.Name), change.New.Target.Hash)
			case len(e.Also) < maxAlso:
				e.Also = append(e.Also, printable(refOf(change.New.Type, change.New.Name)))
			}
		}
		return e, nil
	case "pullrequest:created", "pullrequest:updated":
		from, to := p.PullRequest.Source, p.PullRequest.Destination
		return Event{
			Delivery: delivery, Kind: PullRequest, Repository: p.Repository.FullName, PullRequest: p.PullRequest.ID, Ref: heads + from.Branch.Name,
			Commit: from.Commit.Hash, Base: to.Branch.Name, Fork: !strings.EqualFold(from.Repository.FullName, to.Repository.FullName),
		}, nil
	}
	return Event{Delivery: delivery, Kind: Other, Repository: p.Repository.FullName, What: event}, nil
}

func refOf(kind, name string) string {
	if kind == "tag" || kind == "annotated_tag" {
		return tags + name
	}
	return heads + name
}
