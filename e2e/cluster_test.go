//go:build stack

package e2e_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
)

// kubernetesOf is Kubernetes' own client of a local cluster, past Swell.
func kubernetesOf(t *testing.T, cluster string) kubernetes.Interface {
	t.Helper()
	raw, err := kubeconfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := kube.ParseKubeconfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(cred, policy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client.Kubernetes()
}

// workload is the one Deployment of a release of the demo chart.
func workload(t *testing.T, cluster, namespace string) appsv1.Deployment {
	t.Helper()
	list, err := kubernetesOf(t, cluster).AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 {
		t.Fatalf("cluster %s has %d Deployments in namespace %s, want one", cluster, len(list.Items), namespace)
	}
	return list.Items[0]
}

func wantReplicas(t *testing.T, cluster, namespace string, want int32) {
	t.Helper()
	d := workload(t, cluster, namespace)
	if *d.Spec.Replicas != want || d.Status.ReadyReplicas != want {
		t.Errorf("cluster %s has %d replicas of %s, %d ready, want %d", cluster, *d.Spec.Replicas, d.Name, d.Status.ReadyReplicas, want)
	}
}

// wantNothing fails if the cluster has a Deployment or a record of Helm's in the namespace.
func wantNothing(t *testing.T, cluster, namespace string) {
	t.Helper()
	client := kubernetesOf(t, cluster)
	list, err := client.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	records, err := client.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items)+len(records.Items) > 0 {
		t.Errorf("cluster %s still has %d Deployments and %d records in namespace %s", cluster, len(list.Items), len(records.Items), namespace)
	}
}

// messageOf is what the demo chart's ConfigMap says; empty if there is none.
func messageOf(t *testing.T, cluster, namespace string) string {
	t.Helper()
	list, err := kubernetesOf(t, cluster).CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=demo"})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if list == nil || len(list.Items) == 0 {
		return ""
	}
	return list.Items[0].Data["message"]
}

// helm runs Helm's own command line on a local cluster, in a namespace.
func helm(t *testing.T, cluster, namespace string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(swell.root, ".local", "bin", "helm"), append(args, "--namespace", namespace,
		"--kubeconfig", filepath.Join(swell.root, ".local", "clusters", cluster+".kubeconfig"))...)
	cmd.Dir = swell.root
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// proxy stands between Swell and a cluster, and can be closed.
type proxy struct {
	target, address string

	mu    sync.Mutex
	front net.Listener
	open  map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{target: target, address: "127.0.0.1:0", open: map[net.Conn]bool{}}
	p.start(t)
	t.Cleanup(p.stop)
	return p
}

func (p *proxy) start(t *testing.T) {
	t.Helper()
	front, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.front, p.address = front, front.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			client, err := front.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go p.carry(client)
			}
		}
	}()
}

// stop refuses new connections and cuts those there are.
func (p *proxy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.front.Close()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) carry(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.open[client], p.open[server] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
		})
	}
	both.Wait()
	_ = server.Close()
	_ = client.Close()
	p.mu.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.mu.Unlock()
}
