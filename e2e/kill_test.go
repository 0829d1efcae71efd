//go:build stack

package e2e_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/swell-sh/swell/shared/openapi"
)

// The cluster e2e-c is reached through a proxy: one of its releases is upgraded by a function that is killed, and while that waits for the
// dead one's lease, the cluster goes down for another release.
func TestKilledFunctionAndClusterDown(t *testing.T) {
	t.Parallel()
	raw, err := kubeconfig(clusterC)
	if err != nil {
		t.Fatal(err)
	}
	server := regexp.MustCompile(`https://(127\.0\.0\.1:\d+)`).FindSubmatch(raw)
	between := newProxy(t, string(server[1]))
	raw = bytes.Replace(raw, server[0], []byte("https://"+between.address), 1)
	if err := swell.importAgain(t.Context(), clusterC, raw); err != nil {
		t.Fatal(err)
	}
	other := newInMemory(t)
	group := newGroup(t, swell.clusters[clusterC].ID, other.id)

	a := newApp(t, group, "killed")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"replicaCount": 1}})
	// The hook's Job is suspended, so that the verb waits for it until it is killed.
	run := a.update(intent{"values": values{"replicaCount": 2}, "valueOverrides": values{clusterC: values{"hook": values{"enabled": true, "neverEnds": true}}}}).Run
	job := awaitJob(t, clusterC, a.name, "")
	killed := killClients(t, between)
	t.Logf("killed the processes %v in mid-upgrade", killed)

	again := awaitJob(t, clusterC, a.name, string(job.UID))
	resume(t, clusterC, again)
	r := ended(t, run, openapi.RunStatusSucceeded)
	wantOutcome(t, r, other.name, openapi.RunTargetStatusSucceeded, "", "", false)
	if !slices.ContainsFunc(r.Steps, func(s openapi.Step) bool {
		return s.State == "DeployRelease" && s.ClusterName == clusterC && s.Attempt > 0
	}) {
		t.Errorf("no second attempt on record: %s", describe(r))
	}
	wantReplicas(t, clusterC, a.name, 2)
	a.wantTarget(clusterC, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	if got := helm(t, clusterC, a.name, "list", "--all", "--output", "json"); strings.Contains(got, "pending") || !strings.Contains(got, `"status":"deployed"`) {
		t.Errorf("Helm says %s", got)
	}

	t.Run("cluster down", func(t *testing.T) { clusterDown(t, group, between, other) })
}

// A cluster that is down fails its target alone, leaves nothing, and is brought up by a sync.
func clusterDown(t *testing.T, group string, between *proxy, other inMemory) {
	t.Helper()
	b := newApp(t, group, "down")
	between.stop()
	r := b.deploy(openapi.RunStatusPartial, intent{"name": pushDemo(t)})
	wantOutcome(t, r, clusterC, openapi.RunTargetStatusUnreachable, "cluster-unreachable", "refused", false)
	wantOutcome(t, r, other.name, openapi.RunTargetStatusSucceeded, "", "", false)
	if got := b.target(clusterC); got.Status == openapi.TargetStatusDEPLOYED || got.Error.Code != "cluster-unreachable" || got.Error.Cause == "" {
		t.Errorf("the target of the cluster that is down shows %+v", got)
	}
	checked := b.act(openapi.RunStatusPartial, "POST", "/check")
	wantOutcome(t, checked, clusterC, openapi.RunTargetStatusFailed, "cluster-unreachable", "refused", false)
	if got := b.target(clusterC); got.Status != openapi.TargetStatusUNKNOWN || got.Health != openapi.HealthUNKNOWN {
		t.Errorf("after the check the target shows %+v", got)
	}

	between.start(t)
	b.sync(openapi.RunStatusSucceeded)
	wantReplicas(t, clusterC, b.name, 1)
	b.check()
	b.wantTarget(clusterC, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	b.remove(openapi.RunStatusSucceeded)
	wantNothing(t, clusterC, b.name)
}

// awaitJob waits for the hook's Job, other than the one with that UID.
func awaitJob(t *testing.T, cluster, namespace, notUID string) batchv1.Job {
	t.Helper()
	var job batchv1.Job
	client := kubernetesOf(t, cluster)
	if err := poll(t.Context(), 5*time.Minute, func() (bool, error) {
		list, err := client.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) == 0 || string(list.Items[0].UID) == notUID {
			return false, err
		}
		job = list.Items[0]
		return true, nil
	}); err != nil {
		t.Fatalf("waiting for the hook's Job: %v", err)
	}
	return job
}

// resume lets a suspended Job run to its end.
func resume(t *testing.T, cluster string, job batchv1.Job) {
	t.Helper()
	_, err := kubernetesOf(t, cluster).BatchV1().Jobs(job.Namespace).Patch(t.Context(), job.Name, types.MergePatchType, []byte(`{"spec":{"suspend":false}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// killClients kills every process that is connected to the proxy, and those they are children of, as a machine that dies does: the
// function's, which a test cannot name otherwise, and the child that runs Helm.
func killClients(t *testing.T, p *proxy) []int {
	t.Helper()
	var killed []int
	if err := poll(t.Context(), 20*time.Second, func() (bool, error) {
		for _, pid := range clientsOf(t, p.address) {
			for _, one := range append(functionsAbove(pid), pid) {
				if !slices.Contains(killed, one) && syscall.Kill(one, syscall.SIGKILL) == nil {
					killed = append(killed, one)
				}
			}
		}
		return len(killed) > 0, nil
	}); err != nil {
		t.Fatal("no function is connected to the cluster")
	}
	if err := poll(t.Context(), 20*time.Second, func() (bool, error) {
		return !slices.ContainsFunc(killed, func(pid int) bool { return isFunction(pid) }), nil
	}); err != nil {
		t.Errorf("processes of %v live on", killed)
	}
	return killed
}

// clientsOf are the processes with a connection to that address on this machine.
func clientsOf(t *testing.T, address string) []int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, _ := strconv.Atoi(port)
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		// 1 is the local address, 2 the remote one, 9 the socket
		if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", number)) {
			inodes["socket:["+f[9]+"]"] = true
		}
	}
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && inodes[target] {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			if pid != os.Getpid() && isFunction(pid) && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// functionsAbove are the ancestors of a process that are functions.
func functionsAbove(pid int) []int {
	var above []int
	for {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return above
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		if pid, err = strconv.Atoi(strings.Fields(rest)[1]); err != nil || !isFunction(pid) {
			return above
		}
		above = append(above, pid)
	}
}

// isFunction: the program of every function is called bootstrap.
func isFunction(pid int) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && strings.HasPrefix(filepath.Base(exe), "bootstrap")
}
