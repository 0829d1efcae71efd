package kube

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Getter is the client in the shape that Helm wants (a RESTClientGetter), for one namespace.
type Getter struct {
	client    *Client
	namespace string
}

// Getter is for Helm. All getters of a client share its transport, discovery and mapper.
func (c *Client) Getter(namespace string) Getter { return Getter{client: c, namespace: namespace} }

// ToRESTConfig returns a copy, since kubectl's code writes into it.
func (g Getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.client.config), nil }

// ToDiscoveryClient returns the client's one discovery.
func (g Getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.client.discovery, nil
}

// ToRESTMapper returns the client's one mapper.
func (g Getter) ToRESTMapper() (meta.RESTMapper, error) { return g.client.mapper, nil }

// ToRawKubeConfigLoader returns a loader that loads nothing.
func (g Getter) ToRawKubeConfigLoader() clientcmd.ClientConfig { return loader{g} }

// loader knows the namespace: Helm's kube client takes it from here, not from the action.
type loader struct{ getter Getter }

// RawConfig has the namespace and nothing that could be used to connect.
func (l loader) RawConfig() (clientcmdapi.Config, error) {
	return clientcmdapi.Config{
		Contexts:       map[string]*clientcmdapi.Context{"swell": {Namespace: l.getter.namespace}},
		CurrentContext: "swell",
	}, nil
}

// ClientConfig is the getter's.
func (l loader) ClientConfig() (*rest.Config, error) { return l.getter.ToRESTConfig() }

// Namespace is the getter's, and is not enforced on objects that name another.
func (l loader) Namespace() (string, bool, error) { return l.getter.namespace, false, nil }

// ConfigAccess names no file.
func (l loader) ConfigAccess() clientcmd.ConfigAccess { return &clientcmd.ClientConfigLoadingRules{} }
