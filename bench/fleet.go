package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
)

const fleetPrefix = "bench-"

// fleet is clusters in memory that the local stack holds for real ones: imported, grouped and deployed to through the HTTP API.
type fleet struct {
	*bench
	api struct {
		URL   string `env:"SWELL_URL,required"`
		Token string `env:"SWELL_TOKEN,required"`
	}
	name    string // of its group and its release; its clusters' names begin with it
	servers []*kubetest.Server
	ids     []string // of the clusters
	group   string
	chart   string // as the API names it
	text    int    // rises with every deployment, so that each changes every object
}

func (b *bench) newFleet(ctx context.Context, size int, archive []byte) (*fleet, error) {
	f := &fleet{bench: b, name: fmt.Sprintf("%s%d", fleetPrefix, time.Now().Unix()), ids: make([]string, size)}
	if err := config.Load(ctx, &f.api); err != nil {
		return nil, fmt.Errorf("reaching Swell (make bench does it): %w", err)
	}
	f.forgetOthers(ctx)
	var chart openapi.Chart
	if err := f.send(ctx, http.MethodPost, "/helm/charts", "application/gzip", archive, &chart); err != nil {
		return nil, err
	}
	f.chart = chart.Digest
	for range size {
		f.servers = append(f.servers, kubetest.New(nil, kubetest.Options{}))
	}
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(4)
	for i, server := range f.servers {
		tasks.Go(func() error {
			var imported openapi.Cluster
			err := f.call(taskCtx, http.MethodPost, "/clusters", map[string]any{"name": f.clusterName(i), "kubeconfig": string(server.Kubeconfig()), "relay": map[string]any{"enabled": false}}, &imported)
			f.ids[i] = imported.ID
			return err
		})
	}
	if err := tasks.Wait(); err != nil {
		f.close(ctx)
		return nil, err
	}
	return f, nil
}

func (f *fleet) clusterName(i int) string { return fmt.Sprintf("%s-%02d", f.name, i) }

// setDelays sets the round trip to the first cluster and to the others.
func (f *fleet) setDelays(first, others time.Duration) {
	for i, server := range f.servers {
		server.SetDelay(map[bool]time.Duration{true: first, false: others}[i == 0])
	}
}

// grow makes the first n clusters the group's members.
func (f *fleet) grow(ctx context.Context, n int) error {
	request := map[string]any{"name": f.name, "members": f.ids[:n]}
	if f.group != "" {
		return f.call(ctx, http.MethodPut, "/clustergroups/"+f.group, request, nil)
	}
	var made openapi.ClusterGroup
	err := f.call(ctx, http.MethodPost, "/clustergroups", request, &made)
	f.group = made.ID
	return err
}

// shrink leaves the first n clusters in the group, as well as it can.
func (f *fleet) shrink(ctx context.Context, n int) {
	var changed openapi.ClusterGroupAccepted
	if err := f.call(ctx, http.MethodPut, "/clustergroups/"+f.group, map[string]any{"name": f.name, "members": f.ids[:n]}, &changed); err != nil {
		return
	}
	for _, id := range changed.Runs {
		_, _ = f.await(ctx, id)
	}
}

// deploy brings a new generation to all members, and returns its run when that has ended well.
func (f *fleet) deploy(ctx context.Context) (openapi.RunDetails, error) {
	run, err := f.roll(ctx, nil)
	if err == nil && run.Status != "Succeeded" {
		return run, fmt.Errorf("run %s ended %s: %s %s", run.ID, run.Status, run.Code, firstFault(run))
	}
	return run, err
}

// roll brings a new generation to all members, rolled out so, and returns its run when that has ended.
func (f *fleet) roll(ctx context.Context, rollout map[string]any) (openapi.RunDetails, error) {
	f.text++
	request := map[string]any{"name": f.chart, "values": map[string]any{"text": fmt.Sprint(f.text)}}
	if rollout != nil {
		request["rollout"] = rollout
	}
	method, path := http.MethodPut, "/clustergroups/"+f.group+"/deployments/"+f.name
	if f.text == 1 {
		request["releaseName"] = f.name
		method, path = http.MethodPost, "/clustergroups/"+f.group+"/deployments"
	}
	var accepted openapi.DeploymentAccepted
	if err := f.call(ctx, method, path, request, &accepted); err != nil {
		return openapi.RunDetails{}, err
	}
	return f.await(ctx, accepted.Run)
}

func firstFault(run openapi.RunDetails) string {
	for _, t := range run.Targets {
		if t.Code != "" {
			return t.ClusterName + ": " + t.Code + ": " + t.Cause
		}
	}
	return ""
}

// await asks seldom: the asking costs time of the same two cores.
func (f *fleet) await(ctx context.Context, run string) (openapi.RunDetails, error) {
	for {
		var details openapi.RunDetails
		if err := f.call(ctx, http.MethodGet, "/runs/"+run, nil, &details); err != nil {
			return details, err
		}
		if !details.EndedAt.IsZero() {
			return details, nil
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return details, ctx.Err()
		}
	}
}

// close removes all that was made, as well as it can, while the clusters still answer. Of many only some at a time: each at once is a process of the
// local AWS's.
func (f *fleet) close(ctx context.Context) {
	f.setDelays(0, 0)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute+time.Duration(len(f.ids))*time.Second)
	defer cancel()
	for left := len(f.ids) - waveSize; left > 0 && ctx.Err() == nil; left -= waveSize {
		f.shrink(ctx, left)
	}
	var removal openapi.DeploymentAccepted
	if err := f.call(ctx, http.MethodDelete, "/clustergroups/"+f.group+"/deployments/"+f.name+"?force=true", nil, &removal); err == nil {
		_, _ = f.await(ctx, removal.Run)
	}
	_ = f.call(ctx, http.MethodDelete, "/clustergroups/"+f.group, nil, nil)
	for _, id := range f.ids {
		_ = f.call(ctx, http.MethodDelete, "/clusters/"+id, nil, nil)
	}
	for _, server := range f.servers {
		server.Close()
	}
}

// forgetOthers removes what benches left that were killed. A removal that takes long is left to the next bench.
func (f *fleet) forgetOthers(ctx context.Context) {
	var groups openapi.ClusterGroupList
	_ = f.call(ctx, http.MethodGet, "/clustergroups", nil, &groups)
	for _, g := range groups.Items {
		if strings.HasPrefix(g.Name, fleetPrefix) {
			_ = f.call(ctx, http.MethodDelete, "/clustergroups/"+g.ID+"/deployments/"+g.Name+"?force=true", nil, nil)
			_ = f.call(ctx, http.MethodDelete, "/clustergroups/"+g.ID, nil, nil)
		}
	}
	var clusters openapi.ClusterList
	_ = f.call(ctx, http.MethodGet, "/clusters?limit=500", nil, &clusters)
	for _, c := range clusters.Items {
		if strings.HasPrefix(c.Name, fleetPrefix) {
			_ = f.call(ctx, http.MethodDelete, "/clusters/"+c.ID, nil, nil)
		}
	}
}

func (f *fleet) call(ctx context.Context, method, path string, body, out any) error {
	if body == nil {
		return f.send(ctx, method, path, "", nil, out)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return f.send(ctx, method, path, "application/json", raw, out)
}

func (f *fleet) send(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.api.URL+"/api/v1/orgs/default"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+f.api.Token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, raw)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, out)
}
