package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/githost"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi/client"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/source"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindSource(ctx context.Context, org, name string) (source.Source, error)
	FindComment(ctx context.Context, org, src string, pullRequest int, deployment string) (string, error)
	PutComment(ctx context.Context, org, src string, pullRequest int, deployment, comment string, plannedAt time.Time) (newest bool, err error)
}

type secretsOf interface {
	OfSource(ctx context.Context, s source.Source) (source.Secret, error)
}

type handler struct {
	store    store
	secrets  secretsOf
	networks netguard.Policy
	api      string // the base URL of Swell's own
	client   *http.Client
	log      *slog.Logger
}

// handle takes the bus' events from the queue. What may pass brings the message back; what the host refuses is logged, for nobody waits for it.
func (h handler) handle(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // null is not taken for none everywhere
	for _, m := range in.Records {
		var envelope struct{ Detail event.Event }
		err := json.Unmarshal([]byte(m.Body), &envelope)
		if err == nil {
			err = h.tell(ctx, envelope.Detail)
		}
		if err == nil {
			continue
		}
		h.log.ErrorContext(ctx, "telling a Git host of a run", "message", m.MessageId, "error", err.Error())
		if githost.Passing(err) {
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, nil
}

// tell sets the commit's status, and writes the plan of a pull request. Told twice, it writes the same in the same place.
func (h handler) tell(ctx context.Context, e event.Event) error {
	if e.Run == nil {
		return nil
	}
	r, err := h.store.FindRun(ctx, e.Org, e.Run.ID)
	if problem.Is(err, "run-not-found") || err == nil && r.Origin.Commit == "" {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := h.store.FindSource(ctx, r.Org, r.Origin.Source)
	if problem.Is(err, "source-not-found") || err == nil && (!s.HasCredential || s.API() == "") {
		return nil // nobody may write there
	}
	if err != nil {
		return err
	}
	host, key, err := h.hostOf(ctx, s, r.Origin.Repository)
	if err != nil {
		return err
	}
	about := about{run: r, group: groupOf(e, r)}
	if r.Type == run.Plan && r.Origin.PullRequest > 0 && r.Status.Done() {
		err = h.comment(ctx, host, key, about)
	}
	statusErr := host.SetStatus(ctx, r.Origin.Commit, about.status())
	if errors.Is(statusErr, githost.ErrUnsupported) {
		statusErr = nil
	}
	return errors.Join(err, statusErr)
}

// hostOf is where the source's repository is, and the API key of the source.
func (h handler) hostOf(ctx context.Context, s source.Source, repository string) (host githost.Host, key string, err error) {
	secret, err := h.secrets.OfSource(ctx, s)
	if err != nil {
		return host, "", err
	}
	guarded, err := h.clientOf(secret)
	return githost.Host{Client: guarded, Kind: s.Kind, API: s.API(), Repository: repository, Username: secret.Username, Token: secret.Token}, secret.Key, err
}

// clientOf asks the source's host, through the guarded dialer.
func (h handler) clientOf(secret source.Secret) (*http.Client, error) {
	trust, err := secret.TLS()
	if err != nil {
		return nil, err
	}
	guarded := h.networks.HTTPClient(20 * time.Second)
	guarded.Transport = h.networks.Transport(trust)
	return guarded, nil
}

func groupOf(e event.Event, r run.Run) string {
	if e.Group != nil && e.Group.Name != "" {
		return e.Group.Name
	}
	return r.GroupID
}

// about is a run, with the name of its group.
type about struct {
	run   run.Run
	group string
}

func (a about) deployment() string { return a.group + "/" + a.run.ReleaseName }

func (a about) status() githost.Status {
	r := a.run
	s := githost.Status{State: githost.Pending, Context: "swell/" + a.deployment(), URL: r.Origin.URL}
	verb := "deployed to"
	if r.Type == run.Plan {
		s.Context, verb = "swell/plan/"+a.deployment(), "planned for"
	}
	switch r.Status {
	case run.Succeeded:
		s.State, s.Description = githost.Success, verb+" every cluster of "+a.group
	case run.Pending, run.Running:
		s.Description = "run " + r.ID + " is under way"
	case run.Superseded:
		s.State, s.Description = githost.Success, "a newer change took over"
	default:
		s.State, s.Description = githost.Failure, fmt.Sprintf("not %s every cluster of %s: run %s is %s", verb, a.group, r.ID, r.Status)
	}
	return s
}

// comment writes what the plan says, unless what a newer plan says is there; the id of the comment is remembered, and found again by its marker where it was
// not.
func (h handler) comment(ctx context.Context, host githost.Host, key string, a about) error {
	api, err := client.New(h.api, key, h.client)
	if err != nil {
		return err
	}
	text, err := plan{api, a}.text(ctx)
	if err != nil {
		return err
	}
	r := a.run
	id, err := h.store.FindComment(ctx, r.Org, r.Origin.Source, r.Origin.PullRequest, a.deployment())
	if err != nil {
		return err
	}
	remember := func(id string) (newest bool, err error) {
		return h.store.PutComment(ctx, r.Org, r.Origin.Source, r.Origin.PullRequest, a.deployment(), id, r.CreatedAt)
	}
	if newest, err := remember(id); err != nil || !newest { // before the host is told: an older plan that comes now stays away
		return err
	}
	wrote, err := host.Comment(ctx, r.Origin.PullRequest, id, "swell "+r.Org+"/"+r.Origin.Source+" "+a.deployment(), text)
	if errors.Is(err, githost.ErrUnsupported) {
		return nil
	}
	if err != nil || wrote == id {
		return err
	}
	_, err = remember(wrote)
	return err
}
