package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

// forbid lets nobody read what lies under such a path.
func forbid(server *kubetest.Server, part string) {
	server.Fail(func(r *http.Request) *metav1.Status {
		if strings.Contains(r.URL.Path, part) {
			return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "configmaps is forbidden"}
		}
		return nil
	})
}

// A release that cannot be compared is no failure of its cluster's check: it is recorded on the release, once, until a look tells all again.
func TestWhatCannotBeComparedIsRecorded(t *testing.T) {
	m, h := newCluster(t, deployment.Correct)
	m.look(t, h)
	m.put(1, "by hand")
	h.now = func() time.Time { return noon }
	forbid(m.server, "/configmaps/")
	m.look(t, h)
	want := &release.CheckError{Code: "cluster-unauthorized", Since: noon, Cause: m.release.CheckError.Cause}
	if diff := cmp.Diff(want, m.release.CheckError); diff != "" || !strings.Contains(want.Cause, "configmaps is forbidden") {
		t.Errorf("%q differs (-want +got):\n%s", want.Cause, diff)
	}
	if status, stale := release.StatusOf(m.release, true, 1); status != release.StatusDeployed || !stale {
		t.Errorf("the release is %s, stale %t", status, stale)
	}
	h.now = func() time.Time { return noon.Add(time.Hour) }
	m.look(t, h)
	if strings.Contains(strings.Join(m.writes, " "), "observed") || !m.release.CheckError.Since.Equal(noon) || len(m.started) > 0 {
		t.Errorf("the next look wrote %v, started %v: %+v", m.writes, m.started, m.release.CheckError)
	}
	m.server.Fail(nil)
	m.look(t, h)
	if m.release.CheckError != nil || m.release.DriftedObjects() != 1 || len(m.started) != 1 {
		t.Errorf("the drift is not known: %+v, %+v, started %v", m.release.CheckError, m.release.Drift, m.started)
	}
}

// A newest record that cannot be read shows its status all the same, and is not acted on: it may be a rollback by hand.
func TestARecordThatCannotBeRead(t *testing.T) {
	m, h := newCluster(t, deployment.Correct)
	m.look(t, h)
	m.keep(3, 1, "Rollback to 1")
	forbid(m.server, "/secrets/")
	m.look(t, h)
	if m.release.CheckError == nil || m.release.Observed.Revision != 3 || len(m.started) > 0 {
		t.Errorf("%+v, %+v, started %v", m.release.CheckError, m.release.Observed, m.started)
	}
	m.server.Fail(nil)
	m.look(t, h)
	if m.release.CheckError != nil || m.release.Observed.RolledBackTo != 1 || len(m.started) > 0 {
		t.Errorf("%+v, %+v, started %v", m.release.CheckError, m.release.Observed, m.started)
	}
}

// A person who asks for a check hears that it could not tell about the releases of that deployment, not about another's.
func TestAskedForALookThatCannotTell(t *testing.T) {
	m, h := newCluster(t, deployment.Detect)
	forbid(m.server, "/configmaps/")
	v, err := h.visit(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	if err := v.blind(release.OwnedByDeployment("d")); taskerr.CodeOf(err) != "cluster-unauthorized" {
		t.Errorf("it failed as %v", err)
	}
	if err := errors.Join(v.faults, v.blind(release.OwnedByDeployment("another"))); err != nil {
		t.Error(err)
	}
}
