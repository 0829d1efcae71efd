package openapi

import (
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/watch"
)

func relayOf(c cluster.Cluster) *ClusterRelay {
	setup, heard := c.RelaySetup, c.Relay
	if !setup.Wanted && setup.Status == "" && heard.HeardAt.IsZero() {
		return nil
	}
	return &ClusterRelay{
		Wanted: setup.Wanted, Status: ClusterRelayStatus(setup.Status), Error: setup.Error, ChartVersion: setup.ChartVersion,
		Alive: watch.Alive(heard.HeardAt, time.Now()), HeardAt: heard.HeardAt, Version: heard.Version,
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
