package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/webhook"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	HearRelay(ctx context.Context, org, cluster string, d relay.Delivery, at time.Time) error
	FindReleases(ctx context.Context, keys []release.Key) (map[release.Key]release.Release, error)
	FindWatch(ctx context.Context, key release.Key) (watch.Watch, error)
	PutWatch(ctx context.Context, w watch.Watch) (kept bool, err error)
	ListWaits(ctx context.Context, org, cluster string) ([]watch.Wait, error)
	ScheduleLook(ctx context.Context, org, cluster string, now time.Time, every time.Duration) (at time.Time, ours bool, err error)
}

// atOnce is how many releases of a delivery are recorded side by side.
const atOnce = 8

var pathRule = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.]{0,127}$`)

// ReceiveReports takes a relay's delivery. Sent again, it changes nothing more, so that whatever goes wrong here is answered and sent again.
func (h handler) ReceiveReports(w http.ResponseWriter, r *http.Request, org, clusterID string) {
	accepted, err := h.receiveReports(r, org, clusterID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusAccepted, openapi.DeliveryAccepted{Accepted: accepted})
}

func (h handler) receiveReports(r *http.Request, org, clusterID string) (accepted int, err error) {
	raw, err := bodyOf(r, maxBody)
	if err != nil {
		return 0, err
	}
	if !pathRule.MatchString(org) || !pathRule.MatchString(clusterID) {
		return 0, webhook.ErrMismatch // no relay has a key there
	}
	if err := h.keys.verify(r.Context(), org, clusterID, r.Header, raw); err != nil {
		return 0, err
	}
	var d relay.Delivery
	if err := json.Unmarshal(raw, &d); err != nil {
		return 0, problem.Malformed("delivery-invalid", "the body is not a delivery of a relay").Try("use a relay of this installation's version")
	}
	return h.take(r.Context(), org, clusterID, d)
}

func (h handler) take(ctx context.Context, org, clusterID string, d relay.Delivery) (accepted int, err error) {
	var keys []release.Key
	reports := map[release.Key][]relay.Report{}
	for _, r := range d.Reports {
		if !watch.Valid(r) {
			continue
		}
		key := release.Key{Org: org, ClusterID: clusterID, Namespace: r.Namespace, Name: r.Release}
		if reports[key] == nil {
			keys = append(keys, key)
		}
		reports[key] = append(reports[key], r)
	}
	now := h.now() // of all of it: what is told at once is looked at once
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(atOnce)
	tasks.Go(func() error { return h.hear(taskCtx, org, clusterID, d) })
	releases, err := h.findReleases(ctx, keys)
	for key, rel := range releases {
		accepted += len(reports[key])
		tasks.Go(func() error { return h.takeReports(taskCtx, rel, reports[key], now) })
	}
	if waitErr := tasks.Wait(); err == nil {
		err = waitErr
	}
	if err == nil && d.Cluster != nil {
		err = h.keepWaits(ctx, org, clusterID)
	}
	if dropped := len(d.Reports) - accepted; err == nil && dropped > 0 {
		h.log.InfoContext(ctx, "reports are of no release here", "org", org, "cluster", clusterID, "unknown", dropped)
	}
	if d.Dropped > 0 {
		h.log.WarnContext(ctx, "the relay lost reports", "org", org, "cluster", clusterID, "lostByRelay", d.Dropped)
	}
	return accepted, err
}

// findReleases finds those that Swell has on the cluster.
func (h handler) findReleases(ctx context.Context, keys []release.Key) (map[release.Key]release.Release, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	releases, err := h.store.FindReleases(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("finding %d releases: %w", len(keys), err)
	}
	return releases, nil
}

// takeReports records what is new of a release, and then lets go on who waits for it. In this order: a task that begins to wait looks at what is
// recorded, so that one of the two sees the other.
func (h handler) takeReports(ctx context.Context, rel release.Release, reports []relay.Report, now time.Time) error {
	const tries = 8
	for range tries {
		w, err := h.store.FindWatch(ctx, rel.Key)
		if err != nil {
			return err
		}
		news, touched := w.Take(reports, now)
		if touched && rel.ActiveRun == "" {
			if err := h.look(ctx, rel.Key, now); err != nil { // before it is recorded: what is known is acted upon once
				return err
			}
		}
		if news {
			kept, err := h.store.PutWatch(ctx, w)
			if err != nil {
				return fmt.Errorf("recording what is reported of release %s: %w", rel.Name, err)
			}
			if !kept {
				continue
			}
		}
		if slices.ContainsFunc(reports, func(r relay.Report) bool { return r.State.Terminal() || r.State == relay.Deleted }) {
			return h.answers.Reported(ctx, w)
		}
		return nil
	}
	return fmt.Errorf("recording what is reported of release %s: %w", rel.Name, errBusy)
}

// look has the cluster looked at for what others changed there: soon, and not more often than every ten seconds.
func (h handler) look(ctx context.Context, key release.Key, now time.Time) error {
	at, ours, err := h.store.ScheduleLook(ctx, key.Org, key.ClusterID, now, watch.LookAgain)
	if err != nil {
		return fmt.Errorf("scheduling a look at cluster %s: %w", key.ClusterID, err)
	}
	if !ours {
		return nil
	}
	if err := h.checks.SendLater(ctx, workflow.TargetRef{Org: key.Org, Cluster: key.ClusterID}, at.Sub(now)); err != nil {
		return fmt.Errorf("asking for a look at cluster %s: %w", key.ClusterID, err)
	}
	return nil
}

// keepWaits tells the machines of tasks that wait for this relay that it is alive, and lets those go on whose deadline has come.
func (h handler) keepWaits(ctx context.Context, org, clusterID string) error {
	waits, err := h.store.ListWaits(ctx, org, clusterID)
	if err != nil {
		return fmt.Errorf("listing who waits for cluster %s: %w", clusterID, err)
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(atOnce)
	for _, w := range waits {
		tasks.Go(func() error { return h.answers.Heard(ctx, w) })
	}
	return tasks.Wait()
}
