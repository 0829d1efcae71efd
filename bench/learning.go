package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/relaytest"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/webhook"
)

const (
	// rollingFor is how long a workload of the bench takes to run or to fail: so long that a poll has become seldom.
	rollingFor = 40 * time.Second
	// givesUp is when Helm does. Its default is 5 min; nobody waits so long here.
	givesUp = rollingFor + 20*time.Second
)

// rolling is the chart whose workload has a replica, so that somebody waits for it.
func rolling(objects int) ([]byte, error) {
	running := maps.Clone(workload)
	running["templates/deployment.yaml"] = strings.Replace(running["templates/deployment.yaml"], "replicas: 0", "replicas: 1", 1)
	return configMaps("1.0.0", 0, objects, running)
}

// watched is a cluster whose workload's end is learned by looking or from a relay, and beside it Helm's command line that waits for its own release there.
type watched struct {
	*fleet
	cfg        aws.Config
	sender     relaytest.Sender
	cli        helmCLI
	chart      string
	kubeconfig string
}

// learning is how long after a workload runs or fails its run has ended, and what that costs, with a relay and without.
func (b *bench) learning(ctx context.Context) error {
	archive, err := rolling(10)
	if err != nil {
		return err
	}
	f, err := b.newFleet(ctx, 1, archive)
	if err != nil {
		return err
	}
	defer f.close(ctx)
	w, err := f.watched(ctx, archive)
	if err != nil {
		return err
	}
	for _, by := range []run.LearnedBy{run.LearnedByPoll, run.LearnedByRelay} {
		if by == run.LearnedByRelay {
			if err := w.installRelay(ctx); err != nil {
				return err
			}
		}
		for _, state := range []relay.State{relay.Complete, relay.Failed} {
			if err := w.measure(ctx, by, state); err != nil {
				return fmt.Errorf("learning by %s that a workload is %s: %w", by, state, err)
			}
		}
	}
	return nil
}

func (f *fleet) watched(ctx context.Context, archive []byte) (w watched, err error) {
	w = watched{fleet: f, sender: relaytest.Sender{URL: f.api.URL + "/hooks/v1/orgs/default/clusters/" + f.ids[0] + "/reports", Keys: []webhook.Key{relayKey}}}
	if w.cfg, err = config.AWS(ctx); err != nil {
		return w, err
	}
	if w.cli, err = f.helmCLI(ctx); err != nil {
		return w, err
	}
	if w.chart, err = f.keep("learning.tgz", archive); err != nil {
		return w, err
	}
	if w.kubeconfig, err = f.keep("learning.kubeconfig", f.servers[0].Kubeconfig()); err != nil {
		return w, err
	}
	if err := f.grow(ctx, 1); err != nil {
		return w, err
	}
	if _, err := f.deploy(ctx); err != nil {
		return w, err
	}
	_, err = w.cli.run(ctx, w.kubeconfig, "install", "helms-own", w.chart)
	return w, err
}

// installRelay lets the cluster have a key, and be heard.
func (w watched) installRelay(ctx context.Context) error {
	if err := secrets.Open(w.cfg).Put(ctx, relay.KeysName("default", w.ids[0]), relay.FormatKeys(relayKey, webhook.Key{})); err != nil {
		return err
	}
	return w.tell(ctx)
}

func (w watched) tell(ctx context.Context, reports ...relay.Report) error {
	if status, err := w.sender.Send(ctx, relaytest.Delivery(reports...)); err != nil || status != http.StatusAccepted {
		return fmt.Errorf("a delivery is answered %d: %w", status, err)
	}
	return nil
}

// measure upgrades with a workload that comes to that state after rollingFor.
func (w watched) measure(ctx context.Context, by run.LearnedBy, state relay.State) error {
	w.servers[0].SetReady(false)
	defer w.servers[0].SetReady(true)
	began := time.Now()
	helm := make(chan time.Time, 1)
	go func() {
		_, _ = w.cli.run(ctx, w.kubeconfig, "upgrade", "helms-own", w.chart, "--set", fmt.Sprintf("text=%d", w.text), "--wait", "--timeout", givesUp.String())
		helm <- time.Now()
	}()
	type end struct {
		openapi.RunDetails
		error
	}
	ours := make(chan end, 1)
	go func() {
		details, err := w.roll(ctx, nil)
		ours <- end{details, err}
	}()
	select {
	case <-time.After(rollingFor):
	case e := <-ours:
		return fmt.Errorf("the run did not wait for its workload: %s %w", firstFault(e.RunDetails), e.error)
	}
	reports := conclude(w.servers[0], w.name, state)
	ended := time.Now()
	if by == run.LearnedByRelay {
		if err := w.tell(ctx, reports...); err != nil {
			return err
		}
	}
	e, helmEnded := <-ours, <-helm
	if e.error != nil {
		return e.error
	}
	if want := map[relay.State]openapi.RunStatus{relay.Complete: openapi.RunStatusSucceeded, relay.Failed: openapi.RunStatusFailed}[state]; e.Status != want {
		return fmt.Errorf("run %s ended %s: %s", e.ID, e.Status, firstFault(e.RunDetails))
	}
	how := "Helm's --wait, which polls"
	if state == relay.Failed {
		if helmEnded.Sub(began) < givesUp {
			how = "Helm's --wait"
		} else {
			how = fmt.Sprintf("Helm's --wait, which does not see it and ends with its --timeout, here %s, by default 5m", givesUp)
		}
	}
	id := fmt.Sprintf("P11-%s-%s", state, by)
	w.add(id, "s", e.EndedAt.Sub(ended).Seconds(), "from when the workload of an upgrade is %s, %s after it began, to the end of the run (learned by %s; Flux looks each 10 min by default); anchor: %s",
		state, rollingFor, by, how).against(helmEnded.Sub(ended).Seconds())
	h, err := readRun(ctx, w.cfg, e.ID)
	if err != nil {
		return err
	}
	w.add(id+"-transitions", "transitions", float64(h.transitions), "of that run, retries included")
	w.add(id+"-bill", "$", 1000*h.bill(), "of 1,000 such runs: their transitions and functions (%.2f GB·s each), by the list prices of us-east-1", h.gbSeconds)
	return nil
}

// replicaSetOf is the newest ReplicaSet of a Deployment.
func replicaSetOf(deployment map[string]any, ready any) map[string]any {
	meta, spec := deployment["metadata"].(map[string]any), deployment["spec"].(map[string]any)
	template := spec["template"].(map[string]any)
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "ReplicaSet",
		"metadata": map[string]any{
			"name": fmt.Sprintf("%s-%d", meta["name"], meta["generation"]), "namespace": meta["namespace"], "labels": template["metadata"].(map[string]any)["labels"],
			"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"], "controller": true}},
		},
		"spec":   map[string]any{"replicas": spec["replicas"], "selector": spec["selector"], "template": template},
		"status": map[string]any{"replicas": spec["replicas"], "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": int64(1)},
	}
}

// conclude has the controllers of a cluster's Deployments say that they came to that state, and returns what a relay reports of the release's.
func conclude(server *kubetest.Server, release string, state relay.State) (reports []relay.Report) {
	for _, o := range server.Objects("deployments") {
		meta, spec := o["metadata"].(map[string]any), o["spec"].(map[string]any)
		ready, available, progressing, reason := spec["replicas"], "True", "True", "NewReplicaSetAvailable"
		if state == relay.Failed {
			ready, available, progressing, reason = int64(0), "False", "False", "ProgressDeadlineExceeded"
		}
		o["status"] = map[string]any{
			"observedGeneration": meta["generation"], "replicas": spec["replicas"], "updatedReplicas": spec["replicas"], "readyReplicas": ready, "availableReplicas": ready,
			"conditions": []any{
				map[string]any{"type": "Available", "status": available}, map[string]any{"type": "Progressing", "status": progressing, "reason": reason},
			},
		}
		server.Put(o)
		server.Put(replicaSetOf(o, ready)) // Helm looks at that
		if meta["name"] != release {
			continue
		}
		generation, _ := meta["generation"].(int64)
		namespace, uid := fmt.Sprint(meta["namespace"]), fmt.Sprint(meta["uid"])
		reports = append(reports, relay.Report{
			ID: fmt.Sprintf("%s-%d", uid, generation), Namespace: namespace, Release: release, State: state, SeenAt: time.Now(),
			Object: relay.Object{Kind: "Deployment", Namespace: namespace, Name: fmt.Sprint(meta["name"]), UID: uid, Generation: generation},
		})
	}
	return reports
}
