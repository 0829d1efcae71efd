package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
)

// A hundred clusters are away for a day, as one network is lost, and come back together. The tick sends who is due once a minute.
func TestAwayForADay(t *testing.T) {
	const (
		clusters = 100
		away     = 24 * time.Hour
		hour     = time.Hour
	)
	var all [clusters]cluster.Cluster
	for i := range all { // they are in step at first: nothing but the jitter keeps them apart
		all[i] = cluster.Cluster{ID: fmt.Sprintf("c-%04d", i), Status: cluster.Running, StatusSince: noon, NextCheckAt: noon}
	}
	looks, whileAway, busiest, lastBack := map[time.Duration]int{}, 0, 0, time.Duration(0)
	for at := time.Duration(0); at < away+2*hour; at += time.Minute {
		now := noon.Add(at)
		answered := at >= away
		for i := range all {
			c := &all[i]
			if c.NextCheckAt.After(now) {
				continue
			}
			looks[at]++
			if !answered {
				whileAway++
			}
			c.NextCheckAt = c.NextCheck(cluster.CheckEvery, answered, now) // by what was known before the look
			if status := map[bool]cluster.Status{true: cluster.Running, false: cluster.Unknown}[answered]; c.Status != status {
				c.Status, c.StatusSince = status, now
				if answered {
					lastBack = at - away
				}
			}
		}
		if at > hour { // they have drifted apart by then
			busiest = max(busiest, looks[at])
		}
	}
	steady := 0
	for at := away + hour; at < away+2*hour; at += time.Minute {
		steady += looks[at]
	}
	t.Logf("%d clusters away for %s: %d looks, %d in a minute at most, all found back after %s; then %d looks an hour", clusters, away, whileAway, busiest, lastBack, steady)
	if least, most := clusters*24, clusters*32; whileAway < least || whileAway > most {
		t.Errorf("%d looks at clusters that are away, want between %d and %d", whileAway, least, most)
	}
	if busiest > clusters*2/5 {
		t.Errorf("%d of %d clusters were looked at in one minute", busiest, clusters)
	}
	if most := hour * 11 / 10; lastBack > most+time.Minute {
		t.Errorf("the last cluster was found back after %s, want %s at most", lastBack, most)
	}
	if want := clusters * 12; steady < want*8/10 || steady > want*11/10 {
		t.Errorf("%d looks an hour once they are back, want about %d", steady, want)
	}
}
