package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
)

const (
	readyTimeout    = 2 * time.Minute
	shutdownTimeout = 5 * time.Second
)

// cluster is one control plane and the folder that holds all of its state.
type cluster struct {
	name  string
	dir   string
	port  int
	nodes int

	certificates certificates
	kubeconfig   string
	client       *rest.Config
}

func kubernetesVersion() string { return version.Get().GitVersion }

// run starts the cluster, says so in the file DIR/ready, and serves until ctx is done or a component fails.
func (c *cluster) run(ctx context.Context) error {
	unlock, err := c.open()
	if err != nil {
		return err
	}
	defer unlock()
	defer os.Remove("ready")

	// Kubernetes' own clients warn about APIs that only Kubernetes itself still calls.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})

	// etcd outlives the others, so that their last writes do not wait for a store that is gone.
	stopStore, err := startStore()
	if err != nil {
		return err
	}
	defer stopStore()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 8)
	served := make(chan struct{})
	start := func(name string, component func(context.Context, *cluster) error) {
		go func() {
			err := component(ctx, c)
			if name == apiServer {
				close(served)
			}
			if ctx.Err() == nil {
				failed <- fmt.Errorf("%s ended: %w", name, err)
			}
		}()
	}

	start(apiServer, runAPIServer)
	go func() {
		if err := waitForAPI(ctx, c.client); err != nil {
			failed <- err
			return
		}
		start("kube-controller-manager", runControllerManager)
		start("kube-scheduler", runScheduler)
		start("kwok", runNodes)
		start("relay", runRelay)
		if err := furnish(ctx, c); err != nil {
			failed <- err
			return
		}
		if err := os.WriteFile("ready", nil, 0o600); err != nil {
			failed <- err
			return
		}
		fmt.Printf("cluster %s is ready at https://127.0.0.1:%d\n", c.name, c.port)
	}()

	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	cancel()
	select {
	case <-served:
	case <-time.After(shutdownTimeout): // an open watch can hold the API server; the process ends anyway
	}
	klog.Flush()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("cluster %s: %w", c.name, err)
	}
	return nil
}

// open makes the folder the process' own: it is locked, entered (sockets have short relative names) and holds port, keys and kubeconfig.
func (c *cluster) open() (unlock func(), err error) {
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return nil, err
	}
	if c.name == "" {
		c.name = filepath.Base(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chdir(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another process runs the cluster in %s", dir)
	}
	_ = os.Remove("ready")
	if c.port, err = choosePort(c.port); err != nil {
		return nil, err
	}
	if c.certificates, err = loadCertificates("pki"); err != nil {
		return nil, err
	}
	c.kubeconfig = dir + ".kubeconfig"
	if err := writeKubeconfig(c.kubeconfig, c.name, c.port, c.certificates); err != nil {
		return nil, err
	}
	if c.client, err = clientcmd.BuildConfigFromFlags("", c.kubeconfig); err != nil {
		return nil, err
	}
	c.client.QPS, c.client.Burst = 200, 400
	return func() { _ = lock.Close() }, nil
}

// choosePort answers the wanted port, else the one in the file "port", else a free one, and remembers it:
// a kubeconfig that was handed on stays right over a restart.
func choosePort(wanted int) (int, error) {
	if wanted == 0 {
		if b, err := os.ReadFile("port"); err == nil {
			wanted, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		return 0, fmt.Errorf("port %d on 127.0.0.1 is in use: stop its owner or choose another with --port", wanted)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, err
	}
	return port, os.WriteFile("port", []byte(strconv.Itoa(port)+"\n"), 0o600)
}
