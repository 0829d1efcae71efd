package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// Swell's relay is the one program of a pod that runs, since the nodes are simulated: this does for its Deployment what a kubelet does.
const (
	relayChart = "app.kubernetes.io/name=relay"
	relayEvery = 500 * time.Millisecond
	relayToken = 3600 // seconds that its service account's token lasts; it is renewed after half of them
)

// cloudAPI is an HTTP API's address at AWS, which the local AWS answers elsewhere.
var cloudAPI = regexp.MustCompile(`https://([a-z0-9]+)\.execute-api\.[a-z0-9.-]+`)

const localAPI = `http://127.0.0.1:4566/_aws/execute-api/$1/$$default`

// kubelet runs the one program.
type kubelet struct {
	cluster *cluster
	client  kubernetes.Interface
	binary  string

	running *exec.Cmd
	ended   chan struct{}
	of      string    // what it runs for: the pods' template and the binary
	renewed time.Time // its token
}

// runRelay keeps the relay as its Deployment says until ctx is done. What fails is tried again at the next look.
func runRelay(ctx context.Context, c *cluster) error {
	runtime.LockOSThread() // the program is to die with this process, and not with one of its threads
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.client)
	if err != nil {
		return err
	}
	k := kubelet{cluster: c, client: client, binary: filepath.Join(filepath.Dir(binary), "relay")}
	defer k.stop()
	for ctx.Err() == nil {
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			klog.ErrorS(err, "running the relay")
		}
		select {
		case <-ctx.Done():
		case <-time.After(relayEvery):
		}
	}
	return ctx.Err()
}

func (k *kubelet) look(ctx context.Context) error {
	info, err := os.Stat(k.binary)
	if err != nil {
		return nil // it was not built
	}
	found, err := k.client.AppsV1().Deployments(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: relayChart, ResourceVersion: "0"})
	if err != nil {
		return err
	}
	if len(found.Items) == 0 || *found.Items[0].Spec.Replicas == 0 {
		k.stop()
		return nil
	}
	d := &found.Items[0]
	if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas == 0 || d.Status.ReadyReplicas == 0 {
		return nil // its new pod does not run yet; the old one does
	}
	raw, err := json.Marshal(d.Spec.Template)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(append(raw, info.ModTime().String()+string(d.UID)...))
	if of := hex.EncodeToString(sum[:]); of != k.of {
		k.stop()
		k.of = of
	}
	if err := k.furnish(ctx, d); err != nil {
		return err
	}
	return k.start(d)
}

// furnish writes what would be mounted: the Secrets, and the service account.
func (k *kubelet) furnish(ctx context.Context, d *appsv1.Deployment) error {
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret == nil {
			continue
		}
		secret, err := k.client.CoreV1().Secrets(d.Namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("mounting %s: %w", v.Name, err)
		}
		for name, value := range secret.Data {
			if err := replace(filepath.Join("relay", v.Name, name), value); err != nil {
				return err
			}
		}
	}
	if time.Since(k.renewed) < relayToken*time.Second/2 && k.running != nil {
		return nil
	}
	seconds := int64(relayToken)
	token, err := k.client.CoreV1().ServiceAccounts(d.Namespace).CreateToken(ctx, d.Spec.Template.Spec.ServiceAccountName,
		&authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("getting a token: %w", err)
	}
	authority, err := os.ReadFile(k.cluster.certificates.authority)
	if err != nil {
		return err
	}
	if err := replace("relay/serviceaccount/ca.crt", authority); err != nil {
		return err
	}
	k.renewed = time.Now()
	return replace("relay/serviceaccount/token", []byte(token.Status.Token))
}

// replace writes a file as a whole or not at all.
func replace(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// start runs the program unless it runs. One that ended is started again at the next look.
func (k *kubelet) start(d *appsv1.Deployment) error {
	if k.running != nil {
		select {
		case <-k.ended:
		default:
			return nil
		}
	}
	log, err := os.OpenFile("relay/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(k.binary)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = k.environment(d.Spec.Template.Spec), log, log, diesWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	k.running, k.ended = cmd, ended
	return nil
}

// environment is the container's, with the paths and addresses of this machine.
func (k *kubelet) environment(spec corev1.PodSpec) []string {
	here, _ := os.Getwd()
	env := []string{"KUBERNETES_SERVICE_HOST=127.0.0.1", fmt.Sprintf("KUBERNETES_SERVICE_PORT=%d", k.cluster.port),
		"SERVICE_ACCOUNT_DIR=" + filepath.Join(here, "relay", "serviceaccount")}
	for _, e := range spec.Containers[0].Env {
		value := cloudAPI.ReplaceAllString(e.Value, localAPI)
		for _, m := range spec.Containers[0].VolumeMounts {
			if rest, ok := strings.CutPrefix(value, m.MountPath); ok {
				value = filepath.Join(here, "relay", m.Name) + rest
			}
		}
		env = append(env, e.Name+"="+value)
	}
	return env
}

func (k *kubelet) stop() {
	if k.running == nil {
		return
	}
	_ = k.running.Process.Signal(os.Interrupt)
	select {
	case <-k.ended:
	case <-time.After(2 * time.Second):
		_ = k.running.Process.Kill()
		<-k.ended
	}
	k.running, k.of = nil, ""
}
