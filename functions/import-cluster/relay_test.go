package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/importcluster"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/workflow"
)

// orderBook is the queue of relays, and the part of the table that they need.
type orderBook struct {
	*memory
	sent []workflow.RelayVerb
	down bool
	work func(*cluster.RelaySetup) // of who carries orders out, between a read and what follows it
}

func (o *orderBook) Send(_ context.Context, body any) error {
	if o.down {
		return errors.New("the queue is away")
	}
	o.sent = append(o.sent, body.(workflow.RelayOrder).Do)
	return nil
}

func (o *orderBook) FindCluster(_ context.Context, _, id string) (cluster.Cluster, error) {
	for i, c := range o.clusters {
		if c.ID == id {
			if o.work != nil {
				o.work(&o.clusters[i].RelaySetup)
			}
			return c, nil
		}
	}
	return cluster.Cluster{}, problem.NotFound("cluster-not-found", "there is no cluster %q", id)
}

func (o *orderBook) SetRelaySetup(_ context.Context, _, id string, r cluster.RelaySetup) error {
	for i := range o.clusters {
		if o.clusters[i].ID == id {
			o.clusters[i].RelaySetup = r
		}
	}
	return nil
}

func (o *orderBook) OrderRelay(_ context.Context, _, id string, wanted bool, status cluster.RelayStatus, at time.Time) error {
	for i := range o.clusters {
		if s := &o.clusters[i].RelaySetup; o.clusters[i].ID == id {
			s.Wanted, s.Status, s.Error, s.ChangedAt = wanted, status, "", at
		}
	}
	return nil
}

func (o *orderBook) call(t *testing.T, relays bool, method, path string, body any) (*httptest.ResponseRecorder, openapi.Cluster) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, "/api/v1/orgs/default/clusters"+path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
	w := httptest.NewRecorder()
	loopback := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	importcluster.New(handler{store: o, secrets: o, orders: o, relays: relays, policy: loopback, log: slog.New(slog.DiscardHandler), now: time.Now}).ServeHTTP(w, r)
	var c openapi.Cluster
	if w.Code < 300 {
		if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
	}
	return w, c
}

func TestImportOrdersARelay(t *testing.T) {
	cases := map[string]struct {
		installation bool
		request      any
		down         bool
		sent         []workflow.RelayVerb
		status       openapi.ClusterRelayStatus
	}{
		"as the installation says":    {installation: true, sent: []workflow.RelayVerb{workflow.RelayInstall}, status: openapi.ClusterRelayStatusINSTALLING},
		"not as the installation":     {installation: true, request: map[string]bool{"enabled": false}},
		"the installation wants none": {},
		"though it wants none":        {request: map[string]bool{"enabled": true}, sent: []workflow.RelayVerb{workflow.RelayInstall}, status: openapi.ClusterRelayStatusINSTALLING},
		"it cannot be ordered":        {installation: true, down: true, status: openapi.ClusterRelayStatusFAILED},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := &orderBook{memory: &memory{secrets: map[string]string{}}, down: c.down}
			body := map[string]any{"name": "edge", "kubeconfig": string(kubetest.New(t, kubetest.Options{}).Kubeconfig())}
			if c.request != nil {
				body["relay"] = c.request
			}
			w, got := o.call(t, c.installation, http.MethodPost, "", body)
			if w.Code != http.StatusCreated {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(c.sent, o.sent); diff != "" {
				t.Error(diff)
			}
			if c.status == "" != (got.Relay == nil) || got.Relay != nil && got.Relay.Status != c.status {
				t.Errorf("the relay is %+v", got.Relay)
			}
		})
	}
}

func TestOrderARelay(t *testing.T) {
	o := &orderBook{memory: &memory{secrets: map[string]string{}, clusters: []cluster.Cluster{{Org: "default", ID: "c", Name: "edge"}}}}
	if w, _ := o.call(t, true, http.MethodPost, "/c/relay/rotate", nil); w.Code != http.StatusConflict || !bytes.Contains(w.Body.Bytes(), []byte("relay-not-wanted")) {
		t.Errorf("a key without a relay: %d %s", w.Code, w.Body)
	}
	if w, c := o.call(t, true, http.MethodPost, "/c/relay", nil); w.Code != http.StatusAccepted || c.Relay == nil || !c.Relay.Wanted {
		t.Errorf("install: %d %s", w.Code, w.Body)
	}
	if w, _ := o.call(t, true, http.MethodPost, "/edge/relay/rotate?field=name", nil); w.Code != http.StatusAccepted {
		t.Errorf("rotate: %d %s", w.Code, w.Body)
	}
	if w, c := o.call(t, true, http.MethodDelete, "/c/relay", nil); w.Code != http.StatusAccepted || c.Relay.Wanted || c.Relay.Status != openapi.ClusterRelayStatusREMOVING {
		t.Errorf("remove: %d %s", w.Code, w.Body)
	}
	if w, _ := o.call(t, true, http.MethodPost, "/nobody/relay", nil); w.Code != http.StatusNotFound {
		t.Errorf("a cluster that is not there: %d", w.Code)
	}
	if diff := cmp.Diff([]workflow.RelayVerb{workflow.RelayInstall, workflow.RelayRotate, workflow.RelayRemove}, o.sent); diff != "" {
		t.Error(diff)
	}
}

// An order says what is wanted and nothing of what it found: that is written by who carries orders out, at any moment.
func TestAnOrderWhileAnotherIsCarriedOut(t *testing.T) {
	o := &orderBook{memory: &memory{secrets: map[string]string{}, clusters: []cluster.Cluster{{Org: "default", ID: "c", Name: "edge"}}}}
	done := cluster.RelaySetup{Wanted: true, Status: cluster.RelayInstalled, ChartVersion: "1.0.0", KeyRotatedAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Rotating: true}
	o.work = func(setup *cluster.RelaySetup) { *setup = done }
	if w, _ := o.call(t, true, http.MethodDelete, "/c/relay", nil); w.Code != http.StatusAccepted {
		t.Fatalf("remove: %d %s", w.Code, w.Body)
	}
	want := done
	want.Wanted, want.Status, want.ChangedAt = false, cluster.RelayRemoving, o.clusters[0].RelaySetup.ChangedAt
	if diff := cmp.Diff(want, o.clusters[0].RelaySetup); diff != "" {
		t.Error(diff)
	}
}
