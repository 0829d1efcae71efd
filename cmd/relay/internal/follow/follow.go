// Package follow watches the workloads of Helm releases in the relay's own cluster and says what becomes of them.
package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/swell-sh/swell/shared/relay"
)

// What Helm writes on objects.
const (
	managedByHelm       = "app.kubernetes.io/managed-by=Helm"
	nameAnnotation      = "meta.helm.sh/release-name"
	namespaceAnnotation = "meta.helm.sh/release-namespace"
	byOwner             = "owner"
)

const (
	settle = 250 * time.Millisecond // many changes of a workload's pods are one look at it
	recent = time.Hour              // after a start, what ended longer ago is not told again
	again  = 15 * time.Second       // a claim's events are no change of the claim
)

// Of the touched kinds, only what others do to them is told.
var (
	touched = map[string]schema.GroupVersionResource{
		"ConfigMap":               {Version: "v1", Resource: "configmaps"},
		"Service":                 {Version: "v1", Resource: "services"},
		"ServiceAccount":          {Version: "v1", Resource: "serviceaccounts"},
		"CronJob":                 {Group: "batch", Version: "v1", Resource: "cronjobs"},
		"Ingress":                 {Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
		"NetworkPolicy":           {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
		"HorizontalPodAutoscaler": {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
		"PodDisruptionBudget":     {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
	}
	sets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
)

// Clients are those of the relay's own cluster.
type Clients interface {
	Kubernetes() kubernetes.Interface
	Dynamic() dynamic.Interface
	Metadata() metadata.Interface
}

// Follower tells what it sees to a sink, each fact once.
type Follower struct {
	typed  kubernetes.Interface
	sink   func(relay.Report)
	log    *slog.Logger
	logs   bool // whether a crashed container's last lines are told
	queue  workqueue.TypedDelayingInterface[object]
	start  []func(stop <-chan struct{})
	synced []cache.InformerSynced // without which nothing can be judged

	workloads map[string]cache.SharedIndexInformer // by kind
	others    []cache.SharedIndexInformer
	sets      cache.SharedIndexInformer
	pods      cache.SharedIndexInformer
	nodes     cache.SharedIndexInformer

	facts memory
}

// object names a workload that is to be judged.
type object struct{ kind, namespace, name string }

// New makes a Follower. It makes no request before Start.
func New(c Clients, sink func(relay.Report), tellLogs bool, log *slog.Logger) (*Follower, error) {
	f := &Follower{
		typed: c.Kubernetes(), sink: sink, log: log, logs: tellLogs, workloads: map[string]cache.SharedIndexInformer{},
		queue: workqueue.NewTypedDelayingQueue[object](), facts: memory{said: map[types.UID]said{}},
	}
	ofHelm := func(o *metav1.ListOptions) { o.LabelSelector = managedByHelm }
	typed := informers.NewSharedInformerFactory(f.typed, 0)
	all := metadatainformer.NewSharedInformerFactory(c.Metadata(), 0)
	marked := metadatainformer.NewFilteredSharedInformerFactory(c.Metadata(), 0, metav1.NamespaceAll, ofHelm)
	whole := dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.Dynamic(), 0, metav1.NamespaceAll, ofHelm)
	f.start = []func(<-chan struct{}){typed.Start, all.Start, marked.Start, whole.Start}
	f.pods, f.nodes, f.sets = typed.Core().V1().Pods().Informer(), typed.Core().V1().Nodes().Informer(), all.ForResource(sets).Informer()
	errs := []error{
		f.pods.SetTransform(stripPod), f.nodes.SetTransform(stripNode), f.sets.SetTransform(stripSet),
		f.pods.AddIndexers(cache.Indexers{byOwner: ownerOf}), f.sets.AddIndexers(cache.Indexers{byOwner: ownerOf}),
		f.handle(f.pods, f.podChanged), f.handle(f.sets, f.setChanged),
	}
	for _, k := range relay.Followed {
		informer := whole.ForResource(schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}).Informer()
		f.workloads[k.Kind] = informer
		errs = append(errs, informer.SetTransform(stripWorkload), f.handleTouches(informer, k.Kind),
			f.handle(informer, func(m metav1.Object) { f.look(k.Kind, m) }))
		f.synced = append(f.synced, informer.HasSynced)
	}
	for kind, resource := range touched {
		informer := marked.ForResource(resource).Informer()
		f.others = append(f.others, informer)
		errs = append(errs, informer.SetTransform(stripMetadata), f.handleTouches(informer, kind))
	}
	f.synced = append(f.synced, f.pods.HasSynced, f.sets.HasSynced, f.nodes.HasSynced)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("preparing to follow workloads: %w", err)
	}
	return f, nil
}

// Start lists what there is and begins to watch. It returns when the lists are whole: half of the pods would give half a cause.
func (f *Follower) Start(ctx context.Context) error {
	for _, start := range f.start {
		start(ctx.Done())
	}
	if !cache.WaitForCacheSync(ctx.Done(), f.synced...) {
		return ctx.Err()
	}
	return nil
}

// Run judges what changes until ctx is done.
func (f *Follower) Run(ctx context.Context) error {
	context.AfterFunc(ctx, f.queue.ShutDown)
	for {
		next, over := f.queue.Get()
		if over {
			return ctx.Err()
		}
		f.judge(ctx, next)
		f.queue.Done(next)
	}
}

func ownerOf(obj any) ([]string, error) {
	m, ok := obj.(metav1.Object)
	if !ok {
		return nil, nil
	}
	if o := metav1.GetControllerOfNoCopy(m); o != nil {
		return []string{string(o.UID)}, nil
	}
	return nil, nil
}

// handle calls back for whatever happens to an object.
func (f *Follower) handle(informer cache.SharedIndexInformer, changed func(metav1.Object)) error {
	tell := func(obj any) {
		if m, ok := newest(obj).(metav1.Object); ok {
			changed(m)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: tell, UpdateFunc: func(_, obj any) { tell(obj) }, DeleteFunc: tell})
	return err
}

// newest is an object, or what was last known of one whose deletion was missed.
func newest(obj any) any {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		return gone.Obj
	}
	return obj
}

// look asks for a look at a workload. What asks for the same one meanwhile is answered by it too.
func (f *Follower) look(kind string, m metav1.Object) {
	f.queue.AddAfter(object{kind, m.GetNamespace(), m.GetName()}, settle)
}

func (f *Follower) podChanged(m metav1.Object) {
	o := metav1.GetControllerOfNoCopy(m)
	if o == nil {
		return
	}
	if o.Kind == "ReplicaSet" {
		if set, ok, _ := f.sets.GetStore().GetByKey(m.GetNamespace() + "/" + o.Name); ok {
			f.setChanged(set.(metav1.Object))
		}
		return
	}
	f.ownerChanged(m.GetNamespace(), o)
}

func (f *Follower) setChanged(m metav1.Object) {
	if o := metav1.GetControllerOfNoCopy(m); o != nil {
		f.ownerChanged(m.GetNamespace(), o)
	}
}

func (f *Follower) ownerChanged(namespace string, o *metav1.OwnerReference) {
	informer, ok := f.workloads[o.Kind]
	if !ok {
		return
	}
	if _, followed, _ := informer.GetStore().GetByKey(namespace + "/" + o.Name); followed {
		f.queue.AddAfter(object{o.Kind, namespace, o.Name}, settle)
	}
}

// podsOf are a workload's ReplicaSets and pods.
func (f *Follower) podsOf(uid types.UID) (owned []metav1.PartialObjectMetadata, pods []corev1.Pod) {
	owners := []string{string(uid)}
	found, _ := f.sets.GetIndexer().ByIndex(byOwner, string(uid))
	for _, obj := range found {
		set := obj.(*metav1.PartialObjectMetadata)
		owned = append(owned, *set)
		owners = append(owners, string(set.UID))
	}
	for _, owner := range owners {
		found, _ := f.pods.GetIndexer().ByIndex(byOwner, owner)
		for _, obj := range found {
			pods = append(pods, *obj.(*corev1.Pod))
		}
	}
	return owned, pods
}
