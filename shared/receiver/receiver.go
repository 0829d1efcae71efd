// Package receiver is who is told of events: a channel, a URL, a mailbox; which events it wants, and whether it took the last.
package receiver

import (
	"regexp"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/problem"
)

// Kind is how a receiver is told.
type Kind string

// The kinds there are.
const (
	Slack   Kind = "slack"   // an incoming webhook of Slack's, or of who speaks as it does
	Teams   Kind = "teams"   // a workflow of Microsoft Teams' that takes Adaptive Cards
	Webhook Kind = "webhook" // a URL that gets the event itself, signed
	Email   Kind = "email"   // the installation's topic of mail
)

// HasURL says whether a receiver of the kind is reached by a URL of its own.
func (k Kind) HasURL() bool { return k != Email }

var kinds = []Kind{Slack, Teams, Webhook, Email}

// Receiver is one of an org's. Its URL and key are in Secrets Manager: they are as good as a password.
type Receiver struct {
	Org          string
	Name         string // unique in the org
	Kind         Kind
	Host         string   // of the URL: all of it that is shown
	CredentialID string   // which secret is this receiver's; empty: it needs none
	Events       []string // patterns of event types
	Filter       Filter
	Template     string // of the text; empty: Swell's own
	State        State
	Version      int64 // rises with every change that somebody makes, not with what is sent
	CreatedAt    time.Time
	CreatedBy    string
	UpdatedAt    time.Time
}

// Filter names what events must be about. What is empty is not asked.
type Filter struct {
	Groups, Deployments, Clusters []string // by name
}

// State says how the last of what was sent went.
type State struct {
	LastSentAt   time.Time
	FailingSince time.Time // zero: the last that was sent was taken
	LastError    string
}

// Default is what a receiver is told of if nobody says: what a person should look at.
var Default = []string{string(event.RunFailed), string(event.RunPartial), string(event.ReleaseDrifted), string(event.ClusterUnreachable), string(event.ClusterReachable)}

const (
	maxPatterns = 50
	maxNames    = 50
	codeInvalid = "receiver-invalid"
)

var nameRule = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Validate finds what a user got wrong in a receiver.
func (r Receiver) Validate() error {
	switch {
	case !nameRule.MatchString(r.Name):
		return problem.Invalid(codeInvalid, "receiver name %q is not a DNS-1123 label", r.Name).At("name").
			Try("use at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit")
	case !slices.Contains(kinds, r.Kind):
		return problem.Invalid(codeInvalid, "there is no kind %q of receivers", r.Kind).At("kind").Try("use slack, teams, webhook or email")
	case len(r.Events) == 0 || len(r.Events) > maxPatterns:
		return problem.Invalid(codeInvalid, "%d events are given", len(r.Events)).At("events").Try("give 1 to %d, or leave events out", maxPatterns)
	}
	for _, pattern := range r.Events {
		if err := event.ValidatePattern(pattern); err != nil {
			return err
		}
	}
	for field, names := range map[string][]string{"filter.groups": r.Filter.Groups, "filter.deployments": r.Filter.Deployments, "filter.clusters": r.Filter.Clusters} {
		if len(names) > maxNames || slices.Contains(names, "") {
			return problem.Invalid(codeInvalid, "there are %d names, or an empty one", len(names)).At(field).Try("give at most %d names", maxNames)
		}
	}
	return r.validateTemplate()
}

// Wants says whether the receiver is to be told of an event. Nobody is told of runs that only look, such as a plan: whoever started one waits for it.
func (r Receiver) Wants(e event.Event) bool {
	if e.Run != nil && (e.Run.Type == "plan" || e.Run.Type == "check") {
		return false
	}
	if !slices.ContainsFunc(r.Events, e.Type.Matches) {
		return false
	}
	return r.Filter.passes(e)
}

func (f Filter) passes(e event.Event) bool {
	if len(f.Groups) > 0 && (e.Group == nil || !slices.Contains(f.Groups, e.Group.Name)) {
		return false
	}
	if len(f.Deployments) > 0 && (e.Deployment == nil || !slices.Contains(f.Deployments, e.Deployment.ReleaseName)) {
		return false
	}
	return len(f.Clusters) == 0 || f.onClusters(e)
}

// onClusters: a run is on the clusters on which it did not succeed.
func (f Filter) onClusters(e event.Event) bool {
	if e.Cluster != nil {
		return slices.Contains(f.Clusters, e.Cluster.Name)
	}
	return e.Outcome != nil && slices.ContainsFunc(e.Outcome.Failures, func(t event.Failure) bool { return slices.Contains(f.Clusters, t.Cluster.Name) })
}

// Sent is the state after something was sent: err says why it was not taken.
func (s State) Sent(err error, at time.Time) State {
	if err == nil {
		return State{LastSentAt: at}
	}
	s.LastError = excerpt.Of(err.Error(), 500)
	if s.FailingSince.IsZero() {
		s.FailingSince = at
	}
	return s
}

// SecretName is where a receiver's URL and key are kept.
func SecretName(org, name string) string { return "swell/" + org + "/receiver/" + name }
