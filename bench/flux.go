package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
)

const (
	fluxReleases  = 100
	fluxObjects   = 10
	fluxNamespace = "flux-bench"
)

// besideFlux checks as many releases of one real cluster by Swell and by Flux's helm-controller, one after the other: nothing changed, every
// live object is looked at. Flux reads its charts from this process: its source-controller is not needed for that.
func (b *bench) besideFlux(ctx context.Context) error {
	if b.flux == "" {
		b.note("Flux is not measured: give -flux")
		return nil
	}
	credential, err := b.realCluster(ctx)
	if err != nil {
		return err
	}
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		return err
	}
	client, err := kube.New(credential, policy)
	if err != nil {
		return err
	}
	defer client.Close()
	ours, asked, err := b.ourCheck(ctx, credential, client)
	if err != nil {
		return err
	}
	f := controller{bench: b, client: client}
	defer f.close(context.WithoutCancel(ctx))
	theirs, theirAsked, err := f.check(ctx)
	if err != nil {
		return fmt.Errorf("measuring Flux: %w", err)
	}
	b.add("flux-check-seconds", "s", seconds(ours), "%d releases of %d objects on one real API server looked at, nothing changed, by one warm check-cluster; anchor: Flux's helm-controller, drift detection on, 10 at once, reconciling the same number",
		fluxReleases, fluxObjects).against(seconds(theirs))
	b.add("flux-check-requests", "requests", asked, "that API server's requests in the meantime, watches left out").against(theirAsked)
	return nil
}

// ourCheck installs the releases and checks them twice: the first look records, the second is measured.
func (b *bench) ourCheck(ctx context.Context, credential kube.Credential, client *kube.Client) (took time.Duration, asked float64, err error) {
	s, err := b.newScene(ctx)
	if err != nil {
		return 0, 0, err
	}
	e := &estate{bench: b, scene: s, first: credential}
	defer e.close(ctx)
	c, err := s.addCluster(ctx, "flux", credential)
	if err != nil {
		return 0, 0, err
	}
	e.clusters = append(e.clusters, c)
	defer e.uninstallAll(context.WithoutCancel(ctx), client)
	b.note("installing %d releases", fluxReleases)
	if err := e.installAll(ctx, fluxReleases, fluxObjects); err != nil {
		return 0, 0, err
	}
	w, err := b.startCheckCluster(ctx, s.environment())
	if err != nil {
		return 0, 0, err
	}
	defer w.kill()
	for range 2 {
		before, err := requestsOf(ctx, client)
		if err != nil {
			return 0, 0, err
		}
		began := time.Now()
		if err := w.invoke(ctx, received(lookAt(e.clusters[0])), time.Minute); err != nil {
			return 0, 0, err
		}
		took = time.Since(began)
		after, err := requestsOf(ctx, client)
		if err != nil {
			return 0, 0, err
		}
		asked = after - before
	}
	return took, asked, nil
}

// requestsOf is how many requests an API server has answered, watches left out.
func requestsOf(ctx context.Context, client *kube.Client) (float64, error) {
	raw, err := client.Kubernetes().Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "apiserver_request_total{") || strings.Contains(line, `verb="WATCH"`) {
			continue
		}
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("reading the API server's metrics: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// controller is Flux's, as a process beside the cluster.
type controller struct {
	*bench
	client  *kube.Client
	process *exec.Cmd
	charts  *http.Server
}

func (f *controller) kubectl(ctx context.Context, in string, args ...string) (string, error) {
	kubeconfig := filepath.Join(f.root, ".local", "clusters", killCluster+".kubeconfig")
	cmd := exec.CommandContext(ctx, filepath.Join(f.root, ".local", "bin", "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...) //nolint:gosec // our own binary
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// check lets Flux install the releases, and then reconcile all of them once more.
func (f *controller) check(ctx context.Context) (took time.Duration, asked float64, err error) {
	if err := f.start(ctx); err != nil {
		return 0, 0, err
	}
	const ready = `jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`
	if _, err := f.until(ctx, ready, "True"); err != nil {
		return 0, 0, err
	}
	token := strconv.FormatInt(time.Now().UnixNano(), 10)
	before, err := requestsOf(ctx, f.client)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if _, err := f.kubectl(ctx, "", "-n", fluxNamespace, "annotate", "helmreleases", "--all", "--overwrite", "reconcile.fluxcd.io/requestedAt="+token); err != nil {
		return 0, 0, err
	}
	const handled = `jsonpath={range .items[*]}{.status.lastHandledReconcileAt}{"\n"}{end}`
	polls, err := f.until(ctx, handled, token)
	if err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	after, err := requestsOf(ctx, f.client)
	return took, after - before - float64(polls) - 2*fluxReleases, err // kubectl's own left out
}

// until waits for all HelmReleases to show the word, and says how often it asked.
func (f *controller) until(ctx context.Context, template, word string) (polls int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		shown, err := f.kubectl(ctx, "", "-n", fluxNamespace, "get", "helmreleases", "-o", template)
		if err != nil {
			return polls, err
		}
		polls++
		if strings.Count(shown, word) == fluxReleases {
			return polls, nil
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return polls, errors.New("the releases did not become ready")
		}
	}
}

func (f *controller) start(ctx context.Context) error {
	archive, err := configMaps("1.0.0", 0, fluxObjects, nil)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f.charts = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) })}
	go func() { _ = f.charts.Serve(listener) }()
	if _, err := f.kubectl(ctx, "", "apply", "-f", filepath.Join(f.flux, "crds")); err != nil {
		return err
	}
	digest := bucket.DigestOf(archive)
	if _, err := f.kubectl(ctx, fluxObjectsYAML(), "apply", "-f", "-"); err != nil {
		return err
	}
	status := fmt.Sprintf(`{"status":{"observedGeneration":1,"artifact":{"digest":%[1]q,"lastUpdateTime":"2026-01-01T00:00:00Z","path":"bench.tgz","revision":"1.0.0@%[2]s","size":%[3]d,"url":"http://%[4]s/bench.tgz"},
"conditions":[{"type":"Ready","status":"True","reason":"Succeeded","message":"stored","lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1}]}}`, digest, digest, len(archive), listener.Addr())
	if _, err := f.kubectl(ctx, "", "-n", fluxNamespace, "patch", "ocirepository", "bench", "--subresource=status", "--type=merge", "-p", status); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(f.work, "flux.log"))
	if err != nil {
		return err
	}
	f.process = exec.CommandContext(ctx, filepath.Join(f.flux, "helm-controller"), "--concurrent=10", "--enable-leader-election=false", //nolint:gosec // the caller names it
		"--health-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--watch-all-namespaces")
	f.process.Env = append(f.process.Environ(), "RUNTIME_NAMESPACE="+fluxNamespace, "KUBECONFIG="+filepath.Join(f.root, ".local", "clusters", killCluster+".kubeconfig"))
	f.process.Stdout, f.process.Stderr = log, log
	return f.process.Start()
}

// fluxObjectsYAML is a chart's source, whose status says where it is, and the releases.
func fluxObjectsYAML() string {
	var out strings.Builder
	fmt.Fprintf(&out, `apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: bench, namespace: %[1]s}
spec: {interval: 1h, url: "oci://127.0.0.1/bench", ref: {tag: 1.0.0}}
`, fluxNamespace)
	for i := range fluxReleases {
		fmt.Fprintf(&out, `---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: flux-%02d, namespace: %s}
spec:
  interval: 1h
  chartRef: {kind: OCIRepository, name: bench}
  driftDetection: {mode: warn}
`, i, fluxNamespace)
	}
	return out.String()
}

// close ends Flux and removes what it was given and made, as well as it can.
func (f *controller) close(ctx context.Context) {
	_, _ = f.kubectl(ctx, "", "delete", "namespace", fluxNamespace, "--wait=false")
	if f.process != nil && f.process.Process != nil {
		_, _ = f.kubectl(ctx, "", "-n", fluxNamespace, "wait", "helmrelease", "--all", "--for=delete", "--timeout=120s")
		_ = f.process.Process.Signal(os.Interrupt)
		_ = f.process.Wait()
	}
	if f.charts != nil {
		_ = f.charts.Close()
	}
}
