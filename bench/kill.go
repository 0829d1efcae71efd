package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/workflow"
)

const (
	killCount   = 100
	killAllowed = 8 * time.Second // of the function, so that its lease ends within the bench's patience
	killCluster = "bench"
)

// Four kinds of kill, in turn: of an install or an upgrade, and repaired by the same run's retry or by a run of a newer generation whose
// chart has other objects, so that what only the dead verb made must go.
type victim struct {
	name    string
	upgrade bool
	newer   bool
	wanted  int // generation
	text    string
	target  workflow.TargetRef
	leased  time.Time // when its lease has ended for certain
	phase   string
	orphans int // processes that outlived the function
	fault   string
	stuck   bool
}

const mapsEach = 6 // ConfigMaps of a chart

// firstMap is the number of a generation's first ConfigMap: the second has two that neither the one before nor the one after has.
var firstMap = [3]int{0, 2, 0}

// slaughter is the scene of the kills.
type slaughter struct {
	*bench
	scene   *scene
	cluster cluster.Cluster
	client  *kube.Client
	charts  [len(firstMap)][]byte // by generation
}

// kills kills deploy-release at random moments, a hundred times, on a real API server and the local AWS, lets every release be repaired as
// the state machine or a newer run would, and counts what stays stuck.
func (b *bench) kills(ctx context.Context) error {
	credential, err := b.realCluster(ctx)
	if err != nil {
		return err
	}
	k := slaughter{bench: b}
	if k.scene, err = b.newScene(ctx); err != nil {
		return err
	}
	defer k.scene.close(ctx)
	if k.cluster, err = k.scene.addCluster(ctx, killCluster, credential); err != nil {
		return err
	}
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		return err
	}
	if k.client, err = kube.New(credential, policy); err != nil {
		return err
	}
	defer k.client.Close()
	for g := range k.charts {
		if k.charts[g], err = configMaps(fmt.Sprintf("%d.0.0", g+1), firstMap[g], mapsEach, workload); err != nil {
			return err
		}
	}
	victims := make([]*victim, killCount)
	for i := range victims {
		victims[i] = &victim{name: fmt.Sprintf("kill-%d-%03d", time.Now().Unix(), i), upgrade: i%2 == 1, newer: i/2%2 == 1}
	}
	defer k.clean(context.WithoutCancel(ctx), victims)
	took, err := k.prepare(ctx, victims)
	if err != nil {
		return err
	}
	if err := k.killAll(ctx, victims, took); err != nil {
		return err
	}
	if err := k.repairAll(ctx, victims); err != nil {
		return err
	}
	k.judge(ctx, victims)
	return nil
}

// workload is in every generation of the chart: a Service, and an appsv1.Deployment without Pods.
var workload = map[string]string{
	"templates/service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}, labels: {app: {{ .Release.Name }}}}\nspec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 80}]}\n",
	"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, labels: {app: {{ .Release.Name }}}}
spec:
  replicas: 0
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}, annotations: {text: {{ .Values.text | quote }}}}
    spec: {containers: [{name: web, image: registry.example/web:1}]}
`,
}

// realCluster starts a local cluster, unless it runs.
func (b *bench) realCluster(ctx context.Context) (kube.Credential, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.root, ".local", "bin", "localstack"), "cluster", killCluster) //nolint:gosec // our own binary
	cmd.Dir = b.root
	out, err := cmd.Output()
	if err != nil {
		return kube.Credential{}, fmt.Errorf("starting the local cluster %s (after make up): %w", killCluster, err)
	}
	raw, err := os.ReadFile(strings.TrimSpace(string(out)))
	if err != nil {
		return kube.Credential{}, err
	}
	return kube.ParseKubeconfig(raw)
}

// prepare installs what is to be upgraded, admits the operation that will be killed, and returns how long an undisturbed one takes.
func (k *slaughter) prepare(ctx context.Context, victims []*victim) (time.Duration, error) {
	var times []time.Duration
	for _, v := range victims {
		if err := k.admit(ctx, v, 0); err != nil {
			return 0, err
		}
		if !v.upgrade {
			continue
		}
		took, err := k.undisturbed(ctx, v)
		if err != nil {
			return 0, fmt.Errorf("installing release %s: %w", v.name, err)
		}
		times = append(times, took)
		if err := k.admit(ctx, v, 1); err != nil {
			return 0, err
		}
	}
	took := median(times)
	k.note("an undisturbed run of deploy-release takes %d ms", took.Milliseconds())
	return took, nil
}

// undisturbed runs the victim's operation in a process of its own, as those are that will be killed, and times it from its event on.
func (k *slaughter) undisturbed(ctx context.Context, v *victim) (time.Duration, error) {
	w, err := k.startDeployRelease(ctx, k.scene)
	if err != nil {
		return 0, err
	}
	defer w.kill()
	if err := w.give(ctx, v.target, time.Minute); err != nil {
		return 0, err
	}
	began := time.Now()
	err = w.await(ctx)
	return time.Since(began), err
}

// admit makes generation the wanted one of the victim.
func (k *slaughter) admit(ctx context.Context, v *victim, generation int) error {
	v.wanted, v.text = generation, fmt.Sprintf("%s-%d", v.name, generation)
	var err error
	v.target, err = k.scene.admit(ctx, k.cluster, v.name, k.charts[generation], map[string]any{"text": v.text})
	return err
}

// killAll kills each one's function once, at moments spread over the time that an undisturbed one takes.
func (k *slaughter) killAll(ctx context.Context, victims []*victim, took time.Duration) error {
	random := rand.New(rand.NewPCG(k.seed, 0)) //nolint:gosec // moments need not be secret
	for i, at := range random.Perm(len(victims)) {
		moment := time.Duration((float64(at) + random.Float64()) / float64(len(victims)) * float64(took))
		if err := k.kill(ctx, victims[i], moment); err != nil {
			return fmt.Errorf("killing release %s's function: %w", victims[i].name, err)
		}
	}
	return nil
}

func (k *slaughter) kill(ctx context.Context, v *victim, moment time.Duration) error {
	w, err := k.startDeployRelease(ctx, k.scene)
	if err != nil {
		return err
	}
	defer w.kill()
	before, err := k.history(ctx, v)
	if err != nil {
		return err
	}
	if err := w.give(ctx, v.target, killAllowed); err != nil {
		return err
	}
	v.leased = release.LeaseEnd(time.Now().Add(killAllowed)).Add(time.Second)
	time.Sleep(moment)
	children := w.children()
	w.kill()
	time.Sleep(50 * time.Millisecond) // what was in flight arrives
	for _, child := range children {
		if alive(child) {
			v.orphans++
		}
	}
	return k.classify(ctx, w, v, len(before))
}

// The phases in which a kill can hit.
const (
	beforeLease  = "before the lease"
	beforeRecord = "leased, nothing written"
	midVerb      = "in mid-verb"
	afterVerb    = "verb done, lease held"
	answered     = "over"
)

func (k *slaughter) classify(ctx context.Context, w *worker, v *victim, before int) error {
	history, err := k.history(ctx, v)
	if err != nil {
		return err
	}
	rel, err := k.scene.store.FindRelease(ctx, k.key(v))
	if err != nil {
		return err
	}
	select {
	case err := <-w.answer:
		v.phase = answered
		return err
	default:
	}
	switch {
	case len(history) > before && history[0].Pending():
		v.phase = midVerb
	case len(history) > before && rel.Lease.Holder != "":
		v.phase = afterVerb
	case len(history) > before:
		v.phase = answered
	case rel.Lease.Holder != "":
		v.phase = beforeRecord
	default:
		v.phase = beforeLease
	}
	return nil
}

func (k *slaughter) key(v *victim) release.Key {
	return release.Key{Org: org, ClusterID: k.cluster.ID, Namespace: deployment.DefaultNamespace, Name: v.name}
}

func (k *slaughter) history(ctx context.Context, v *victim) ([]record.Meta, error) {
	return record.HistoryOf(ctx, k.client.Metadata(), record.KeyOf(k.key(v)))
}

// repairAll runs each one again once the dead one's lease has ended, on two warm processes.
func (k *slaughter) repairAll(ctx context.Context, victims []*victim) error {
	k.note("waiting for the leases of the dead to end")
	tasks, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range 2 {
		tasks.Go(func() error {
			w, err := k.startDeployRelease(ctx, k.scene)
			if err != nil {
				return err
			}
			defer w.kill()
			for i := int(next.Add(1)) - 1; i < len(victims); i = int(next.Add(1)) - 1 {
				if err := k.repair(ctx, w, victims[i]); err != nil {
					return fmt.Errorf("repairing release %s: %w", victims[i].name, err)
				}
			}
			return nil
		})
	}
	return tasks.Wait()
}

func (k *slaughter) repair(ctx context.Context, w *worker, v *victim) error {
	select {
	case <-time.After(time.Until(v.leased)):
	case <-ctx.Done():
		return ctx.Err()
	}
	if v.newer {
		if err := k.admit(ctx, v, v.wanted+1); err != nil {
			return err
		}
	}
	err := w.invoke(ctx, v.target, 30*time.Second)
	if _, ok := errors.AsType[*functionError](err); ok {
		v.stuck, v.fault = true, err.Error()
		return nil
	}
	return err
}

// judge counts, and says what is wrong with whom.
func (k *slaughter) judge(ctx context.Context, victims []*victim) {
	phases, orphans, stuck, wrong := map[string]int{}, 0, 0, map[bool]int{}
	for _, v := range victims {
		phases[v.phase]++
		orphans += v.orphans
		if !v.stuck {
			v.stuck, v.fault = k.isStuck(ctx, v)
		}
		if v.stuck {
			stuck++
			k.note("STUCK %s (upgrade %t, newer %t, killed %s): %s", v.name, v.upgrade, v.newer, v.phase, v.fault)
			continue
		}
		if fault := k.differs(ctx, v); fault != "" {
			wrong[v.newer]++
			k.note("WRONG %s (upgrade %t, newer %t, killed %s): %s", v.name, v.upgrade, v.newer, v.phase, fault)
		}
	}
	spread := make([]string, 0, len(phases))
	for _, phase := range []string{beforeLease, beforeRecord, midVerb, afterVerb, answered} {
		spread = append(spread, fmt.Sprintf("%d %s", phases[phase], phase))
	}
	k.add("kills-stuck", "releases", float64(stuck), "releases stuck after %d kills -9 of deploy-release (half in an install, half in an upgrade) on a real API server, each run once more after its lease: %s (seed %d)",
		len(victims), strings.Join(spread, ", "), k.seed).atMost(0)
	k.add("kills-objects", "releases", float64(wrong[false]), "of %d repaired by the same run, releases whose objects are not exactly those wanted", len(victims)/2).atMost(0)
	k.add("kills-newer", "releases", float64(wrong[true]), "of %d repaired by a newer generation with other objects, releases whose objects are not exactly those wanted (an object that only the killed verb made must be gone)", len(victims)/2).atMost(0)
	k.add("kills-children", "processes", float64(orphans), "Helm children that outlived their killed function").atMost(0)
}

// isStuck says whether the release did not come to what its run wanted, in Helm's eyes or in the store's.
func (k *slaughter) isStuck(ctx context.Context, v *victim) (stuck bool, fault string) {
	history, err := k.history(ctx, v)
	if err != nil || len(history) == 0 {
		return true, fmt.Sprintf("there is no record: %v", err)
	}
	for i, m := range history {
		if m.Pending() || i == 0 && m.Status != "deployed" || i > 0 && m.Status == "deployed" {
			return true, fmt.Sprintf("revision %d of %d is %s", m.Revision, history[0].Revision, m.Status)
		}
	}
	rel, err := k.scene.store.FindRelease(ctx, k.key(v))
	switch {
	case err != nil:
		return true, err.Error()
	case !release.InSync(rel.Desired, rel.Observed):
		return true, "the store does not hold it for in sync"
	case rel.Lease.Holder != "":
		return true, "its lease was not given back"
	}
	return false, ""
}

// differs compares the release's objects on the cluster with the wanted ones.
func (k *slaughter) differs(ctx context.Context, v *victim) string {
	client, of := k.client.Kubernetes(), metav1.ListOptions{LabelSelector: "app=" + v.name}
	maps, err := client.CoreV1().ConfigMaps(deployment.DefaultNamespace).List(ctx, of)
	if err != nil {
		return err.Error()
	}
	want := make([]string, 0, mapsEach)
	first := firstMap[v.wanted]
	for i := first; i < first+mapsEach; i++ {
		want = append(want, fmt.Sprintf("%s-%02d %s", v.name, i, v.text))
	}
	got := make([]string, 0, len(maps.Items))
	for i := range maps.Items {
		got = append(got, describe(&maps.Items[i]))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Sprintf("ConfigMaps %q, want %q", got, want)
	}
	services, err := client.CoreV1().Services(deployment.DefaultNamespace).List(ctx, of)
	if err != nil || len(services.Items) != 1 {
		return fmt.Sprintf("%d services: %v", len(services.Items), err)
	}
	workloads, err := client.AppsV1().Deployments(deployment.DefaultNamespace).List(ctx, of)
	if err != nil || len(workloads.Items) != 1 || workloads.Items[0].Spec.Template.Annotations["text"] != v.text {
		return fmt.Sprintf("the workload is not the wanted one: %v", err)
	}
	return ""
}

func describe(m *corev1.ConfigMap) string { return m.Name + " " + m.Data["text"] }

// clean removes what the releases left on the cluster. The cluster itself stays: it starts in seconds for the next run, and `make down` stops it.
func (k *slaughter) clean(ctx context.Context, victims []*victim) {
	client, names := k.client.Kubernetes(), make([]string, len(victims))
	for i, v := range victims {
		names[i] = v.name
	}
	in := func(label string) metav1.ListOptions {
		return metav1.ListOptions{LabelSelector: label + " in (" + strings.Join(names, ",") + ")"}
	}
	_ = client.CoreV1().Secrets(deployment.DefaultNamespace).DeleteCollection(ctx, metav1.DeleteOptions{}, in("name"))
	_ = client.CoreV1().ConfigMaps(deployment.DefaultNamespace).DeleteCollection(ctx, metav1.DeleteOptions{}, in("app"))
	for _, name := range names { // services have no deletion of many
		_ = client.CoreV1().Services(deployment.DefaultNamespace).Delete(ctx, name, metav1.DeleteOptions{})
	}
	_ = client.AppsV1().Deployments(deployment.DefaultNamespace).DeleteCollection(ctx, metav1.DeleteOptions{}, in("app"))
}
