package cli_test

import (
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

func (in *installation) relay(w http.ResponseWriter, r *http.Request, id string, change func(*openapi.Cluster) error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	c := in.find(id)
	if c == nil {
		missing(w, r, "cluster", id)
		return
	}
	if err := change(c); err != nil {
		p, _ := problem.From(err)
		openapi.WriteProblem(w, r, p)
		return
	}
	openapi.Write(w, http.StatusAccepted, *c)
}

func (in *installation) InstallRelay(w http.ResponseWriter, r *http.Request, _, id string, _ openapi.InstallRelayParams) {
	in.relay(w, r, id, func(c *openapi.Cluster) error {
		c.Relay = &openapi.ClusterRelay{Wanted: true, Status: openapi.ClusterRelayStatusINSTALLING, Version: "1.0.0", Watching: 12, HeardAt: time.Now(), Alive: true}
		c.Capacity = &openapi.ClusterCapacity{ReadyNodes: 2, MilliCPU: 64000, RequestedMilliCPU: 1500, MemoryBytes: 512 << 30, Pods: 2000}
		return nil
	})
}

func (in *installation) RotateRelayKey(w http.ResponseWriter, r *http.Request, _, id string, _ openapi.RotateRelayKeyParams) {
	in.relay(w, r, id, func(c *openapi.Cluster) error {
		if c.Relay == nil {
			return problem.Conflict("relay-not-wanted", "cluster %s has no relay of Swell's", c.Name)
		}
		c.Relay.KeyRotatedAt, c.Relay.Rotating = time.Now(), true
		return nil
	})
}

func (in *installation) RemoveRelay(w http.ResponseWriter, r *http.Request, _, id string, _ openapi.RemoveRelayParams) {
	in.relay(w, r, id, func(c *openapi.Cluster) error {
		c.Relay.Wanted, c.Relay.Status, c.Relay.Error = false, openapi.ClusterRelayStatusREMOVING, "the cluster does not answer"
		return nil
	})
}
