package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
)

// look asks the cluster. A release that the verb would refuse, or a cluster that does not answer, is an error with its code.
func (h handler) look(ctx context.Context, p plan) ([]diff.Object, error) {
	ctx, cancel := task.Reserve(ctx, reserve)
	defer cancel()
	client, err := h.clusters.Open(ctx, p.cluster)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	key := record.KeyOf(p.entry.Key)
	history, err := record.HistoryOf(ctx, client.Metadata(), key)
	if err != nil {
		return nil, kube.Classify(err)
	}
	want := release.Want{Owner: p.owner, InputHash: p.entry.InputHash, Absent: p.entry.Absent}
	decision := release.Decide(record.Seen(history), want, release.Policy{}, time.Now())
	switch {
	case decision.Action == release.Refuse:
		return nil, taskerr.Failed(decision.Code, "%s", decision.Reason)
	case decision.Action == release.None && p.entry.Action == release.Repair: // what drifted is known to the plan alone
		decision.Action = release.Repair
	case decision.Action == release.None:
		return kube.Untouched(p.rendering.Manifest)
	}
	past, err := read(ctx, client, history, decision.Action)
	if err != nil {
		return nil, kube.Classify(err)
	}
	literals := p.secret.Literals(append(past.values, p.values)...)
	if decision.Action == release.Repair {
		found, err := repaired(ctx, client, key.Namespace, past.manifest, p.ignore)
		return mask.Objects(found, literals), err
	}
	found, err := client.Preview(ctx, kube.Preview{
		Release: key.Name, Namespace: key.Namespace, Before: past.manifest, Failed: past.failed,
		After: p.rendering.Manifest, CRDs: p.rendering.CRDs, Uninstall: p.entry.Absent,
	})
	if err != nil {
		return nil, err
	}
	return mask.Objects(append(found, hooks(p.rendering.Hooks, decision.Action)...), literals), nil
}

// repaired is what a repair does: it puts back what somebody changed in the live objects, and renders nothing.
func repaired(ctx context.Context, client *kube.Client, namespace, manifest string, ignore []deployment.Ignore) ([]diff.Object, error) {
	objects, err := kube.Untouched(manifest)
	if err != nil {
		return nil, err
	}
	findings, err := client.Drift(ctx, []byte(manifest), namespace, drift.Options{Ignore: ignore})
	if err != nil {
		return nil, kube.Classify(err)
	}
	for _, f := range findings {
		i := slices.IndexFunc(objects, func(o diff.Object) bool {
			return o.Kind == f.Kind && o.Name == f.Name && (o.Namespace == f.Namespace || o.Namespace == "" || f.Namespace == "")
		})
		if i < 0 {
			continue // of an object whose kind the cluster no longer serves
		}
		o := &objects[i]
		if f.Op == drift.Missing {
			o.Action = diff.Create
			continue
		}
		path, err := diff.Parse(f.Path)
		if err != nil {
			return nil, fmt.Errorf("reading a finding of %s %s: %w", f.Kind, f.Name, err)
		}
		o.Action = diff.Update
		o.Changes = append(o.Changes, diff.Change{Path: diff.Path(path), Op: undoing[f.Op], Before: f.Live, After: f.Want})
	}
	return objects, nil
}

// undoing is what a repair does about a difference.
var undoing = map[drift.Op]diff.Op{drift.Changed: diff.Changed, drift.Added: diff.Removed, drift.Removed: diff.Added}

// past is what the release's records say of its objects.
type past struct {
	manifest string   // that the verb starts from
	failed   []string // manifests of the revisions that failed since
	values   []map[string]any
}

// read finds what Helm starts from: for an upgrade the last revision that was deployed, or the newest if none was; for the end of a
// release the newest. A revision that is pending is taken for failed, as its recovery makes it.
func read(ctx context.Context, client *kube.Client, history []record.Meta, action release.Action) (past, error) {
	var p past
	if len(history) == 0 || action == release.Install {
		return p, nil
	}
	base := 0
	if action != release.Uninstall {
		base = max(0, slices.IndexFunc(history, func(m record.Meta) bool { return m.Status == record.StatusDeployed }))
	}
	for i, m := range history[:base+1] {
		rec, err := record.Get(ctx, client.Kubernetes().CoreV1(), m.Namespace, m.SecretName)
		if err != nil {
			return p, fmt.Errorf("reading revision %d: %w", m.Revision, err)
		}
		p.values = append(p.values, rec.Config)
		if i == base {
			p.manifest = rec.Manifest
		} else {
			p.failed = append(p.failed, rec.Manifest)
		}
	}
	return p, nil
}

// hooks are named, not compared: Helm makes them anew around the verb.
func hooks(all []release.Hook, action release.Action) []diff.Object {
	verb := map[release.Action]string{release.Install: "-install", release.Upgrade: "-upgrade", release.Recover: "-upgrade"}[action]
	if verb == "" {
		return nil
	}
	var named []diff.Object
	for _, hook := range all {
		events := slices.DeleteFunc(slices.Clone(hook.Events), func(event string) bool { return !strings.HasSuffix(event, verb) })
		if len(events) > 0 {
			named = append(named, diff.Object{Kind: hook.Kind, Namespace: hook.Namespace, Name: hook.Name, Action: diff.Hook, Note: strings.Join(events, ", ")})
		}
	}
	return named
}
