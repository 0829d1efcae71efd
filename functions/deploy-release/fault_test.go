package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/taskerr"
)

var (
	every = flag.Int("every", 20, "of how many requests one is a point of fault; with 1, each is")
	delay = flag.Duration("delay", 10*time.Millisecond, "what a slow cluster takes for each answer")
)

func firstPoint() int64 { return 1 + int64(*every-1)/2 }

const objectsEach = 10 // ConfigMaps of a generation

// fault is what happens to the k-th request, and perhaps to the later ones. How the n-th fares, it says by a status, or by not returning.
type fault struct {
	on     func(ctx context.Context, r *http.Request, late bool) *metav1.Status // late: it is not the k-th, but a later one
	lose   bool                                                                 // the k-th is done, and its answer lost
	within time.Duration                                                        // the function's time; 2 minutes if zero
	leaves bool                                                                 // an object whose deletion is refused stays, as Helm has it
	codes  []string                                                             // of the outcomes that are no success
}

var faults = map[string]fault{
	"connection cut": {codes: []string{"cluster-unreachable"}, on: func(_ context.Context, r *http.Request, late bool) *metav1.Status {
		if !late {
			kubetest.Cut(r)
		}
		return nil
	}},
	"connection cut, then 503": {codes: []string{"cluster-unreachable"}, on: func(_ context.Context, r *http.Request, late bool) *metav1.Status {
		if !late {
			kubetest.Cut(r)
		}
		return answer(r, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	}},
	"no answer from then on": {within: 2 * time.Second, codes: []string{"cluster-unreachable", "helm-killed"}, on: func(ctx context.Context, r *http.Request, _ bool) *metav1.Status {
		select {
		case <-r.Context().Done():
		case <-ctx.Done(): // the function is over
		}
		return answer(r, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	}},
	"done, answer lost": {lose: true, codes: []string{"cluster-unreachable"}},
	"429":               once(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "cluster-unreachable"),
	"503":               once(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "cluster-unreachable"),
	"500":               once(http.StatusInternalServerError, metav1.StatusReasonInternalError, "cluster-unreachable", "helm-failed"),
	"403":               once(http.StatusForbidden, metav1.StatusReasonForbidden, "forbidden", "cluster-unauthorized"),
	"409 to a write":    once(http.StatusConflict, metav1.StatusReasonConflict, "helm-failed", "release-conflict"),
}

// once is a status instead of an answer; a conflict only instead of one to a write.
func once(code int32, reason metav1.StatusReason, codes ...string) fault {
	return fault{codes: codes, leaves: code == http.StatusForbidden || code == http.StatusConflict, on: func(_ context.Context, r *http.Request, late bool) *metav1.Status {
		if late || code == http.StatusConflict && r.Method == http.MethodGet {
			return nil
		}
		return answer(r, code, reason)
	}}
}

func answer(r *http.Request, code int32, reason metav1.StatusReason) *metav1.Status {
	message := "a fault of the test"
	if code == http.StatusForbidden { // as the API server says it
		message = fmt.Sprintf("%s is forbidden: a fault of the test", r.URL.Path)
	}
	return &metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}
}

// strike lets the fault happen from the k-th request on; the count of requests goes to n.
func (f fault) strike(ctx context.Context, server *kubetest.Server, n *atomic.Int64, k int64) {
	if f.lose {
		server.Lose(func(*http.Request) bool { return n.Add(1) == k })
		return
	}
	server.Fail(func(r *http.Request) *metav1.Status {
		if i := n.Add(1); i >= k {
			return f.on(ctx, r, i > k)
		}
		return nil
	})
}

// An upgrade meets a fault at its k-th request to the cluster. It fails with a cause or succeeds, and the next run, of the same generation or of a
// newer one with other objects, brings exactly what is wanted.
func TestFaultAtEachRequestOfAnUpgrade(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFaulty(t)
			points := 0
			for k := firstPoint(); ; k += int64(*every) {
				for _, newer := range []bool{false, true} {
					if !s.try(t, fault, k, newer) {
						t.Logf("%s: %d points, then repaired by the same run and by a newer one: %s", name, points, s.outcomes())
						return
					}
				}
				points++
			}
		})
	}
}

// A cluster that takes long for each answer is upgraded all the same.
func TestSlowCluster(t *testing.T) {
	s := newFaulty(t)
	s.server.SetDelay(*delay)
	s.next()
	began := time.Now()
	s.deploy(t, s.handler, s.generation)
	t.Logf("an upgrade of %d objects takes %s with %s for each answer", objectsEach, time.Since(began).Round(100*time.Millisecond), *delay)
	s.server.SetDelay(0)
	s.wantExactly(t, "after a slow upgrade")
}

// mapsFrom is a chart of objectsEach ConfigMaps from that number on.
func mapsFrom(first int) helmtest.Chart {
	all, c := helmtest.ConfigMaps(first+objectsEach), helmtest.Chart{}
	for path, text := range all {
		if !strings.HasPrefix(path, "templates/") || path >= fmt.Sprintf("templates/map-%02d", first) {
			c[path] = text
		}
	}
	return c
}

// faulty is a release that is upgraded over and over, between two charts with other objects.
type faulty struct {
	*memory
	handler
	archives   [2][]byte
	generation int
	leaves     bool           // objects that are not wanted may be there
	older      int            // how often an older record was deployed too
	codes      map[string]int // of the runs that met the fault
}

// newFaulty is deployed.
func newFaulty(t *testing.T) *faulty {
	t.Helper()
	m, h := newHandler(t)
	s := &faulty{memory: m, handler: h, codes: map[string]int{}}
	s.archives[0] = mapsFrom(0).Archive(t)
	s.archives[1] = mapsFrom(2).Archive(t)
	s.next()
	m.deploy(t, h, s.generation)
	return s
}

func (s *faulty) next() {
	s.generation++
	s.archive = s.archives[s.generation%2]
}

// try upgrades with a fault at the k-th request, and repairs. It returns false if the upgrade makes fewer requests.
func (s *faulty) try(t *testing.T, f fault, k int64, newer bool) bool {
	t.Helper()
	s.next()
	if !s.meets(t, f, k) {
		return false
	}
	if newer {
		s.next()
	}
	s.leaves = f.leaves
	s.recovers(t, fmt.Sprintf("request %d, newer %t", k, newer))
	return true
}

// meets runs the function, with the fault at the k-th request, and judges how it ends. It returns false if there is no k-th request.
func (s *faulty) meets(t *testing.T, f fault, k int64) bool {
	t.Helper()
	return s.strikes(t, f, k, func(ctx context.Context) error { return s.attempt(ctx, s.handler, s.generation) })
}

func (s *faulty) strikes(t *testing.T, f fault, k int64, attempt func(ctx context.Context) error) bool {
	t.Helper()
	within := f.within
	if within == 0 {
		within = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var n atomic.Int64
	f.strike(ctx, s.server, &n, k)
	err := attempt(ctx)
	s.server.Fail(nil)
	s.server.Lose(nil)
	if n.Load() < k {
		return false
	}
	code := "success"
	if err != nil {
		code = taskerr.CodeOf(err)
		if !slices.Contains(f.codes, code) || taskerr.CauseOf(err) == "" {
			t.Errorf("request %d: the outcome is %s: %v", k, code, err)
		}
	}
	s.codes[code]++
	return true
}

// recovers runs the function once more, undisturbed, and compares.
func (s *faulty) recovers(t *testing.T, when string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.attempt(ctx, s.handler, s.generation); err != nil {
		t.Fatalf("%s: STUCK: %v", when, err)
	}
	s.wantExactly(t, when)
}

// wantExactly compares the cluster with the generation.
func (s *faulty) wantExactly(t *testing.T, when string) {
	t.Helper()
	s.wantExactlyOf(t, s.generation, when)
}

func (s *faulty) wantExactlyOf(t *testing.T, generation int, when string) {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	first := map[int]int{0: 0, 1: 2}[generation%2]
	for i := range objectsEach {
		want[fmt.Sprintf("web-%02d", first+i)] = s.entry.InputHash
	}
	for _, o := range s.server.Objects("configmaps") {
		name := o["metadata"].(map[string]any)["name"].(string)
		if want[name] != "" || !s.leaves {
			got[name] = o["data"].(map[string]any)["text"].(string)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: the objects (-want +got):\n%s", when, diff)
	}
	history := s.history(t, s.handler)
	pending := slices.ContainsFunc(history, record.Meta.Pending)
	if history[0].Status != "deployed" || pending || len(history) > keepRevisions+1 || s.release.Observed.Revision != history[0].Revision {
		t.Fatalf("%s: %d records, the newest %s, pending %t, observed %+v", when, len(history), history[0].Status, pending, s.release.Observed)
	}
	if slices.ContainsFunc(history[1:], func(m record.Meta) bool { return m.Status == "deployed" }) {
		s.older++ // Helm goes on where it could not mark the one before as superseded, and takes the newest that is deployed
	}
}

func (s *faulty) outcomes() string {
	var all []string
	for _, code := range slices.Sorted(maps.Keys(s.codes)) {
		all = append(all, fmt.Sprintf("%d %s", s.codes[code], code))
	}
	return fmt.Sprintf("%s; an older record said deployed %d times", strings.Join(all, ", "), s.older)
}
