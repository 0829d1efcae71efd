package dynamo

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/run"
)

// NameEvents adds to events the names of what they have the ids of. What is gone by now stays without. Two reads at most: a deployment, or a
// run, leads to its group.
func (s *Store) NameEvents(ctx context.Context, events []event.Event) error {
	asked := map[key]bool{}
	for {
		var keys []key
		for _, e := range events {
			e.Unnamed(func(what, id string) {
				k := keyOfNamed(e.Org, what, id)
				if !asked[k] {
					keys = append(keys, k)
				}
				asked[k] = true
			})
		}
		if len(keys) == 0 {
			return nil
		}
		names, err := s.findNames(ctx, keys)
		if err != nil {
			return err
		}
		for i := range events {
			events[i].Name(names)
		}
	}
}

func keyOfNamed(org, what, id string) key {
	switch what {
	case "run":
		return runKey(org, id)
	case "deployment":
		return deploymentKey(org, id)
	case "group":
		return groupKey(org, id)
	default:
		return clusterKey(org, id)
	}
}

func (s *Store) findNames(ctx context.Context, keys []key) (event.Names, error) {
	n := event.Names{Runs: map[string]run.Run{}, Deployments: map[string]deployment.Deployment{}, Groups: map[string]string{}, Clusters: map[string]string{}}
	err := s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
		id := text(av, "ID")
		switch kind, _, _ := strings.Cut(text(av, "SK"), "#"); kind {
		case "RUN":
			var item runItem
			err := unmarshal(av, &item)
			n.Runs[id] = fromRunItem(item)
			return err
		case "DEPLOYMENT":
			var item deploymentItem
			err := unmarshal(av, &item)
			n.Deployments[id] = fromDeploymentItem(item)
			return err
		case "GROUP":
			n.Groups[id] = text(av, "Name")
		case "CLUSTER":
			n.Clusters[id] = text(av, "Name")
		}
		return nil
	})
	return n, err
}
