package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
)

// look is one look at one release.
type look struct {
	handler
	client  *kube.Client
	release release.Release // with what this look saw
	history []record.Meta   // newest first
	at      time.Time
	stored  *record.Record         // the newest record whole, once it was read
	head    *deployment.Deployment // the release's owner, once it was read
	blind   error                  // what the cluster did not show
}

// do records what the cluster has. A release that a run has is left to the run's own states. The cluster is read by reads, which may end before ctx.
func (l *look) do(ctx, reads context.Context) error {
	if l.release.ActiveRun != "" {
		held, err := l.held(ctx, l.release)
		if held || err != nil {
			return err
		}
		l.release.ActiveRun = ""
	}
	return l.settle(ctx, l.see(ctx, reads))
}

func (l *look) see(ctx, reads context.Context) error {
	previous := l.release.Observed
	observed, unseen := l.observe(ctx, reads)
	if unseen != nil && !isBlind(unseen) {
		return unseen
	}
	if _, err := l.store.SetObserved(ctx, l.release.Key, observed, previous); err != nil {
		return err
	}
	l.release.Observed = &observed
	if unseen != nil {
		return unseen
	}
	return l.compare(ctx, reads)
}

// observe tells the newest record by its metadata; only a record that was not seen before is read. If that fails, what the metadata says is known.
func (l *look) observe(ctx, reads context.Context) (release.Observed, error) {
	now, rel := record.Observed(l.history, l.at), l.release
	if was := rel.Observed; was != nil && now.SameRecord(*was) && was.ChartVersion != "" {
		now.ChartName, now.ChartVersion, now.ValuesDigest, now.Differs = was.ChartName, was.ChartVersion, was.ValuesDigest, was.Differs
		now.RolledBackTo = was.RolledBackTo
		if release.InSync(rel.Desired, &now) {
			now.Differs = nil
		}
		return now, nil
	}
	if now.Absent {
		return now, nil
	}
	stored, err := l.record(reads)
	if err != nil {
		return now, err
	}
	now.ChartName, now.ChartVersion = stored.ChartName, stored.ChartVersion
	if release.InSync(rel.Desired, &now) {
		return now, nil
	}
	if now.LabelRevision != now.Revision { // somebody else's words, then
		now.RolledBackTo = stored.RolledBackTo()
	}
	now.Differs, err = l.differs(ctx, stored)
	return now, err
}

// differs names the values in which a record is not as desired, by path; never their contents.
func (l *look) differs(ctx context.Context, stored record.Record) ([]string, error) {
	rel := l.release
	if rel.Desired == nil || rel.Desired.Absent {
		return nil, nil
	}
	entry, err := l.store.FindPlanEntry(ctx, rel.Org, rel.Desired.PlanHash, rel.ClusterID)
	if err != nil {
		return nil, err
	}
	var want map[string]any
	if err := l.objects.GetValues(ctx, rel.Org, entry.ValuesRef, &want); err != nil {
		return nil, err
	}
	return deployment.DifferingPaths(want, stored.Config), nil
}

// compare looks whether the live objects of a release in sync are as its manifest says.
func (l *look) compare(ctx, reads context.Context) error {
	rel := l.release
	if rel.Owner.Kind != "deployment" || rel.Observed.Absent || !release.InSync(rel.Desired, rel.Observed) {
		return nil
	}
	d, err := l.owner(ctx)
	if err != nil {
		return err
	}
	stored, err := l.record(reads)
	if err != nil {
		return err
	}
	findings, err := l.client.Drift(reads, []byte(stored.Manifest), rel.Namespace, drift.Options{Ignore: d.Ignore})
	if err != nil {
		return &blindError{fmt.Errorf("comparing the objects: %w", err)}
	}
	found := drift.Summary(findings)
	found.Revision, found.At = rel.Observed.Revision, l.at
	if len(findings) > 0 {
		known := ""
		if rel.Drift != nil {
			known = rel.Drift.Ref
		}
		if found.Ref, err = l.objects.PutFindings(ctx, rel.Org, findings, known); err != nil {
			return err
		}
	}
	if _, err := l.store.SetDrift(ctx, rel.Key, found, rel.Drift); err != nil {
		return err
	}
	l.release.Drift = &found
	return nil
}

// action is what reconcile does about the release, where it may put it right or not.
func (l *look) action(corrects bool) release.Action {
	rel := l.release
	seen := record.Seen(l.history)
	seen.RolledBackTo, seen.Drifted = rel.Observed.RolledBackTo, rel.DriftedObjects()
	want := release.Want{Owner: rel.Owner, InputHash: rel.Desired.InputHash, Absent: rel.Desired.Absent}
	return release.Decide(seen, want, release.Policy{Reconcile: true, Correct: corrects}, l.now()).Action
}

// record is the newest record, read once.
func (l *look) record(ctx context.Context) (record.Record, error) {
	if l.stored != nil {
		return *l.stored, nil
	}
	stored, err := record.Get(ctx, l.client.Kubernetes().CoreV1(), l.history[0].Namespace, l.history[0].SecretName)
	if err != nil {
		return stored, &blindError{fmt.Errorf("reading Helm's record: %w", kube.Classify(err))}
	}
	l.stored = &stored
	return stored, nil
}

// owner is the release's deployment, read once.
func (l *look) owner(ctx context.Context) (deployment.Deployment, error) {
	if l.head != nil {
		return *l.head, nil
	}
	d, err := l.store.FindDeployment(ctx, l.release.Org, l.release.Owner.ID)
	if err != nil {
		return d, err
	}
	l.head = &d
	return d, nil
}

// health looks whether the workloads of the owner's releases run.
func (v visit) health(ctx context.Context, owner release.Owner) error {
	var errs []error
	for _, l := range v.looks {
		if l.release.Owner == owner && l.release.Observed != nil && !l.release.Observed.Absent && len(l.history) > 0 {
			errs = append(errs, l.health(ctx))
		}
	}
	return errors.Join(errs...)
}

func (l *look) health(ctx context.Context) error {
	rel := l.release
	stored, err := l.record(ctx)
	if err != nil {
		return err
	}
	rules, err := healthcheck.RulesOf(ctx, l.store, rel)
	if err != nil {
		return err
	}
	state, err := l.client.Readiness(ctx, []byte(stored.Manifest), rel.Namespace, rules)
	if err != nil {
		return err
	}
	health, message := release.Progressing, state.Message()
	switch {
	case state.Ready:
		health, message = release.Healthy, ""
	case state.Failed || rel.Observed.Status == "failed":
		health = release.Unhealthy
	}
	if health == rel.Health && message == rel.HealthMessage {
		return nil
	}
	return l.store.SetHealth(ctx, rel.Key, health, message, l.now())
}
