package openapi

import (
	"time"

	"github.com/swell-sh/swell/shared/cluster"
)

// relaySilent is after how long without a word a relay counts as away; shared/watch decides by the same.
const relaySilent = 3 * time.Minute

func relayOf(c cluster.Cluster) *ClusterRelay {
	setup, heard := c.RelaySetup, c.Relay
	if !setup.Wanted && setup.Status == "" && heard.HeardAt.IsZero() {
		return nil
	}
	return &ClusterRelay{
		Wanted: setup.Wanted, Status: ClusterRelayStatus(setup.Status), Error: setup.Error, ChartVersion: setup.ChartVersion,
		Alive: !heard.HeardAt.IsZero() && time.Since(heard.HeardAt) < relaySilent, HeardAt: heard.HeardAt, Version: heard.Version,
		Watching: heard.Watching, KeyRotatedAt: setup.KeyRotatedAt, Rotating: setup.Rotating,
	}
}

func capacityOf(c cluster.Cluster) *ClusterCapacity {
	if c.Capacity == (cluster.Capacity{}) {
		return nil
	}
	return &ClusterCapacity{
		ReadyNodes: c.Capacity.ReadyNodes, MilliCPU: c.Capacity.MilliCPU, MemoryBytes: c.Capacity.MemoryBytes, Pods: c.Capacity.Pods,
		RequestedMilliCPU: c.Capacity.RequestedMilliCPU,
	}
}
