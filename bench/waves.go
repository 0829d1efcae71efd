package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

// The roll-out that nobody publishes figures of: of each wave a tenth never gets ready, and a twentieth does not answer.
const (
	waveFleet = 500
	waveSize  = 50
	waveDue   = 15 * time.Second // what is not ready so long after it was applied has failed
)

func failing(i int) bool { return i%10 == 3 }
func silent(i int) bool  { return i%20 == 7 }

// waves rolls out to a large fleet in waves, through the real machines.
func (b *bench) waves(ctx context.Context) error {
	archive, err := rolling(10)
	if err != nil {
		return err
	}
	f, err := b.newFleet(ctx, waveFleet, archive)
	if err != nil {
		return err
	}
	defer f.close(ctx)
	if err := f.grow(ctx, waveFleet); err != nil {
		return err
	}
	f.setDelays(roundTrip, roundTrip)
	for i, server := range f.servers {
		server.SetReady(!failing(i))
		server.ResetRequests()
		if silent(i) {
			server.Fail(func(r *http.Request) *metav1.Status {
				kubetest.Cut(r)
				return nil
			})
		}
	}
	memory, busy := watchMemory(ctx), readCPU()
	details, err := f.roll(ctx, f.inWaves())
	share := readCPU().since(busy)
	for _, server := range f.servers {
		server.Fail(nil)
	}
	if err != nil {
		return err
	}
	if err := f.judge(details); err != nil {
		return err
	}
	return f.figures(ctx, details, share, memory())
}

// inWaves is the roll-out: its budgets let what fails and what is silent pass.
func (f *fleet) inWaves() map[string]any {
	var waves []map[string]any
	for first := 0; first < len(f.ids); first += waveSize {
		var names []string
		for i := first; i < first+waveSize; i++ {
			names = append(names, f.clusterName(i))
		}
		waves = append(waves, map[string]any{"name": fmt.Sprintf("wave-%d", len(waves)+1), "clusters": names})
	}
	return map[string]any{"waves": waves, "maxFailures": "10%", "maxUnreachable": "5%", "progressDeadline": waveDue.String()}
}

// judge refuses a run in which another cluster failed than was to fail: its figures would tell of something else.
func (f *fleet) judge(r openapi.RunDetails) error {
	got := map[string]openapi.RunTarget{}
	for _, t := range r.Targets {
		got[t.ClusterName] = t
	}
	for i := range f.ids {
		want := openapi.RunTargetStatusSucceeded
		switch {
		case failing(i):
			want = openapi.RunTargetStatusFailed
		case silent(i):
			want = openapi.RunTargetStatusUnreachable
		}
		if t := got[f.clusterName(i)]; t.Status != want {
			return fmt.Errorf("cluster %s is %s, want %s: %s %s", f.clusterName(i), t.Status, want, t.Code, t.Cause)
		}
	}
	return nil
}

func (f *fleet) figures(ctx context.Context, r openapi.RunDetails, busy float64, memory map[string]int64) error {
	var healthy []time.Duration
	for _, t := range r.Targets {
		if t.Status == openapi.RunTargetStatusSucceeded {
			healthy = append(healthy, t.EndedAt.Sub(r.CreatedAt))
		}
	}
	slices.Sort(healthy)
	requests := 0
	for _, server := range f.servers {
		requests += len(server.Requests())
	}
	f.add("waves-healthy", "s", seconds(healthy[len(healthy)-1]), "until the last of %d clusters that can be healthy is, of %d in waves of %d, of which 10%% never get ready (%s each) and 5%% do not answer; half of them after %.0f s, the run's end after %.0f s; round trip %s, 2 cores %.0f%% busy with functions, clusters and the local AWS",
		len(healthy), len(f.ids), waveSize, waveDue, healthy[len(healthy)/2].Seconds(), r.EndedAt.Sub(r.CreatedAt).Seconds(), roundTrip, 100*busy)
	f.add("waves-requests", "requests", float64(requests), "Kubernetes requests of that, %.0f a cluster that answers", float64(requests)/float64(len(f.ids)-len(f.ids)/20))
	largest := slices.MaxFunc(slices.Collect(maps.Keys(memory)), func(a, b string) int { return int(memory[a] - memory[b]) })
	f.add("waves-memory", "MB", megabytes(memory[largest]), "the most memory that a function held at once in that, its Helm child included: %s (NextBatch, which sees all targets, %.0f MB)", largest, megabytes(memory["NextBatch"]))

	cfg, err := config.AWS(ctx)
	if err != nil {
		return err
	}
	h, err := readRun(ctx, cfg, r.ID)
	if err != nil {
		return err
	}
	target, err := f.meterTarget(ctx)
	if err != nil {
		return fmt.Errorf("metering what a target reads and writes: %w", err)
	}
	f.add("waves-transitions", "transitions", float64(h.transitions), "of that run, retries included; %d calls of functions, the largest input or output %.0f KB", h.invocations, float64(h.payload)/1000)
	f.add("waves-bill", "$", h.bill()+target*float64(len(f.ids)), "of that run by the list prices of us-east-1: $%.3f transitions, $%.3f functions (%.0f GB·s as measured on these cores, waiting for them included), $%.3f what targets read and write in DynamoDB, S3 and Secrets Manager (metered at one)",
		float64(h.transitions)*priceTransition, h.bill()-float64(h.transitions)*priceTransition, h.gbSeconds, target*float64(len(f.ids)))
	return nil
}

// meterTarget is the price of what one target's functions read and write.
func (b *bench) meterTarget(ctx context.Context) (float64, error) {
	s, err := b.newScene(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close(ctx)
	server := kubetest.New(nil, kubetest.Options{})
	defer server.Close()
	archive, err := rolling(10)
	if err != nil {
		return 0, err
	}
	c, err := s.addCluster(ctx, "metered", server.Credential())
	if err != nil {
		return 0, err
	}
	ref, err := s.admit(ctx, c, "web", archive, map[string]any{"text": "1"})
	if err != nil {
		return 0, err
	}
	m, err := newMeter(ctx, *s.cfg.BaseEndpoint)
	if err != nil {
		return 0, err
	}
	defer m.close()
	for _, step := range []struct {
		function string
		in       any
	}{{"prepare-release", ref}, {"deploy-release", ref}, {"check-release", ref}, {"record-release", workflow.Outcome{TargetRef: ref}}} {
		path, err := b.bootstrap(step.function)
		if err != nil {
			return 0, err
		}
		w, err := startWorker(ctx, path, append(s.environment(), "AWS_ENDPOINT_URL="+m.url))
		if err != nil {
			return 0, err
		}
		err = w.invoke(ctx, step.in, time.Minute)
		w.kill()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", step.function, err)
		}
	}
	t, err := s.store.FindTarget(ctx, org, ref.Run, ref.Cluster)
	if err == nil && t.Status != run.TargetSucceeded {
		err = fmt.Errorf("the target is %s: %s", t.Status, t.Cause)
	}
	return m.bill(), err
}

// watchMemory looks twice a second how much memory each process of a function has held, and returns the most of each function with its Helm child.
func watchMemory(ctx context.Context) (stop func() map[string]int64) {
	ctx, cancel := context.WithCancel(ctx)
	most := make(chan map[string]int64, 1)
	go func() {
		peaks := map[string]int64{}
		for ctx.Err() == nil {
			readMemory(peaks)
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		most <- peaks
	}()
	return func() map[string]int64 {
		cancel()
		return <-most
	}
}

func readMemory(peaks map[string]int64) {
	held, parents, names := map[int]int64{}, map[int]int{}, map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		held[pid], parents[pid] = peakMemory(pid)
		if name := functionOf(pid); name != "" {
			names[pid] = name
		}
	}
	together := map[int]int64{}
	for pid, bytes := range held {
		if names[pid] != "" {
			together[pid] += bytes
		} else if parent := parents[pid]; names[parent] != "" {
			together[parent] += bytes
		}
	}
	for pid, bytes := range together {
		peaks[names[pid]] = max(peaks[names[pid]], bytes)
	}
}

// functionOf is the name that template.yaml gives to the function that the process is; none, if it is none. A function's child has no such variable.
func functionOf(pid int) string {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for variable := range strings.SplitSeq(string(raw), "\x00") {
		if name, ok := strings.CutPrefix(variable, "AWS_LAMBDA_FUNCTION_NAME="); ok {
			name, _, _ = strings.Cut(strings.TrimPrefix(name, "swell-"), "Function-")
			return name
		}
	}
	return ""
}

// peakMemory is the most that the process had resident since its start, in bytes, and whose child it is.
func peakMemory(pid int) (bytes int64, parent int) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &bytes)
		}
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			_, _ = fmt.Sscan(rest, &parent)
		}
	}
	return bytes * 1024, parent
}
