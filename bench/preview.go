package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
)

// previews is what it costs to see an upgrade before it is made. The anchor is the helm-diff plugin, where its program is given, in its three-way
// mode: the one that looks at the live objects, as a plan does.
func (b *bench) previews(ctx context.Context) error {
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
		c.ours.ResetRequests()
		took, err := c.preview(ctx, text)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		if b.helmDiff == "" {
			continue
		}
		c.theirs.ResetRequests()
		if took, err = c.helmDiff(ctx, b.helmDiff, text); err != nil {
			return err
		}
		theirs = append(theirs, took)
	}
	if writes := c.ours.Writes(); writes > 0 {
		return fmt.Errorf("the diff wrote %d times", writes)
	}
	beside := b.helmDiff != ""
	requests := b.add("diff-requests", "requests", float64(len(c.ours.Requests())), "Kubernetes requests of the diff of an upgrade of %d objects that all change (%s); anchor: helm-diff --three-way-merge", objects, verbs(c.ours))
	if beside {
		requests.against(float64(len(c.theirs.Requests())))
	}
	took := b.add("diff-seconds", "s", seconds(median(ours)), "that diff at a round trip of %s, rendering included; median of %d", roundTrip, rounds)
	if beside {
		took.against(seconds(median(theirs)))
	} else {
		b.note("helm-diff is not measured: give -helm-diff")
	}
	return nil
}

// preview is our turn: render, read the record, ask the cluster.
func (c *contest) preview(ctx context.Context, text string) (time.Duration, error) {
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	rendered, err := helm.Render(ctx, helm.Request{Archive: c.archive, Values: map[string]any{"text": text}, Release: "web", Namespace: "default", Revision: 2, Show: true})
	if err != nil {
		return 0, err
	}
	client, err := kube.New(c.ours.Credential(), policy)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	metas, err := record.List(ctx, client.Metadata(), "default")
	if err != nil {
		return 0, err
	}
	stored, err := record.Get(ctx, client.Kubernetes().CoreV1(), metas[0].Namespace, metas[0].SecretName)
	if err != nil {
		return 0, err
	}
	found, err := client.Preview(ctx, kube.Preview{Release: "web", Namespace: "default", Before: stored.Manifest, After: rendered.Shown.Manifest})
	if err != nil {
		return 0, err
	}
	changed := 0
	for _, o := range found {
		if o.Action == diff.Update {
			changed++
		}
	}
	if changed != objects {
		return 0, fmt.Errorf("the diff shows %d changed objects, not %d", changed, objects)
	}
	return time.Since(began), nil
}

// helmDiff is the plugin's turn, called as Helm calls it.
func (c *contest) helmDiff(ctx context.Context, program, text string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, program, "upgrade", "web", c.chart, "--three-way-merge", "--set", "text="+text, "--kubeconfig", c.kubeconfig) //nolint:gosec // the caller names it
	cmd.Env = []string{"HOME=" + c.cli.home, "PATH=/usr/bin:/bin", "HELM_BIN=" + c.cli.path, "HELM_NAMESPACE=default", "KUBECONFIG=" + c.kubeconfig}
	began := time.Now()
	if said, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("helm-diff: %w: %s", err, said)
	}
	return time.Since(began), nil
}
