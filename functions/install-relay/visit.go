package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/webhook"
	"github.com/swell-sh/swell/shared/workflow"
)

const hookTimeout = 10 * time.Second // the chart has no hooks

// visit is work at one cluster's relay, under its lease.
type visit struct {
	handler
	cluster cluster.Cluster
	until   time.Time // the lease's end
}

// install brings the relay to this installation's version, with the key in use or with a new one.
func (v visit) install(ctx context.Context, rotate bool) error {
	setup := v.cluster.RelaySetup
	if !setup.Wanted {
		return nil // it was removed since this was ordered
	}
	ring, minted, err := v.keys(ctx, rotate)
	if err != nil {
		return err
	}
	if minted {
		setup.KeyRotatedAt = v.now().UTC()
	}
	setup.Rotating = !ring.previous.IsZero()
	version, err := v.apply(ctx, ring.current)
	if err != nil {
		return v.failed(ctx, setup, err)
	}
	setup.Status, setup.ChartVersion, setup.Error = cluster.RelayInstalled, version, ""
	if err := v.record(ctx, setup); err != nil || !setup.Rotating {
		return err
	}
	return v.settleLater(ctx, 0)
}

// failed records why, and has it tried again: three times in all, as its queue says.
func (v visit) failed(ctx context.Context, setup cluster.RelaySetup, cause error) error {
	setup.Status, setup.Error = cluster.RelayFailed, short(cause)
	if err := v.record(context.WithoutCancel(ctx), setup); err != nil {
		return errors.Join(cause, err)
	}
	if !final(cause) {
		return cause
	}
	v.log.WarnContext(ctx, "the relay is not as it is wanted", "cluster", v.cluster.ID, "error", cause.Error())
	return nil
}

// final says that the same would be answered again: the credential may not do this, or the API server refuses an object. Whatever else goes wrong may pass.
func final(cause error) bool {
	if _, denied := errors.AsType[*kube.UnauthorizedError](cause); denied {
		return true
	}
	failed, ok := errors.AsType[*helm.Error](cause)
	return ok && slices.Contains([]string{helm.CodeForbidden, helm.CodeUnauthorized, helm.CodeInvalidObject}, failed.Code)
}

func (v visit) record(ctx context.Context, setup cluster.RelaySetup) error {
	setup.ChangedAt = v.now().UTC()
	if err := v.store.SetRelaySetup(ctx, v.cluster.Org, v.cluster.ID, setup); err != nil {
		return fmt.Errorf("recording what became of the relay of cluster %s: %w", v.cluster.Name, err)
	}
	return nil
}

// short is a cause of at most 500 bytes on one line.
func short(err error) string {
	return excerpt.Of(strings.Join(strings.Fields(err.Error()), " "), 500)
}

// apply runs the verb that installs or upgrades the release.
func (v visit) apply(ctx context.Context, key webhook.Key) (version string, err error) {
	archive, err := v.chart()
	if err != nil {
		return "", fmt.Errorf("packing the relay's chart: %w", err)
	}
	meta, err := chart.Check(archive)
	if err != nil {
		return "", err
	}
	action, err := v.next(ctx)
	if err != nil {
		return "", err
	}
	op, err := v.op(ctx, action)
	if err != nil {
		return "", err
	}
	op.Archive, op.Values = archive, v.values(key)
	_, err = helm.Apply(ctx, op)
	return meta.Version, err
}

func (v visit) op(ctx context.Context, action release.Action) (helm.Op, error) {
	cred, err := v.clusters.Credential(ctx, v.cluster)
	return helm.Op{
		Credential: cred, AllowedNetworks: v.clusters.Policy.String(), ReleaseName: relay.ReleaseName, Namespace: relay.Namespace, Action: action,
		StopMutationsAt: release.StopMutationsAt(v.until), HookTimeout: hookTimeout, Description: "Swell: the relay of this cluster",
	}, err
}

// values are the chart's. The key goes to the cluster and nowhere else.
func (v visit) values(key webhook.Key) map[string]any {
	values := map[string]any{
		"reportsURL": strings.TrimSuffix(v.endpoint, "/") + "/hooks/v1/orgs/" + v.cluster.Org + "/clusters/" + v.cluster.ID + "/reports",
		"key":        key.Text(),
		"tellLogs":   v.logs,
	}
	if repository, digest, ok := strings.Cut(v.image, "@"); ok {
		values["image"] = map[string]any{"repository": repository, "digest": digest}
	} else if i := strings.LastIndex(v.image, ":"); i > strings.LastIndex(v.image, "/") {
		values["image"] = map[string]any{"repository": v.image[:i], "tag": v.image[i+1:]}
	} else if v.image != "" {
		values["image"] = map[string]any{"repository": v.image}
	}
	return values
}

// next sees to the namespace and decides by Helm's newest record. One that is pending was left by a verb that is dead: the lease is ours.
func (v visit) next(ctx context.Context) (release.Action, error) {
	client, err := v.clusters.Open(ctx, v.cluster)
	if err != nil {
		return "", err
	}
	defer client.Close()
	if _, err := client.EnsureNamespace(ctx, relay.Namespace); err != nil {
		return "", err
	}
	history, err := v.history(ctx, client)
	switch {
	case err != nil:
		return "", err
	case len(history) == 0, history[0].Status == record.StatusUninstalled:
		return release.Install, nil
	case !history[0].Pending():
		return release.Upgrade, nil
	}
	if err := record.MarkFailed(ctx, client.Kubernetes().CoreV1(), history[0], "Swell found it pending, left by an operation that is gone"); err != nil {
		return "", fmt.Errorf("recovering the relay of cluster %s: %w", v.cluster.Name, kube.Classify(err))
	}
	return release.Recover, nil
}

func (v visit) history(ctx context.Context, client *kube.Client) ([]record.Meta, error) {
	history, err := record.HistoryOf(ctx, client.Metadata(), record.Key{Namespace: relay.Namespace, Name: relay.ReleaseName})
	if err != nil {
		return nil, fmt.Errorf("listing Helm's records on cluster %s: %w", v.cluster.Name, kube.Classify(err))
	}
	return history, nil
}

// remove uninstalls the release, and then forgets the keys: until it is gone, what it reports is still taken.
func (v visit) remove(ctx context.Context) error {
	setup := v.cluster.RelaySetup
	if setup.Wanted {
		return nil // it was installed again since this was ordered
	}
	if err := v.uninstall(ctx); err != nil {
		return v.failed(ctx, setup, err)
	}
	if err := v.dropKeys(ctx, v.cluster.Org, v.cluster.ID); err != nil {
		return err
	}
	return v.record(ctx, cluster.RelaySetup{})
}

func (v visit) uninstall(ctx context.Context) error {
	client, err := v.clusters.Open(ctx, v.cluster)
	if err != nil {
		return err
	}
	defer client.Close()
	history, err := v.history(ctx, client)
	if err != nil || len(history) == 0 {
		return err
	}
	op, err := v.op(ctx, release.Uninstall)
	if err != nil {
		return err
	}
	_, err = helm.Apply(ctx, op)
	return err
}

// settle ends a rotation: once the relay was heard with the new key, the old one is not accepted any more.
func (v visit) settle(ctx context.Context, order workflow.RelayOrder) error {
	setup := v.cluster.RelaySetup
	if !setup.Wanted || !setup.Rotating {
		return nil
	}
	ring, _, err := v.keys(ctx, false)
	if err != nil {
		return err
	}
	if v.cluster.Relay.Key == ring.current.Name() {
		if err := v.secrets.Put(ctx, relay.KeysName(v.cluster.Org, v.cluster.ID), relay.FormatKeys(ring.current, webhook.Key{})); err != nil {
			return err
		}
		setup.Rotating, setup.Error = false, ""
		return v.record(ctx, setup)
	}
	if order.Attempt+1 < settleTries {
		return v.settleLater(ctx, order.Attempt+1)
	}
	setup.Error = "the relay was not heard with its new key: the one before is still accepted"
	return v.record(ctx, setup)
}

func (v visit) settleLater(ctx context.Context, attempt int) error {
	order := workflow.RelayOrder{Org: v.cluster.Org, Cluster: v.cluster.ID, Do: workflow.RelaySettle, Attempt: attempt}
	if attempt == 0 {
		return v.orders.SendLater(ctx, order, settleFirst)
	}
	return v.orders.SendLater(ctx, order, settleAgain)
}
