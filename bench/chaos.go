package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
)

const (
	chaosKills    = 500
	chaosClusters = 8
	chaosReleases = 4
	chaosPause    = 150 * time.Millisecond // between two kills
)

// chaos is P13: runs of every kind go on while functions of every kind are killed at random, as the service or the kernel would; then all is left
// in peace, and what is still not as it should be after one more sync is counted.
func (b *bench) chaos(ctx context.Context) error {
	archive, err := configMaps("1.0.0", 0, 6, workload)
	if err != nil {
		return err
	}
	f, err := b.newFleet(ctx, chaosClusters, archive)
	if err != nil {
		return err
	}
	defer f.close(ctx)
	if err := f.grow(ctx, chaosClusters); err != nil {
		return err
	}
	c := chaos{fleet: f, killed: map[string]int{}, ended: map[openapi.RunStatus]int{}, random: rand.New(rand.NewPCG(b.seed, 1))} //nolint:gosec // moments need not be secret
	for i := range chaosReleases {
		c.releases = append(c.releases, fmt.Sprintf("%s-%d", f.name, i))
	}
	defer c.removeAll(context.WithoutCancel(ctx))
	if err := c.createAll(ctx); err != nil {
		return err
	}
	storm, stop := context.WithCancel(ctx)
	tasks, stormCtx := errgroup.WithContext(storm)
	for _, release := range c.releases {
		tasks.Go(func() error { return c.disturb(stormCtx, release) })
	}
	err = c.killMany(ctx)
	stop()
	if err := errors.Join(err, ignoreCanceled(tasks.Wait())); err != nil {
		return err
	}
	return c.judge(ctx)
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type chaos struct {
	*fleet
	releases []string
	random   *rand.Rand
	killed   map[string]int // by function
	ended    map[openapi.RunStatus]int
	runs     int
}

func (c *chaos) deployments() string { return "/clustergroups/" + c.group + "/deployments" }

func (c *chaos) createAll(ctx context.Context) error {
	for _, release := range c.releases {
		var accepted openapi.DeploymentAccepted
		if err := c.call(ctx, http.MethodPost, c.deployments(), map[string]any{"releaseName": release, "name": c.chart}, &accepted); err != nil {
			return err
		}
		if _, err := c.await(ctx, accepted.Run); err != nil {
			return err
		}
	}
	return nil
}

// disturb starts one run after the other on a release. What the API refuses, since a killed function did not answer or a run is under way, is asked
// again with the next.
func (c *chaos) disturb(ctx context.Context, release string) error {
	at := c.deployments() + "/" + release
	for i := 0; ctx.Err() == nil; i++ {
		var accepted openapi.DeploymentAccepted
		switch i % 5 {
		case 0, 2:
			_ = c.call(ctx, http.MethodPut, at, map[string]any{"name": c.chart, "values": map[string]any{"text": strconv.Itoa(i)}}, &accepted)
		case 1:
			_ = c.call(ctx, http.MethodPost, at+"/check", nil, &accepted)
		case 3:
			_ = c.call(ctx, http.MethodPost, at+"/rollback", map[string]any{"generation": 1}, &accepted)
		case 4:
			_ = c.call(ctx, http.MethodPut, at, map[string]any{"name": c.chart, "dryRun": true, "values": map[string]any{"text": "plan"}}, &accepted)
		}
		select {
		case <-time.After(3 * time.Second): // the next overtakes this one where it is slow
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// killMany kills processes of functions, each kind as likely as any other.
func (c *chaos) killMany(ctx context.Context) error {
	for sum := 0; sum < chaosKills; {
		byName := functionProcesses()
		if names := slices.Sorted(maps.Keys(byName)); len(names) > 0 {
			name := names[c.random.IntN(len(names))]
			pids := byName[name]
			if syscall.Kill(pids[c.random.IntN(len(pids))], syscall.SIGKILL) == nil {
				c.killed[name]++
				sum++
			}
		}
		select {
		case <-time.After(chaosPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

var functionName = regexp.MustCompile(`AWS_LAMBDA_FUNCTION_NAME=[^\x00]*?-(\w+)Function-`)

// functionProcesses are the numbers of the processes that the local AWS runs, by function.
func functionProcesses() map[string][]int {
	found := map[string][]int{}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		raw, err := os.ReadFile(path) //nolint:gosec // of /proc
		if err != nil {
			continue
		}
		if m := functionName.FindSubmatch(raw); m != nil {
			if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil {
				found[string(m[1])] = append(found[string(m[1])], pid)
			}
		}
	}
	return found
}

// judge waits until every run has ended, syncs each release once, and counts what is not as desired.
func (c *chaos) judge(ctx context.Context) error {
	c.note("waiting for the runs to end; leases of the killed end within 200 s")
	open, err := c.awaitAll(ctx)
	if err != nil {
		return err
	}
	for _, release := range c.releases {
		var accepted openapi.DeploymentAccepted
		if err := c.call(ctx, http.MethodPut, c.deployments()+"/"+release+"/sync", nil, &accepted); err != nil {
			return err
		}
		if _, err := c.await(ctx, accepted.Run); err != nil {
			return err
		}
	}
	stale, pending := 0, 0
	for _, release := range c.releases {
		var d openapi.Deployment
		if err := c.call(ctx, http.MethodGet, c.deployments()+"/"+release, nil, &d); err != nil {
			return err
		}
		for i := range d.TargetClusters {
			if t := &d.TargetClusters[i]; t.Status != "DEPLOYED" || t.Health != "HEALTHY" {
				stale++
				c.note("STUCK %s on %s: %s %s %s", release, t.ClusterName, t.Status, t.Health, t.Error.Cause)
			}
		}
	}
	for _, server := range c.servers {
		pending += pendingRecords(server)
	}
	functions := make([]string, 0, len(c.killed))
	for _, name := range slices.Sorted(maps.Keys(c.killed)) {
		functions = append(functions, fmt.Sprintf("%d %s", c.killed[name], name))
	}
	ended := make([]string, 0, len(c.ended))
	for _, status := range slices.Sorted(maps.Keys(c.ended)) {
		ended = append(ended, fmt.Sprintf("%d %s", c.ended[status], status))
	}
	c.add("P13-stuck", "releases", float64(stale), "of %d releases on %d clusters, those not as desired after %d kills -9 of functions at random during %d runs (ended: %s) and one sync (killed: %s; seed %d)",
		chaosReleases*chaosClusters, chaosClusters, chaosKills, c.runs, strings.Join(ended, ", "), strings.Join(functions, ", "), c.seed).atMost(0)
	c.add("P13-pending", "records", float64(pending), "Helm's records that are pending then").atMost(0)
	c.add("P13-open", "runs", float64(open), "runs that did not end by themselves").atMost(0)
	return nil
}

// awaitAll waits for the runs of the releases, and returns how many never ended.
func (c *chaos) awaitAll(ctx context.Context) (open int, err error) {
	for deadline := time.Now().Add(20 * time.Minute); ; {
		open, c.runs = 0, 0
		clear(c.ended)
		for cursor := ""; ; {
			var page openapi.RunList
			if err := c.call(ctx, http.MethodGet, "/runs?limit=500&cursor="+cursor, nil, &page); err != nil {
				return 0, err
			}
			for i := range page.Items {
				r := &page.Items[i]
				switch {
				case !slices.Contains(c.releases, r.Deployment.ReleaseName):
				case r.EndedAt.IsZero():
					open++
				default:
					c.runs++
					c.ended[r.Status]++
				}
			}
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
		if open == 0 || time.Now().After(deadline) {
			return open, nil
		}
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
			return open, ctx.Err()
		}
	}
}

func pendingRecords(server *kubetest.Server) int {
	n := 0
	for _, secret := range server.Objects("secrets") {
		metadata, _ := secret["metadata"].(map[string]any)
		labels, _ := metadata["labels"].(map[string]any)
		if status, _ := labels["status"].(string); labels["owner"] == "helm" && strings.HasPrefix(status, "pending-") {
			n++
		}
	}
	return n
}

func (c *chaos) removeAll(ctx context.Context) {
	for _, release := range c.releases {
		var removal openapi.DeploymentAccepted
		if err := c.call(ctx, http.MethodDelete, c.deployments()+"/"+release+"?force=true", nil, &removal); err == nil {
			_, _ = c.await(ctx, removal.Run)
		}
	}
}
