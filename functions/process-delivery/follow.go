package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// work is a delivery on its way to the deployments.
type work struct {
	handler
	source source.Source
	secret source.Secret
	event  source.Event

	guarded *http.Client
	answers answers
}

// found is what a rule reads at the host now.
type found struct {
	ref, commit, tag string
	inputs           string // a digest of all that is sent
	change           change
}

// at is what the rule's state calls it.
func (f found) at() string { return f.commit + f.tag }

const maxTries = 5

// reserve is what is left of the function's time to record that a host did not answer within the rest.
const reserve = 10 * time.Second

// followAll follows the rules that the delivery is about.
func (w *work) followAll(ctx context.Context, record source.Record) (source.Record, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	rules, why := w.source.Match(record.Event)
	record.Rules, record.Why = nil, why
	var err error
	if w.guarded, err = w.hosts.client(w.secret); err != nil {
		return record, err
	}
	states, err := w.states(ctx, rules)
	if err != nil {
		return record, err
	}
	for _, i := range rules {
		done, err := w.follow(ctx, w.source.Rules[i], states[i])
		if err != nil {
			return record, err
		}
		record.Rules = append(record.Rules, done)
	}
	return record, nil
}

// follow brings the rule's deployment to what the host has now, and says what became of it. What a person must put right is recorded; what may pass is an
// error, and comes again.
func (w *work) follow(ctx context.Context, r source.Rule, state source.State) (source.RuleRecord, error) {
	done := source.RuleRecord{Group: r.Group, ReleaseName: r.ReleaseName}
	var err error
	if w.event.Kind == source.PullRequest {
		err = w.plan(ctx, r, state, &done)
	} else {
		err = w.deploy(ctx, r, state, &done)
	}
	if p, ok := problem.From(err); ok {
		done.Outcome, done.Why = source.Failed, p.Error()
		if p.Remedy != "" {
			done.Why += "; " + p.Remedy
		}
		return done, nil
	}
	return done, err
}

// states are how far the rules are. They are read before the host is asked: what it answers is newer than each.
func (w *work) states(ctx context.Context, rules []int) (map[int]source.State, error) {
	states := map[int]source.State{}
	for _, i := range rules {
		var err error
		if states[i], err = w.state(ctx, w.source.Rules[i]); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (w *work) state(ctx context.Context, r source.Rule) (source.State, error) {
	state, err := w.store.FindRuleState(ctx, w.source.Org, w.source.Name, r.Key())
	if err != nil {
		return state, fmt.Errorf("finding how far rule %s is: %w", r.Key(), err)
	}
	return state, nil
}

// deploy moves the rule step by step: the state is read before the host is asked, and written before the deployment is changed. So of two deliveries at
// once the one that looked first is told, and looks again: in the end the newest commit stands.
func (w *work) deploy(ctx context.Context, r source.Rule, state source.State, done *source.RuleRecord) error {
	for range maxTries {
		ref, at, err := w.look(ctx, r)
		if err != nil {
			return err
		}
		if unchanged(state, w.source.Digest(r), at, done) {
			return nil
		}
		f, err := w.read(ctx, r, ref, at)
		if err != nil {
			return err
		}
		again, err := w.apply(ctx, r, state, f, done)
		if err != nil || !again {
			return err
		}
		w.answers = answers{}
		if state, err = w.state(ctx, r); err != nil {
			return err
		}
	}
	return errors.New("others always changed the deployment first")
}

func unchanged(state source.State, rule, at string, done *source.RuleRecord) bool {
	if !state.Settled() || state.Commit != at || state.Rule != rule {
		return false
	}
	done.Outcome, done.Why = source.Ignored, at+" is deployed"
	return true
}

// apply writes the intent, changes the deployment and settles. again says that somebody else was faster somewhere: everything is looked at anew.
func (w *work) apply(ctx context.Context, r source.Rule, state source.State, f found, done *source.RuleRecord) (again bool, err error) {
	done.Commit, done.Tag = f.commit, f.tag
	put := func(s source.State) (bool, error) {
		return w.store.PutRuleState(ctx, w.source.Org, w.source.Name, r.Key(), s)
	}
	settled := source.State{Step: state.Step + 1, Rule: w.source.Digest(r), Commit: f.at(), Inputs: f.inputs, Run: state.Run}
	if state.Has(f.inputs) {
		done.Outcome, done.Why = source.Ignored, "what the rule reads is as it was deployed"
		_, err := put(settled)
		return false, err
	}
	api := w.swell()
	if state.Intent.Commit != f.at() || state.Intent.Inputs != f.inputs {
		tag, err := api.version(ctx, r)
		if err != nil {
			return false, err
		}
		state.Step++
		state.Intent = source.Intent{Commit: f.at(), Inputs: f.inputs, IfMatch: tag}
		if wrote, err := put(state); err != nil || !wrote {
			return !wrote, err
		}
	}
	run, err := api.update(ctx, r, f.change, state.Intent.IfMatch, w.source.IdempotencyKey(r, state.Step, f.at()))
	switch {
	case problem.Is(err, "idempotency-key-in-use"):
		done.Outcome, done.Why = source.Ignored, "another delivery makes the same change at this moment"
		return false, nil
	case problem.Is(err, "precondition-failed"), problem.Is(err, "deployment-changed"), problem.Is(err, "idempotency-key-reused"):
		_, err := put(source.State{Step: state.Step + 1, Run: state.Run}) // somebody changed it: what is deployed is not known
		return true, err
	case err != nil:
		return false, err
	}
	settled.Step, settled.Run = state.Step+1, run
	done.Outcome, done.Run = source.Accepted, run
	_, err = put(settled)
	return false, err
}

// plan asks for a dry run at the head of a pull request's branch.
func (w *work) plan(ctx context.Context, r source.Rule, state source.State, done *source.RuleRecord) error {
	f, err := w.read(ctx, r, w.event.Ref, "")
	if err != nil {
		return err
	}
	done.Commit = f.commit
	f.change.DryRun, f.change.Origin.PullRequest = true, w.event.PullRequest
	if state.Has(f.inputs) {
		done.Outcome, done.Why = source.Ignored, "what the rule reads is as it was deployed"
		return nil
	}
	done.Run, err = w.swell().update(ctx, r, f.change, "", w.source.IdempotencyKey(r, int64(w.event.PullRequest), "plan "+f.commit))
	if err == nil {
		done.Outcome = source.Accepted
	}
	return err
}
