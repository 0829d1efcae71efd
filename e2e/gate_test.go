//go:build stack

package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/webhook"
)

// judge is a program outside that is asked whether a roll-out may go on, and says what it is told to.
type judge struct {
	key webhook.Key

	mu    sync.Mutex
	asked []notify.Question
	wrong error
}

func (j *judge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, err = webhook.Verify(r.Header, body, time.Now(), j.key)
	}
	var q notify.Question
	if err == nil && bytes.Contains(body, []byte(`"gate.asked"`)) { // it is told of runs of other tests, too
		err = json.Unmarshal(body, &q)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.wrong = err
	}
	if q.Type == "gate.asked" {
		j.asked = append(j.asked, q)
	}
	w.WriteHeader(http.StatusNoContent)
}

// await returns the questions once there are n, with what is to be answered.
func (j *judge) await(t *testing.T, n int) notify.Question {
	t.Helper()
	var last notify.Question
	err := poll(t.Context(), time.Minute, func() (bool, error) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if len(j.asked) < n {
			return false, j.wrong
		}
		last = j.asked[n-1]
		return true, j.wrong
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func (j *judge) answer(t *testing.T, q notify.Question, body string, key webhook.Key) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, q.Callback, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	webhook.Sign(r.Header, webhook.Message{ID: q.ID, At: time.Now()}, []byte(body), key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(bytes.TrimSpace(raw))
}

// A program outside opens or shuts the gate between two waves; what is forged, late or comes twice has no effect.
func TestAGateBetweenWaves(t *testing.T) {
	t.Parallel()
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	j := &judge{key: webhook.KeyOf(secret)}
	server := httptest.NewServer(j)
	t.Cleanup(server.Close)
	name := unique("judge")
	must(t, http.StatusCreated, http.MethodPost, "/receivers", intent{"name": name, "kind": "webhook", "url": server.URL, "secret": j.key.Text(), "events": []string{"run.failed"}}, nil)
	forgetAtEnd(t, "/receivers/"+name)
	a := newApp(t, swell.group, "gated")
	waves := intent{"waves": []intent{{"name": "canary", "clusters": []string{clusterA}, "gate": intent{"receiver": name, "timeout": "5m"}}}}

	stranger := intent{"waves": []intent{{"name": "canary", "clusters": []string{clusterA}, "gate": intent{"receiver": "nobody"}}}}
	if refused := do(t, http.MethodPost, "/clustergroups/"+swell.group+"/deployments", intent{"name": pushDemo(t), "releaseName": a.name, "rollout": stranger}); refused.status != 422 ||
		refused.problem.Code != "receiver-unknown" || refused.problem.Field != "rollout.waves[0].gate.receiver" {
		t.Errorf("answered %d %s", refused.status, refused.raw)
	}
	first := a.create(intent{"name": pushDemo(t), "rollout": waves})
	q := j.await(t, 1)
	if q.Wave != "canary" || len(q.Targets) != 1 || q.Targets[0] != clusterA || q.Run != first.Run || q.Deployment != a.name || q.Generation != 1 || q.PlanHash == "" {
		t.Errorf("it was asked %+v", q)
	}
	if status, text := j.answer(t, q, `{"status":"passed"}`, webhook.KeyOf(bytes.Repeat([]byte{1}, 32))); status != http.StatusUnauthorized {
		t.Errorf("a forged answer was answered %d %s", status, text)
	}
	another := q
	another.ID = "answer"
	if status, text := j.answer(t, another, `{"status":"passed"}`, j.key); status != http.StatusUnauthorized {
		t.Errorf("an answer to another question was answered %d %s", status, text)
	}
	if r := getRun(t, first.Run); targetOf(t, r, clusterB).Status != openapi.RunTargetStatusWaiting {
		t.Errorf("it went on without an answer:\n%s", describe(r))
	}
	if status, text := j.answer(t, q, `{"status":"passed"}`, j.key); status != http.StatusAccepted || !strings.Contains(text, `"counted":true`) {
		t.Errorf("answered %d %s", status, text)
	}
	if status, text := j.answer(t, q, `{"status":"failed"}`, j.key); status != http.StatusAccepted || !strings.Contains(text, `"counted":false`) {
		t.Errorf("the second answer was answered %d %s", status, text)
	}
	ended(t, first.Run, openapi.RunStatusSucceeded)

	second := a.update(intent{"values": values{"message": "two"}})
	q = j.await(t, 2)
	if status, text := j.answer(t, q, `{"status":"failed","reason":"errors rise"}`, j.key); status != http.StatusAccepted {
		t.Errorf("answered %d %s", status, text)
	}
	r := ended(t, second.Run, openapi.RunStatusPartial)
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusCanceled, "gate-failed", "errors rise", false)
	if status, text := j.answer(t, q, `{"status":"passed"}`, j.key); status != http.StatusAccepted || !strings.Contains(text, `"counted":false`) {
		t.Errorf("a late answer was answered %d %s", status, text)
	}

	var again openapi.Run // of what was kept back alone: it is asked for anew
	must(t, http.StatusAccepted, http.MethodPost, "/runs/"+r.ID+"/redrive", nil, &again)
	q = j.await(t, 3)
	if q.Wave != "canary" || len(q.Targets) > 0 || q.Run != again.ID {
		t.Errorf("of the redrive it was asked %+v", q)
	}
	if status, text := j.answer(t, q, `{"status":"passed"}`, j.key); status != http.StatusAccepted || !strings.Contains(text, `"counted":true`) {
		t.Errorf("answered %d %s", status, text)
	}
	wantOutcome(t, ended(t, again.ID, openapi.RunStatusSucceeded), clusterB, openapi.RunTargetStatusSucceeded, "", "", false)
}
