package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
)

func TestLeftBehind(t *testing.T) {
	web := release.Release{Key: release.Key{Namespace: "shop", Name: "web"}, Owner: release.OwnedByDeployment("d")}
	left := openapi.LeftBehindRelease{Namespace: "shop", ReleaseName: "web", Deployment: "d"}
	watcher := openapi.LeftBehindRelease{Namespace: "swell-system", ReleaseName: "swell-relay"}
	for name, c := range map[string]struct {
		setup    cluster.RelaySetup
		releases []release.Release
		want     []openapi.LeftBehindRelease
	}{
		"nothing":                    {want: []openapi.LeftBehindRelease{}},
		"a release":                  {releases: []release.Release{web}, want: []openapi.LeftBehindRelease{left}},
		"its relay too":              {cluster.RelaySetup{Wanted: true, Status: cluster.RelayInstalled}, []release.Release{web}, []openapi.LeftBehindRelease{left, watcher}},
		"what is left of it":         {cluster.RelaySetup{Status: cluster.RelayFailed}, nil, []openapi.LeftBehindRelease{watcher}},
		"a relay that was taken off": {cluster.RelaySetup{ChangedAt: time.Now()}, nil, []openapi.LeftBehindRelease{}},
	} {
		if diff := cmp.Diff(c.want, leftBehind(cluster.Cluster{RelaySetup: c.setup}, c.releases)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
