// Package kube is a Kubernetes cluster as Swell sees it: the only maker of clients, and of a cluster's readiness.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/klog/v2"

	"github.com/swell-sh/swell/shared/netguard"
)

const fieldManager = "swell"

// Client is one cluster for one invocation: one transport, one discovery, one mapper for all that is done with it.
type Client struct {
	config    *rest.Config
	discovery *discoveryCache
	mapper    *restmapper.DeferredDiscoveryRESTMapper
	typed     *kubernetes.Clientset
	dynamic   dynamic.Interface
	metadata  metadata.Interface
}

// New makes a client. It makes no request.
func New(cred Credential, policy netguard.Policy, opts ...Option) (*Client, error) {
	quiet()
	config, err := NewConfig(cred, policy, opts...)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a cluster's client: %w", err)
	}
	c := &Client{config: config}
	if c.typed, err = kubernetes.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("making a cluster's client: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("making a cluster's client: %w", err)
	}
	if c.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), client); err != nil {
		return nil, fmt.Errorf("making a cluster's client: %w", err)
	}
	live, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("making a cluster's client: %w", err)
	}
	c.discovery = &discoveryCache{CachedDiscoveryInterface: memory.NewMemCacheClient(live)}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(c.discovery)
	return c, nil
}

// quiet sends what client-go logs through slog, so that a function's log stays one JSON object a line.
var quiet = sync.OnceFunc(func() { klog.SetSlogLogger(slog.Default()) })

// Kubernetes is the typed client.
func (c *Client) Kubernetes() kubernetes.Interface { return c.typed }

// Metadata is the client that reads no more than objects' metadata.
func (c *Client) Metadata() metadata.Interface { return c.metadata }

// Dynamic is the client for objects of any type.
func (c *Client) Dynamic() dynamic.Interface { return c.dynamic }

// Refresh forgets the discovery: types were added.
func (c *Client) Refresh() {
	c.discovery.forget()
	c.mapper.Reset()
}

// Discover reads which types the cluster serves, once: who needs one while it does so waits for its answer.
func (c *Client) Discover(ctx context.Context) error {
	_, err := discovery.ToCachedDiscoveryInterfaceWithContext(c.discovery.CachedDiscoveryInterface).ServerGroupsWithContext(ctx)
	return err
}

// Close drops the connections that are idle.
func (c *Client) Close() {
	if closer, ok := c.config.Transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// CloseIdleConnections passes the wish on.
func (b *bounds) CloseIdleConnections() {
	if closer, ok := b.next.(*http.Transport); ok {
		closer.CloseIdleConnections()
	}
}

// discoveryCache asks the server once. It takes no notice of Invalidate, which Helm calls at the start of every verb: what
// changes within one invocation is what Swell itself adds, and then it calls Client.Refresh.
type discoveryCache struct {
	discovery.CachedDiscoveryInterface

	mu      sync.Mutex
	version *version.Info
}

// Invalidate does nothing; see discoveryCache.
func (d *discoveryCache) Invalidate() {}

func (d *discoveryCache) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version = nil
	d.CachedDiscoveryInterface.Invalidate()
}

// ServerVersion asks once as well.
func (d *discoveryCache) ServerVersion() (*version.Info, error) {
	return d.serverVersion(context.Background())
}

func (d *discoveryCache) serverVersion(ctx context.Context) (*version.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.version != nil {
		return d.version, nil
	}
	v, err := discovery.ToCachedDiscoveryInterfaceWithContext(d.CachedDiscoveryInterface).ServerVersionWithContext(ctx)
	if err != nil {
		return nil, err
	}
	d.version = v
	return v, nil
}

// Probe is what a cluster tells about itself.
type Probe struct {
	UID         string   // of the namespace kube-system: the cluster's identity
	Version     string   // such as v1.36.3
	Nodes       int      // ready or not
	APIVersions []string // group/version and group/version/Kind, sorted
}

// Probe asks the cluster who it is: the version alone first, so that a server that does not answer is met once, then the
// rest at once. Every part is needed: a credential that may not read the namespace kube-system or the nodes may not run
// Swell either.
func (c *Client) Probe(ctx context.Context) (Probe, error) {
	v, err := c.discovery.serverVersion(ctx)
	if err != nil {
		return Probe{}, fmt.Errorf("probing the cluster: %w", Classify(err))
	}
	p := Probe{Version: v.GitVersion}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		cached := discovery.ToCachedDiscoveryInterfaceWithContext(c.discovery.CachedDiscoveryInterface)
		groups, resources, err := cached.ServerGroupsAndResourcesWithContext(ctx)
		if err == nil || discovery.IsGroupDiscoveryFailedError(err) { // a broken aggregated API hides no other
			p.APIVersions = versions(groups, resources)
			err = nil
		}
		return err
	})
	group.Go(func() error {
		namespace, err := c.metadata.Resource(namespaces).Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err == nil {
			p.UID = string(namespace.UID)
		}
		return err
	})
	group.Go(func() (err error) {
		p.Nodes, err = c.countNodes(ctx)
		return err
	})
	if err := group.Wait(); err != nil {
		return Probe{}, fmt.Errorf("probing the cluster: %w", Classify(err))
	}
	if p.UID == "" || p.Version == "" {
		return Probe{}, fmt.Errorf("probing the cluster: %w", &UnreachableError{Cause: errNotKubernetes})
	}
	return p, nil
}

// versions are the names that a chart may ask for: apps/v1 and apps/v1/Deployment.
func versions(groups []*metav1.APIGroup, resources []*metav1.APIResourceList) []string {
	var names []string
	for _, g := range groups {
		for _, v := range g.Versions {
			names = append(names, v.GroupVersion)
		}
	}
	for _, list := range resources {
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") {
				names = append(names, list.GroupVersion+"/"+r.Kind)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var (
	errNotKubernetes = errors.New("the server does not answer like a Kubernetes API server")

	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	nodes      = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
)

// countNodes reads one node and how many remain.
func (c *Client) countNodes(ctx context.Context) (int, error) {
	list, err := c.metadata.Resource(nodes).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, err
	}
	n := len(list.Items)
	if list.RemainingItemCount != nil {
		n += int(*list.RemainingItemCount)
	}
	return n, nil
}
