package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/run"
)

func (m *memory) MarkClusterUnreachable(context.Context, string, string, string, time.Time, time.Time) error {
	return nil
}

// A newer generation may yet be withdrawn: what the release missed is not forgotten for it.
func TestWhatWasMissedOutlivesANewerGeneration(t *testing.T) {
	m, h := newCluster(t, deployment.Detect)
	m.look(t, h)
	m.keep(2, 1, "Upgrade complete")
	m.miss(1)
	m.deployment.Generation = 2
	m.look(t, h)
	if len(m.started) > 0 || m.release.CatchUp == nil {
		t.Fatalf("while a newer one waits: started %+v, missed %+v", m.started, m.release.CatchUp)
	}
	m.deployment.Generation = 1
	m.look(t, h)
	if len(m.started) != 1 || m.started[0].Actor != "catch-up" {
		t.Errorf("when that was withdrawn: started %+v", m.started)
	}
}

// A cluster that is away for a day starts nothing, whatever it misses; it gets one run when it is back, and no second beside it.
func TestADayAwayIsCaughtUpByOneRun(t *testing.T) {
	m, h := newCluster(t, deployment.Detect)
	m.look(t, h)
	m.keep(2, 1, "Upgrade complete")
	m.miss(1)
	now := noon
	h.now = func() time.Time { return now }
	m.server.Fail(func(*http.Request) *metav1.Status {
		return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable}
	})
	for ; now.Before(noon.Add(24 * time.Hour)); now = now.Add(time.Hour) {
		if err := h.checkDue(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.started) > 0 || m.release.CatchUp == nil {
		t.Fatalf("while it was away: started %+v", m.started)
	}
	m.server.Fail(nil)
	m.look(t, h)
	if len(m.started) != 1 || m.started[0].Type != run.Sync || m.started[0].Actor != "catch-up" || len(m.started[0].Only) != 1 {
		t.Fatalf("when it was back: started %+v", m.started)
	}
	m.last = m.started[0]
	m.last.Status = run.Running
	m.look(t, h)
	if len(m.started) > 0 {
		t.Errorf("beside its run: started %+v", m.started)
	}
}
