package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

const (
	estateNamespace = "default"
	estateClusters  = 100
	estateReleases  = 10 // on each
	estateObjects   = 10 // of each
	checkers        = 10 // functions at once; on AWS it is one a cluster
	checkMemory     = 0.5
)

// estate is many clusters in memory with the same releases, all in sync, in a scene.
type estate struct {
	*bench
	scene    *scene
	servers  []*kubetest.Server // none where the cluster is a real one
	clusters []cluster.Cluster
	first    kube.Credential // of the cluster that Helm installs on
	// How long the last checks took, and the taking of what relays told, all together.
	due, receiving time.Duration
}

// checks are P4, P10 and P12: what it costs to look where nothing changed.
func (b *bench) checks(ctx context.Context) error {
	if err := b.checkDue(ctx); err != nil {
		return err
	}
	return b.checkMany(ctx)
}

// checkDue is P4: one due release of 40 objects, 50 ms away.
func (b *bench) checkDue(ctx context.Context) error {
	e, err := b.newEstate(ctx, 1, 1, objects)
	if err != nil {
		return err
	}
	defer e.close(ctx)
	if _, err := e.check(ctx, e.scene.environment(), 1); err != nil { // the first look records
		return err
	}
	server := e.servers[0]
	server.SetDelay(roundTrip)
	server.ResetRequests()
	w, err := b.startCheckCluster(ctx, e.scene.environment())
	if err != nil {
		return err
	}
	defer w.kill()
	var times []time.Duration
	for range rounds {
		server.ResetRequests()
		began := time.Now()
		if err := w.invoke(ctx, received(lookAt(e.clusters[0])), time.Minute); err != nil {
			return err
		}
		times = append(times, time.Since(began))
	}
	b.add("P4-calls", "requests", float64(len(server.Requests())), "Kubernetes requests of the check of one due release of %d objects where nothing changed (%s)", objects, verbs(server)).
		atMost(objects + 3 + 1)
	b.add("P4-writes", "requests", float64(server.Writes()), "of these, writes").atMost(0)
	b.add("P4-seconds", "s", seconds(median(times)), "the same by the warm function check-cluster at a round trip of %s, its reads and writes on the local AWS included; median of %d", roundTrip, rounds).
		atMost(0.35)
	return nil
}

// checkMany is P10 and P12.
func (b *bench) checkMany(ctx context.Context) error {
	e, err := b.newEstate(ctx, estateClusters, estateReleases, estateObjects)
	if err != nil {
		return err
	}
	defer e.close(ctx)
	if _, err := e.check(ctx, e.scene.environment(), checkers); err != nil {
		return err
	}
	m, err := newMeter(ctx, *e.scene.cfg.BaseEndpoint)
	if err != nil {
		return err
	}
	defer m.close()
	for _, s := range e.servers {
		s.SetDelay(roundTrip)
		s.ResetRequests()
	}
	took, err := e.check(ctx, append(e.scene.environment(), "AWS_ENDPOINT_URL="+m.url), checkers)
	if err != nil {
		return err
	}
	requests, writes := 0, 0
	for _, s := range e.servers {
		requests += len(s.Requests())
		writes += s.Writes()
	}
	gbSeconds := checkMemory * e.due.Seconds()
	const releases = estateClusters * estateReleases
	b.add("P12-seconds", "s", seconds(took), "%d releases of %d objects on %d clusters checked, all due at once, nothing changed, round trip %s, %d functions on 2 cores; anchor: Flux 2.9's published time for as many on one cluster, first reconciliation included",
		releases, estateObjects, estateClusters, roundTrip, checkers).against(279).atMost(60)
	b.add("P12-requests", "requests", float64(requests), "Kubernetes requests of that; %d objects were read", releases*estateObjects)
	b.add("P12-writes", "requests", float64(writes), "of these, writes").atMost(0)
	units := make([]string, 0, len(m.calls))
	for _, op := range slices.Sorted(maps.Keys(m.calls)) {
		units = append(units, fmt.Sprintf("%d %s", m.calls[op], op))
	}
	b.add("P10-units", "units", m.rru+m.wru, "DynamoDB request units of that: %.0f read, %.0f written (AWS calls: %s; %d KB)", m.rru, m.wru, strings.Join(units, ", "), m.bytes>>10)
	b.add("P10-gb-seconds", "GB·s", gbSeconds, "Lambda time of that at 512 MB, as measured here, waiting for the clusters included")
	bill := m.bill() + gbSeconds*priceGBSecond + estateClusters*(priceInvocation+priceSQS)
	b.add("P10-check", "$", bill*1000/releases, "price of 1,000 checks where nothing changed, by the list prices of us-east-1; no state transition").atMost(0.03)
	return e.checkTold(ctx)
}

// newEstate installs the releases on one cluster with Helm, and copies what that made to the others.
func (b *bench) newEstate(ctx context.Context, clusters, releases, objects int) (*estate, error) {
	s, err := b.newScene(ctx)
	if err != nil {
		return nil, err
	}
	e := &estate{bench: b, scene: s}
	if err := e.fill(ctx, clusters, releases, objects); err != nil {
		e.close(ctx)
		return nil, err
	}
	return e, nil
}

func (e *estate) fill(ctx context.Context, clusters, releases, objects int) error {
	for i := range clusters {
		server := kubetest.New(nil, kubetest.Options{})
		e.servers = append(e.servers, server)
		c, err := e.scene.addCluster(ctx, fmt.Sprintf("estate-%03d", i), server.Credential())
		if err != nil {
			return err
		}
		e.clusters = append(e.clusters, c)
	}
	e.first = e.servers[0].Credential()
	if err := e.installAll(ctx, releases, objects); err != nil {
		return err
	}
	for _, object := range e.servers[0].Objects("secrets", "configmaps") {
		for _, server := range e.servers[1:] {
			server.Put(object)
		}
	}
	return nil
}

func releaseName(n int) string { return fmt.Sprintf("app-%02d", n) }

func (e *estate) installAll(ctx context.Context, releases, objects int) error {
	archive, err := configMaps("1.0.0", 0, objects, nil)
	if err != nil {
		return err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(2)
	for i := range releases {
		tasks.Go(func() error { return e.install(ctx, releaseName(i), archive) })
	}
	return tasks.Wait()
}

func (e *estate) install(ctx context.Context, name string, archive []byte) error {
	d := deployment.Deployment{Org: org, ID: id.New(), GroupID: e.clusters[0].ID, ReleaseName: name, Namespace: estateNamespace, Mode: deployment.Detect}
	if _, _, err := e.scene.store.AdmitDeployment(ctx, dynamo.Admission{
		Deployment: d, Run: run.New(id.New(), run.Deploy, org, "api", "bench", time.Now().UTC()),
		Generation: deployment.Generation{Org: org, DeploymentID: d.ID, Number: 1, TimeoutSeconds: 60, CreatedAt: time.Now().UTC()},
	}); err != nil {
		return err
	}
	owner := release.OwnedByDeployment(d.ID)
	input := release.Input{ChartDigest: "sha256:bench", ValuesDigest: "none", Name: name, Namespace: estateNamespace}.Hash()
	if _, err := helm.Apply(ctx, helm.Op{
		Credential: e.first, AllowedNetworks: "127.0.0.0/8", ReleaseName: name, Namespace: estateNamespace,
		Action: release.Install, Archive: archive, Values: map[string]any{}, Fence: 1, StopMutationsAt: time.Now().Add(5 * time.Minute), HookTimeout: time.Minute,
		Labels: map[string]string{release.LabelOwner: release.OwnerLabel(owner), release.LabelInput: input, release.LabelRun: "bench"},
	}); err != nil {
		return err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(8)
	for _, c := range e.clusters {
		tasks.Go(func() error {
			key := release.Key{Org: org, ClusterID: c.ID, Namespace: estateNamespace, Name: name}
			if err := e.scene.store.ClaimRelease(ctx, key, owner); err != nil {
				return err
			}
			return e.scene.store.SetDesired(ctx, key, owner, release.Desired{Seq: 1, Generation: 1, RunID: "bench", PlanHash: "none", InputHash: input,
				ChartName: "bench", ChartVersion: "1.0.0", SetAt: time.Now().UTC()})
		})
	}
	return tasks.Wait()
}

func (b *bench) startCheckCluster(ctx context.Context, environment []string) (*worker, error) {
	path, err := b.bootstrap("check-cluster")
	if err != nil {
		return nil, err
	}
	return startWorker(ctx, path, environment)
}

// lookAt asks for a look at the cluster, as a message's body.
func lookAt(c cluster.Cluster) string {
	body, _ := json.Marshal(workflow.TargetRef{Org: org, Cluster: c.ID}) // of texts and numbers alone
	return string(body)
}

func received(body string) events.SQSEvent {
	return events.SQSEvent{Records: []events.SQSMessage{{MessageId: body, Body: body}}}
}

// check checks every cluster once, by functions side by side, and returns how long all of it took.
func (e *estate) check(ctx context.Context, environment []string, functions int) (time.Duration, error) {
	asked := make(chan string, len(e.clusters))
	for _, c := range e.clusters {
		asked <- lookAt(c)
	}
	close(asked)
	began := time.Now()
	err := e.look(ctx, environment, functions, asked)
	return time.Since(began), err
}

// look makes the looks that are asked for.
func (e *estate) look(ctx context.Context, environment []string, functions int, asked <-chan string) error {
	path, err := e.bootstrap("check-cluster")
	if err != nil {
		return err
	}
	e.due = 0
	var mu sync.Mutex
	return serve(ctx, path, environment, functions, asked, func(w *worker, body string) error {
		start := time.Now()
		if err := w.invoke(ctx, received(body), time.Minute); err != nil {
			return fmt.Errorf("checking cluster %s: %w", body, err)
		}
		mu.Lock()
		e.due += time.Since(start)
		mu.Unlock()
		return nil
	})
}

func (e *estate) close(ctx context.Context) {
	for _, s := range e.servers {
		s.Close()
	}
	e.scene.close(ctx)
}

// uninstallAll takes the releases off a real cluster again.
func (e *estate) uninstallAll(ctx context.Context, client *kube.Client) {
	core := client.Kubernetes().CoreV1()
	_ = core.Secrets(estateNamespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "owner=helm," + release.LabelRun + "=bench"})
	_ = core.ConfigMaps(estateNamespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app"})
}
