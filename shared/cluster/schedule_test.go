package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestNextCheck(t *testing.T) {
	lost := func(ago time.Duration) cluster.Cluster {
		return cluster.Cluster{ID: "c", Status: cluster.Unknown, StatusSince: noon.Add(-ago)}
	}
	running := cluster.Cluster{ID: "c", Status: cluster.Running, StatusSince: noon.Add(-240 * time.Hour)}
	cases := map[string]struct {
		cluster  cluster.Cluster
		every    time.Duration
		answered bool
		want     time.Duration
	}{
		"as its groups ask":           {running, time.Minute, true, time.Minute},
		"the default":                 {running, 0, true, cluster.CheckEvery},
		"the first that failed":       {running, time.Minute, false, time.Minute},
		"the second":                  {lost(time.Minute), time.Minute, false, time.Minute},
		"the third":                   {lost(2 * time.Minute), time.Minute, false, 2 * time.Minute},
		"the fourth":                  {lost(4 * time.Minute), time.Minute, false, 4 * time.Minute},
		"an hour at most":             {lost(240 * time.Hour), time.Minute, false, time.Hour},
		"a longer interval stays":     {lost(240 * time.Hour), 6 * time.Hour, false, 6 * time.Hour},
		"it answers again":            {lost(240 * time.Hour), time.Minute, true, time.Minute},
		"a person's look, unanswered": {running, 0, false, cluster.CheckEvery},
		"the clock was turned back":   {lost(-time.Hour), time.Minute, false, time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := c.cluster.NextCheck(c.every, c.answered, noon).Sub(noon)
			if least, most := c.want*9/10, c.want*11/10; got < least || got > most {
				t.Errorf("in %s, want %s ± 10 %%", got, c.want)
			}
		})
	}
	planned := noon.Add(42 * time.Second)
	if got := (cluster.Cluster{ID: "c", NextCheckAt: planned}).NextCheck(0, true, noon); !got.Equal(planned) {
		t.Errorf("a person's look moved the schedule to %s", got)
	}
	found := lost(240 * time.Hour)
	found.NextCheckAt = noon.Add(time.Hour)
	if got := found.NextCheck(0, true, noon).Sub(noon); got > cluster.CheckEvery*11/10 {
		t.Errorf("a person's look that found the cluster again leaves it alone for %s", got)
	}
}

// Clusters that were lost together do not come back together.
func TestNextCheckIsSpread(t *testing.T) {
	seconds := map[time.Duration]int{}
	for i := range 1000 {
		c := cluster.Cluster{ID: fmt.Sprintf("c-%04d", i)}
		seconds[c.NextCheck(5*time.Minute, true, noon).Sub(noon).Truncate(time.Second)]++
	}
	for second, n := range seconds {
		if n > 50 {
			t.Errorf("%d of 1000 clusters are due after %s", n, second)
		}
	}
}
