package receiver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/webhook"
)

var now = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

func given(change func(*receiver.Receiver)) receiver.Receiver {
	r := receiver.Receiver{Org: "acme", Name: "ops", Kind: receiver.Slack, Events: receiver.Default}
	if change != nil {
		change(&r)
	}
	return r
}

func TestValidate(t *testing.T) {
	cases := map[string]struct {
		change      func(*receiver.Receiver)
		code, field string // empty: valid
	}{
		"as it is":          {nil, "", ""},
		"all events":        {func(r *receiver.Receiver) { r.Events = []string{"*"} }, "", ""},
		"no name":           {func(r *receiver.Receiver) { r.Name = "" }, "receiver-invalid", "name"},
		"a name of others":  {func(r *receiver.Receiver) { r.Name = "a/b" }, "receiver-invalid", "name"},
		"no kind":           {func(r *receiver.Receiver) { r.Kind = "pager" }, "receiver-invalid", "kind"},
		"no events":         {func(r *receiver.Receiver) { r.Events = nil }, "receiver-invalid", "events"},
		"unknown event":     {func(r *receiver.Receiver) { r.Events = []string{"run.fail"} }, "event-unknown", "events"},
		"an empty name":     {func(r *receiver.Receiver) { r.Filter.Groups = []string{""} }, "receiver-invalid", "filter.groups"},
		"a template":        {func(r *receiver.Receiver) { r.Template = "{{.org}}" }, "", ""},
		"a webhook's":       {func(r *receiver.Receiver) { r.Kind, r.Template = receiver.Webhook, "{{.org}}" }, "receiver-invalid", "template"},
		"a broken template": {func(r *receiver.Receiver) { r.Template = "{{" }, "template-invalid", "template"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := given(c.change).Validate()
			var p *problem.Problem
			if c.code == "" && err != nil || c.code != "" && (!errors.As(err, &p) || p.Code != c.code || p.Field != c.field) {
				t.Errorf("got %v, want %s at %s", err, c.code, c.field)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	key := webhook.KeyOf(make([]byte, 24)).Text()
	cases := map[string]struct {
		kind  receiver.Kind
		c     receiver.Credential
		field string
	}{
		"slack":              {receiver.Slack, receiver.Credential{URL: "https://hooks.slack.com/x"}, ""},
		"webhook":            {receiver.Webhook, receiver.Credential{URL: "https://x.example", Key: key}, ""},
		"no key":             {receiver.Webhook, receiver.Credential{URL: "https://x.example", Key: "whsec_x"}, "secret"},
		"email":              {receiver.Email, receiver.Credential{}, ""},
		"no URL":             {receiver.Teams, receiver.Credential{}, "url"},
		"a URL without host": {receiver.Slack, receiver.Credential{URL: "/x"}, "url"},
		"a long URL":         {receiver.Slack, receiver.Credential{URL: "https://x.example/" + strings.Repeat("x", 3000)}, "url"},
		"an unsigned hook":   {receiver.Webhook, receiver.Credential{URL: "https://x.example"}, "secret"},
		"a signed slack":     {receiver.Slack, receiver.Credential{URL: "https://x.example", Key: "x"}, "secret"},
		"email with a URL":   {receiver.Email, receiver.Credential{URL: "https://x.example"}, "url"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.c.Validate(c.kind)
			var p *problem.Problem
			if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &p) || p.Field != c.field || strings.Contains(p.Error(), "xxx")) {
				t.Errorf("got %v, want %s", err, c.field)
			}
		})
	}
	secret := receiver.Credential{ID: "1", URL: "https://hooks.slack.com/hunter2", Key: "hunter2"}
	raw, err := json.Marshal(secret)
	if text := fmt.Sprintf("%v %+v %#v %s %q %s", secret, secret, secret, secret, secret, raw); err != nil || strings.Contains(text, "hunter2") {
		t.Errorf("it prints as %s", text)
	}
	stored, err := secret.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r := given(func(r *receiver.Receiver) { r.CredentialID = "1" })
	if got, err := r.ReadCredential(stored); err != nil || got != secret {
		t.Error("it does not come back", err)
	}
	r.CredentialID = "2"
	if _, err := r.ReadCredential(stored); !problem.Is(err, "receiver-credential-missing") {
		t.Errorf("another's URL is used: %v", err)
	}
}

func failed() event.Event {
	return event.Event{
		ID: "e1", Type: event.RunPartial, Org: "acme", Time: now, SchemaVersion: 1, Deployment: &event.Deployment{ID: "d", ReleaseName: "web"}, Group: &event.Group{ID: "g", Name: "prod"},
		Run: &event.Run{ID: "r1", Type: "deploy", Trigger: "api", Actor: "ann", Generation: 3, Status: "Partial", StartedAt: now.Add(-42 * time.Second), EndedAt: now},
		Outcome: &event.Outcome{Targets: 4, Succeeded: 1, Failed: 3, Failures: []event.Failure{
			{Cluster: event.Cluster{Name: "eu-1"}, Code: "not-ready", Cause: "web-1: ImagePullBackOff: shop:9", Remedy: &event.Remedy{Action: "upgrade", Revision: 6, Status: "Succeeded"}},
			{Cluster: event.Cluster{Name: "eu-2"}, Code: "not-ready", Cause: "web-1: OOMKilled"},
			{Cluster: event.Cluster{ID: "c3"}, Code: "hook-failed", Cause: "migrate failed"},
		}},
	}
}

func TestWants(t *testing.T) {
	plan := failed()
	plan.Run = &event.Run{Type: "plan"}
	drift := event.Event{Type: event.ReleaseDrifted, Cluster: &event.Cluster{Name: "us-1"}}
	cases := map[string]struct {
		change func(*receiver.Receiver)
		event  event.Event
		want   bool
	}{
		"by default":            {nil, failed(), true},
		"of a plan":             {nil, plan, false},
		"another event":         {func(r *receiver.Receiver) { r.Events = []string{"release.*"} }, failed(), false},
		"a family":              {func(r *receiver.Receiver) { r.Events = []string{"run.*"} }, failed(), true},
		"of its group":          {func(r *receiver.Receiver) { r.Filter.Groups = []string{"test", "prod"} }, failed(), true},
		"of another group":      {func(r *receiver.Receiver) { r.Filter.Groups = []string{"test"} }, failed(), false},
		"of its deployment":     {func(r *receiver.Receiver) { r.Filter.Deployments = []string{"web"} }, failed(), true},
		"of another deployment": {func(r *receiver.Receiver) { r.Filter.Deployments = []string{"db"} }, failed(), false},
		"of no deployment":      {func(r *receiver.Receiver) { r.Filter.Deployments = []string{"db"} }, drift, false},
		"failed on its cluster": {func(r *receiver.Receiver) { r.Filter.Clusters = []string{"eu-2"} }, failed(), true},
		"failed elsewhere":      {func(r *receiver.Receiver) { r.Filter.Clusters = []string{"us-1"} }, failed(), false},
		"drift on its cluster":  {func(r *receiver.Receiver) { r.Filter.Clusters = []string{"us-1"} }, drift, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := given(c.change).Wants(c.event); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// One message says it all: what, where, by whom, each cluster's cause and remedy, and what to type.
func TestComposeOfARunThatFailed(t *testing.T) {
	want := receiver.Message{
		Mood: receiver.Bad, Title: "Deploy of web in group prod succeeded only in part: 3 of 4 clusters failed",
		Lines: []string{"eu-1 (not-ready): web-1: ImagePullBackOff: shop:9; went back to revision 6: succeeded", "eu-2 (not-ready): web-1: OOMKilled", "c3 (hook-failed): migrate failed"},
		Facts: []receiver.Fact{{"Organization", "acme"}, {"Generation", "3"}, {"Started by", "ann (api)"}, {"Took", "42s"}}, Command: "swell run get r1 --org acme",
	}
	if diff := cmp.Diff(want, given(nil).Compose(failed())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all := failed()
	all.Type, all.Outcome.Targets = event.RunFailed, 3
	if title := given(nil).Compose(all).Title; title != "Deploy of web in group prod failed on 3 of 3 clusters" {
		t.Errorf("got %q", title)
	}
	many := failed()
	many.Outcome.Failed = 50
	if lines := given(nil).Compose(many).Lines; lines[len(lines)-1] != "and 47 more" {
		t.Errorf("got %q", lines)
	}
}

func TestComposeOfEveryKind(t *testing.T) {
	titles := map[event.Type]string{
		event.RunStarted: "Deploy of web in group prod began", event.TargetFailed: "Deploy of web in group prod failed on cluster eu-1",
		event.ReleaseDrifted: "web in group prod drifted on cluster eu-1", event.ClusterUnreachable: "Cluster eu-1 does not answer",
		event.DeploymentAccepted: "Generation 3 of web in group prod was accepted", event.GroupChanged: "Cluster group prod was changed",
		event.DeploymentRemoved: "deployment.removed: web in group prod",
	}
	for _, kind := range event.Kinds {
		e := failed()
		e.Type = kind.Type
		e.Target, e.Cluster, e.Release = &event.Target{Code: "x"}, &event.Cluster{Name: "eu-1"}, &event.Release{Drift: &event.Drift{Objects: 1, Fields: 2}}
		e.Generation, e.Change = nil, nil
		switch kind.Type {
		case event.DeploymentAccepted:
			e.Generation = &event.Generation{Number: 3}
		case event.GroupChanged:
			e.Change = &event.GroupDelta{Kind: "changed"}
		case event.RunStarted, event.RunPaused, event.RunResumed:
			e.Outcome = nil
		}
		m := given(nil).Compose(e)
		if m.Title == "" || strings.Contains(m.Title, "  ") || strings.HasSuffix(m.Title, " ") || m.Plain() == "" {
			t.Errorf("%s: %q\n%s", kind.Type, m.Title, m.Plain())
		}
		if want := titles[kind.Type]; want != "" && m.Title != want {
			t.Errorf("%s: %q, want %q", kind.Type, m.Title, want)
		}
	}
}

func TestState(t *testing.T) {
	var s receiver.State
	s = s.Sent(errors.New("it answered 500"), now)
	s = s.Sent(errors.New("it answered 404"), now.Add(time.Hour))
	if s.LastError != "it answered 404" || !s.FailingSince.Equal(now) {
		t.Errorf("%+v", s)
	}
	if s = s.Sent(nil, now.Add(2*time.Hour)); s != (receiver.State{LastSentAt: now.Add(2 * time.Hour)}) {
		t.Errorf("%+v", s)
	}
}

func TestTemplates(t *testing.T) {
	list := "{{.deployment.releaseName}}: {{len .outcome.failures}} of {{.outcome.targets}}{{range .outcome.failures}} [{{.cluster.name}} {{.cause}}{{with .remedy}} {{.status}}{{end}}]{{else}} fine{{end}} {{$.run.id}}"
	cases := map[string]struct{ template, want, refused string }{
		"a list":             {list, "web: 3 of 4 [eu-1 web-1: ImagePullBackOff: shop:9 Succeeded] [eu-2 web-1: OOMKilled] [ migrate failed] r1", ""},
		"decisions":          {`{{if and (eq .type "run.failed" "run.partial") (not .nothing)}}x{{end}}`, "", "no field nothing"},
		"comparisons":        {`{{if eq .type "run.failed" "run.partial"}}bad{{else}}good{{end}}{{if ne .org "acme"}}!{{end}}{{or .run.code "no code"}}{{and .run.id .run.actor}}`, "badno codeann", ""},
		"a pipe":             {`{{.outcome.failures | len}}{{/* said */}}{{true}}{{3}}`, "3true3", ""},
		"a typing error":     {"{{.run.idd}}", "", "no field idd"},
		"what may be absent": {"{{range .outcome.failures}}{{.remedy.action}}{{end}}", "", ".remedy may be absent"},
		"a number's loop":    {"{{range 1000000000}}x{{end}}", "", "is no list"},
		"nested loops":       {strings.Repeat("{{range .outcome.failures}}", 3) + "x" + strings.Repeat("{{end}}", 3), strings.Repeat("", 1), "no field outcome"},
		"loops of the root":  {strings.Repeat("{{range $.outcome.failures}}", 12) + "x" + strings.Repeat("{{end}}", 12), "", ""}, // accepted of one failure; of three, it takes too many steps
		"a variable":         {"{{$x := .run.id}}{{$x}}", "", "sets a variable"},
		"a definition":       {`{{define "x"}}{{template "x"}}{{end}}`, "", "defines"},
		"itself":             {`{{template "template"}}`, "", "not known"},
		"printf":             {`{{printf "%1000000d" 1}}`, "", "not defined"},
		"a call":             {`{{.run.id "x"}}`, "", "no function"},
		"a chain":            {`{{(.run).id}}`, "", "not known"},
		"len of a number":    {`{{len .outcome.targets}}`, "", "no length"},
		"empty":              {" ", " ", ""},
		"too long":           {strings.Repeat("x", 5000), "", "over 4 KiB"},
		"too long a text":    {"{{range .outcome.failures}}" + strings.Repeat("x", 3000) + "{{end}}", "", ""}, // likewise: of three failures it is too long, and Swell's text is sent
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := given(func(r *receiver.Receiver) { r.Template, r.Events = c.template, []string{"run.partial"} })
			err := r.Validate()
			if c.refused != "" {
				if !problem.Is(err, "template-invalid") || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, want %q", err, c.refused)
				}
				return
			}
			if got := r.Compose(failed()).Text; err != nil || got != c.want {
				t.Errorf("%v: got %q, want %q", err, got, c.want)
			}
		})
	}
	if err := given(func(r *receiver.Receiver) { r.Template, r.Events = "{{.outcome.failed}}", []string{"run.*"} }).Validate(); err == nil || !strings.Contains(err.Error(), "run.started") {
		t.Errorf("a field that one of the events does not have: %v", err)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{{.run.id}}", "{{range .outcome.failures}}{{.cause}}{{end}}", "{{with .x}}{{.}}{{else}}{{$}}{{end}}", "{{eq}}{{not}}{{and}}{{len}}{{nil}}", `{{"x" | eq "x"}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := given(func(r *receiver.Receiver) { r.Template, r.Events = text, []string{"*"} })
		_ = r.Validate()
		if got := r.Compose(failed()).Text; len(got) > 4<<10 {
			t.Errorf("a text of %d bytes", len(got))
		}
	})
}
