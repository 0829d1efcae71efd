package kube

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// InCluster are the clients of a program that runs in a pod, with the rights of the pod's service account.
type InCluster struct {
	typed    kubernetes.Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
}

// Kubernetes is the client for known types.
func (c *InCluster) Kubernetes() kubernetes.Interface { return c.typed }

// Dynamic is the client for objects of any type.
func (c *InCluster) Dynamic() dynamic.Interface { return c.dynamic }

// Metadata is the client for objects' metadata alone.
func (c *InCluster) Metadata() metadata.Interface { return c.metadata }

// NewInCluster makes the clients. host and port are those of the variables KUBERNETES_SERVICE_HOST and _PORT; the folder holds ca.crt and token, which
// is read again as the kubelet renews it. It makes no request.
func NewInCluster(host, port, folder string) (*InCluster, error) {
	quiet()
	authority, token := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "token")
	if _, err := os.Stat(token); err != nil {
		return nil, fmt.Errorf("reading the service account: %w", err)
	}
	config := &rest.Config{
		Host: "https://" + net.JoinHostPort(host, port), TLSClientConfig: rest.TLSClientConfig{CAFile: authority}, BearerTokenFile: token,
		UserAgent: userAgent + "-relay", QPS: 20, Burst: 40, WarningHandler: rest.NoWarnings{},
	}
	binary := rest.CopyConfig(config)
	binary.ContentType, binary.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making the cluster's client: %w", err)
	}
	c := &InCluster{}
	if c.typed, err = kubernetes.NewForConfigAndClient(binary, client); err != nil {
		return nil, fmt.Errorf("making the cluster's client: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("making the cluster's client: %w", err)
	}
	if c.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), client); err != nil {
		return nil, fmt.Errorf("making the cluster's client: %w", err)
	}
	return c, nil
}
