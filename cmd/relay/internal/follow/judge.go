package follow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/health"
	"github.com/swell-sh/swell/shared/relay"
)

const (
	lookTime  = 5 * time.Second // for a pod's log or a claim's events
	logLines  = 20
	readBytes = 64 << 10 // a kubelet's limit cuts the end off: more is read than is told
	logBytes  = 2 << 10
)

// memory is what was told of each object. It is not written to disk: a relay that starts again tells what it sees under the same ids, and whoever
// hears a fact twice knows it by its id. A disk would have to be there, be written before each request, and could be wrong about what arrived.
type memory struct {
	mu   sync.Mutex
	said map[types.UID]said
}

type said struct {
	id         string // of the last fact
	generation int64
	state      relay.State
	touch      string
}

// Progressing is how many workloads are on their way.
func (m *memory) progressing() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.said {
		if s.state == relay.Progressing {
			n++
		}
	}
	return n
}

// news says whether the fact is to be told, and remembers it. An object that ended at its generation has not to say that it moves a little. What was
// not changed for an hour when it is first seen was told by the relay before this one.
func (m *memory) news(r relay.Report, changed time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	uid := types.UID(r.Object.UID)
	before, known := m.said[uid]
	if before.id == r.ID {
		return false
	}
	if before.state.Terminal() && before.generation == r.Object.Generation && r.State == relay.Progressing {
		return false
	}
	m.said[uid] = said{r.ID, r.Object.Generation, r.State, before.touch}
	return known && before.id != "" || r.SeenAt.Sub(changed) < recent
}

// newTouch is news of what somebody else did.
func (m *memory) newTouch(r relay.Report, at time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.said[types.UID(r.Object.UID)]
	if s.touch == r.ID {
		return false
	}
	s.touch = r.ID
	m.said[types.UID(r.Object.UID)] = s
	return r.SeenAt.Sub(at) < recent
}

func (m *memory) forget(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.said, uid)
}

// judge looks at one workload and tells what is new of it.
func (f *Follower) judge(ctx context.Context, o object) {
	stored, found, _ := f.workloads[o.kind].GetStore().GetByKey(o.namespace + "/" + o.name)
	if !found {
		return
	}
	u := stored.(*unstructured.Unstructured)
	r, ok := report(o.kind, u)
	if !ok || u.GetDeletionTimestamp() != nil {
		return
	}
	sets, pods := f.podsOf(u.GetUID())
	if r.State, r.Cause = verdict(u, sets, pods); r.State == "" {
		return
	}
	if o.kind == "PersistentVolumeClaim" && r.State == relay.Progressing {
		f.queue.AddAfter(o, again)
		if r.Cause = f.unbound(ctx, u); r.Cause == nil {
			return // it waits for its first consumer, which is told of itself
		}
	}
	code := ""
	if r.Cause != nil {
		code = r.Cause.Code
	}
	r.ID = fact(r.Object, string(r.State), code)
	if !f.facts.news(r, changedAt(u)) {
		return
	}
	if r.State == relay.Failed && r.Cause != nil && slices.Contains(health.Ended, r.Cause.Code) {
		r.Cause.Logs = f.lastLines(ctx, pods, r.Cause.Pod)
	}
	f.sink(r)
}

// report is what every report of an object says; not ok: it is of no release.
func report(kind string, m metav1.Object) (relay.Report, bool) {
	release, namespace := m.GetAnnotations()[nameAnnotation], m.GetAnnotations()[namespaceAnnotation]
	return relay.Report{
		Namespace: namespace, Release: release, SeenAt: time.Now().UTC(),
		Object: relay.Object{Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName(), UID: string(m.GetUID()), Generation: m.GetGeneration()},
	}, release != "" && namespace != ""
}

// fact is the id of what was seen: whoever sees the same again, another relay or this one after a restart, gives it the same.
func fact(o relay.Object, parts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", o.UID, o.Generation, strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// verdict is what health says of a workload and its pods, in the words of reports.
func verdict(u *unstructured.Unstructured, sets []metav1.PartialObjectMetadata, pods []corev1.Pod) (relay.State, *relay.Cause) {
	result := health.Status(u)
	switch result.Status {
	case status.CurrentStatus:
		return relay.Complete, nil
	case status.InProgressStatus, status.FailedStatus:
	default:
		return "", nil
	}
	cause := health.Judge(u, sets, pods)
	switch {
	case result.Status == status.FailedStatus && (cause == nil || cause.Waiting):
		told := &relay.Cause{Code: health.CodeWorkloadFailed, Message: result.Message}
		if cause != nil {
			told.Message, told.Pod, told.Image = told.Message+"; "+cause.Message, cause.Pod, cause.Image
		}
		return relay.Failed, told
	case cause != nil && !cause.Waiting:
		return relay.Failed, cause
	}
	return relay.Progressing, cause
}

// unbound is why a claim has no volume, in the provisioner's words, which are in its events alone.
func (f *Follower) unbound(ctx context.Context, claim *unstructured.Unstructured) *relay.Cause {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	events, err := f.typed.CoreV1().Events(claim.GetNamespace()).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.uid=" + string(claim.GetUID()), Limit: 20,
	})
	if err != nil {
		return nil
	}
	for i := len(events.Items) - 1; i >= 0; i-- {
		switch e := events.Items[i]; e.Reason {
		case "WaitForFirstConsumer", "WaitForPodScheduled":
			return nil
		case "ProvisioningFailed", "FailedBinding", "VolumeMismatch":
			return &relay.Cause{Code: health.CodeVolumeUnbound, Message: e.Reason + ": " + e.Message, Waiting: true}
		}
	}
	return nil
}

// lastLines is what a container that ended said last: its log, else what it left as its termination message.
func (f *Follower) lastLines(ctx context.Context, pods []corev1.Pod, name string) string {
	i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Name == name })
	if i < 0 || !f.logs {
		return ""
	}
	container, message, previous := ended(pods[i])
	if container == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	lines, limit := int64(logLines), int64(readBytes)
	raw, err := f.typed.CoreV1().Pods(pods[i].Namespace).GetLogs(name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines, LimitBytes: &limit,
	}).DoRaw(ctx)
	if err != nil || len(raw) == 0 {
		raw = []byte(message)
	}
	return excerpt.End(string(raw), logBytes)
}

// ended finds a pod's container that ended badly.
func ended(p corev1.Pod) (container, message string, previous bool) {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		switch now, last := s.State.Terminated, s.LastTerminationState.Terminated; {
		case now != nil && now.ExitCode != 0:
			return s.Name, now.Message, false
		case now == nil && last != nil:
			return s.Name, last.Message, true
		}
	}
	return "", "", false
}

// handleTouches tells what others do to the objects of one kind.
func (f *Follower) handleTouches(informer cache.SharedIndexInformer, kind string) error {
	changed := func(obj any) {
		m, ok := obj.(metav1.Object)
		if !ok {
			return
		}
		manager, at, by := touch(m.GetManagedFields())
		r, ok := report(kind, m)
		if !by || !ok {
			return
		}
		r.State, r.Manager, r.ID = relay.Changed, manager, touchID(m, manager, at)
		if at.IsZero() {
			at = changedAt(m)
		}
		if f.facts.newTouch(r, at) {
			f.sink(r)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, obj any) { changed(obj) },
		DeleteFunc: func(obj any) { f.deleted(kind, newest(obj)) },
	})
	return err
}

// touchID is the fact that somebody changed an object then or, where that is not told, scaled it to so many.
func touchID(m metav1.Object, manager string, at time.Time) string {
	when := at.UTC().Format(time.RFC3339)
	if u, ok := m.(*unstructured.Unstructured); ok && at.IsZero() {
		replicas, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
		when = fmt.Sprint("replicas ", replicas)
	}
	return fact(relay.Object{UID: string(m.GetUID())}, string(relay.Changed), manager, when)
}

// deleted tells that an object of a release is gone. The API does not say who did it: whoever hears of it knows whether it did.
func (f *Follower) deleted(kind string, obj any) {
	m, ok := obj.(metav1.Object)
	if !ok {
		return
	}
	f.facts.forget(m.GetUID())
	if r, ok := report(kind, m); ok {
		r.State, r.ID = relay.Deleted, fact(r.Object, string(relay.Deleted))
		f.sink(r)
	}
}
