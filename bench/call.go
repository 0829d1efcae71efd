package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

const (
	objects   = 40
	roundTrip = 50 * time.Millisecond
	rounds    = 3
)

// contest is our Helm adapter and Helm's command line, each with its own API server in memory.
type contest struct {
	cli          helmCLI
	archive      []byte
	chart        string // archive as a file
	ours, theirs *kubetest.Server
	kubeconfig   string // of theirs
	fence        int64
}

func (b *bench) contest(ctx context.Context) (*contest, error) {
	cli, err := b.helmCLI(ctx)
	if err != nil {
		return nil, err
	}
	c := &contest{cli: cli, ours: kubetest.New(nil, kubetest.Options{}), theirs: kubetest.New(nil, kubetest.Options{})}
	if c.archive, err = configMaps("1.0.0", 0, objects, nil); err != nil {
		return nil, err
	}
	if c.chart, err = b.keep("bench-1.0.0.tgz", c.archive); err != nil {
		return nil, err
	}
	c.kubeconfig, err = b.keep("contest.kubeconfig", c.theirs.Kubeconfig())
	return c, err
}

func (c *contest) close() {
	c.ours.Close()
	c.theirs.Close()
}

// verb is our turn. Helm's command line warms its discovery cache on disk with the first call; we have none to warm.
func (c *contest) verb(ctx context.Context, action release.Action, text string) (time.Duration, error) {
	c.fence++
	op := helm.Op{
		Credential: c.ours.Credential(), AllowedNetworks: "127.0.0.0/8", ReleaseName: "web", Namespace: "default", Action: action,
		Archive: c.archive, Values: map[string]any{"text": text}, Labels: map[string]string{release.LabelOwner: "deployment-bench"},
		Fence: c.fence, StopMutationsAt: time.Now().Add(5 * time.Minute), HookTimeout: time.Minute,
	}
	c.ours.ResetRequests()
	began := time.Now()
	result, err := helm.Apply(ctx, op)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	if result.Status != "deployed" || result.Requests != len(c.ours.Requests()) {
		return 0, fmt.Errorf("the release is %s; %d requests were sent and %d came", result.Status, result.Requests, len(c.ours.Requests()))
	}
	return took, nil
}

// command is Helm's turn.
func (c *contest) command(ctx context.Context, verb, text string) (time.Duration, error) {
	c.theirs.ResetRequests()
	return c.cli.run(ctx, c.kubeconfig, verb, "web", c.chart, "--set", "text="+text)
}

// calls is P2: what an install and an upgrade ask of the API server.
func (b *bench) calls(ctx context.Context) error {
	c, err := b.contest(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for _, step := range []struct {
		name   string
		action release.Action
		limit  float64
	}{
		{"install", release.Install, 2*objects + 10},
		{"upgrade", release.Upgrade, 3*objects + 8},
		{"upgrade-again", release.Upgrade, 3*objects + 8},
	} {
		if _, err := c.verb(ctx, step.action, step.name); err != nil {
			return err
		}
		verb, _, _ := strings.Cut(step.name, "-")
		if _, err := c.command(ctx, verb, step.name); err != nil {
			return err
		}
		b.add("P2-"+step.name, "requests", float64(len(c.ours.Requests())), "Kubernetes requests of helm %s with %d objects through shared/helm (%s); anchor: %s",
			verb, objects, verbs(c.ours), verbs(c.theirs)).against(float64(len(c.theirs.Requests()))).atMost(step.limit)
		if step.name == "upgrade-again" {
			b.add("P2-discovery", "requests", float64(c.ours.Count("discovery", "")), "of these, discovery: one pass is two requests").
				against(float64(c.theirs.Count("discovery", ""))).atMost(2)
		}
	}
	return nil
}

// verbs counts the requests by verb, in words.
func verbs(server *kubetest.Server) string {
	count := map[string]int{}
	for _, r := range server.Requests() {
		count[r.Verb]++
	}
	words := make([]string, 0, len(count))
	for _, verb := range slices.Sorted(maps.Keys(count)) {
		words = append(words, fmt.Sprintf("%d %s", count[verb], verb))
	}
	return strings.Join(words, ", ")
}

// distance is P3: an upgrade over a long way.
func (b *bench) distance(ctx context.Context) error {
	c, err := b.contest(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.verb(ctx, release.Install, "first"); err != nil {
		return err
	}
	if _, err := c.command(ctx, "install", "first"); err != nil {
		return err
	}
	c.ours.SetDelay(roundTrip)
	c.theirs.SetDelay(roundTrip)
	var ours, theirs []time.Duration
	for i := range rounds {
		text := fmt.Sprintf("round-%d", i)
		took, err := c.verb(ctx, release.Upgrade, text)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		if took, err = c.command(ctx, "upgrade", text); err != nil {
			return err
		}
		theirs = append(theirs, took)
	}
	b.add("P3-upgrade", "s", seconds(median(ours)), "helm upgrade of %d objects at a round trip of %s through shared/helm, its child process included; median of %d",
		objects, roundTrip, rounds).against(seconds(median(theirs))).atMost(6.8)
	return b.wholeFunction(ctx)
}

// wholeFunction is P3 for the function that runs the verb: lease, records before and after, pruning.
func (b *bench) wholeFunction(ctx context.Context) error {
	s, err := b.newScene(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	server := kubetest.New(nil, kubetest.Options{})
	defer server.Close()
	cluster, err := s.addCluster(ctx, "far", server.Credential())
	if err != nil {
		return err
	}
	archive, err := configMaps("1.0.0", 0, objects, nil)
	if err != nil {
		return err
	}
	w, err := b.startDeployRelease(ctx, s)
	if err != nil {
		return err
	}
	defer w.kill()
	var times []time.Duration
	requests := 0
	for i := range rounds + 1 {
		target, err := s.admit(ctx, cluster, "far", archive, map[string]any{"text": fmt.Sprintf("round-%d", i)})
		if err != nil {
			return err
		}
		server.ResetRequests()
		began := time.Now()
		if err := w.invoke(ctx, target, time.Minute); err != nil {
			return err
		}
		if i > 0 {
			times, requests = append(times, time.Since(began)), len(server.Requests())
		}
		server.SetDelay(roundTrip)
	}
	b.add("P3-function", "s", seconds(median(times)), "the same upgrade by the warm function deploy-release, with its lease and records on the local AWS; median of %d", rounds)
	b.add("P2-function", "requests", float64(requests), "Kubernetes requests of that whole function: the upgrade, and the records listed before and after")
	return nil
}
