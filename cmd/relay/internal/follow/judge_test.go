package follow_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/cmd/relay/internal/follow"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
)

// Of a log that is longer than what is told, the end is told: that is where a program says why it ends.
func TestLastLines(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	client, err := kube.New(server.Credential(), netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "web", LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "its last will"}}},
	}}}
	if got := follow.LastLines(t.Context(), client.Kubernetes(), pod); got != "its last will" {
		t.Errorf("without a log: %q", got)
	}
	var log strings.Builder
	for i := range 30 {
		fmt.Fprintf(&log, "%-299d\n", i)
	}
	server.SetLog(log.String() + "panic: the end\n")
	got := follow.LastLines(t.Context(), client.Kubernetes(), pod)
	if !strings.HasSuffix(got, "panic: the end\n") || len(got) < 1700 || len(got) > 2<<10 || strings.Contains(got, "\n11 ") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
