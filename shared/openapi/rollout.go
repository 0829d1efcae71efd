package openapi

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/rollout"
)

// RolloutOr is the roll-out that the request asks for; where it says nothing, that of the generation before.
func (r DeploymentRequest) RolloutOr(was rollout.Rollout) (rollout.Rollout, error) {
	if r.Rollout == nil {
		return was, nil
	}
	return r.Rollout.rollout()
}

func (r Rollout) rollout() (out rollout.Rollout, err error) {
	if out.Limits, err = limits("rollout", r.MaxConcurrency, r.MinSuccessTime, r.ProgressDeadline, r.MaxFailures); err != nil {
		return out, err
	}
	if out.MaxUnreachable, err = amount("rollout.maxUnreachable", r.MaxUnreachable); err != nil {
		return out, err
	}
	for i, w := range r.Waves {
		wave := rollout.Wave{Name: w.Name, Clusters: w.Clusters, Selector: w.Selector.selector()}
		if wave.Limits, err = limits(fmt.Sprintf("rollout.waves[%d]", i), w.MaxConcurrency, w.MinSuccessTime, w.ProgressDeadline, w.MaxFailures); err != nil {
			return out, err
		}
		if wave.Gate, err = w.Gate.gate(fmt.Sprintf("rollout.waves[%d].gate.timeout", i)); err != nil {
			return out, err
		}
		out.Waves = append(out.Waves, wave)
	}
	return out, nil
}

func limits(at string, concurrency any, bake, deadline string, failures any) (l rollout.Limits, err error) {
	if l.MaxConcurrency, err = amount(at+".maxConcurrency", concurrency); err != nil {
		return l, err
	}
	if l.MaxFailures, err = amount(at+".maxFailures", failures); err != nil {
		return l, err
	}
	if l.MinSuccessTime, err = duration(at+".minSuccessTime", bake); err != nil {
		return l, err
	}
	l.ProgressDeadline, err = duration(at+".progressDeadline", deadline)
	return l, err
}

// amount reads a JSON number or text; nil: there is none.
func amount(at string, v any) (*rollout.Amount, error) {
	if v == nil {
		return nil, nil
	}
	text, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", at, err)
		}
		text = string(raw)
	}
	a, err := rollout.ParseAmount(text)
	if err != nil {
		return nil, problem.Invalid("rollout-invalid", "%s", err).At(at).Try("use a number such as 3, or a percentage such as 25%%")
	}
	return &a, nil
}

func duration(at, text string) (*time.Duration, error) {
	if text == "" {
		return nil, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, problem.Invalid("rollout-invalid", "%q is no time", text).At(at).Try("write it as 30s, 5m or 1h30m")
	}
	return &d, nil
}

func rolloutOf(r rollout.Rollout) *Rollout {
	if r.IsZero() {
		return nil
	}
	doc := &Rollout{MaxConcurrency: amountOf(r.MaxConcurrency), MinSuccessTime: durationOf(r.MinSuccessTime), ProgressDeadline: durationOf(r.ProgressDeadline),
		MaxFailures: amountOf(r.MaxFailures), MaxUnreachable: amountOf(r.MaxUnreachable)}
	for _, w := range r.Waves {
		doc.Waves = append(doc.Waves, Wave{Name: w.Name, Clusters: w.Clusters, Selector: selectorOf(w.Selector), Gate: gateOf(w.Gate), MaxConcurrency: amountOf(w.MaxConcurrency),
			MinSuccessTime: durationOf(w.MinSuccessTime), ProgressDeadline: durationOf(w.ProgressDeadline), MaxFailures: amountOf(w.MaxFailures)})
	}
	return doc
}

// amountOf is a number, or a text with its percent sign.
func amountOf(a *rollout.Amount) any {
	switch {
	case a == nil:
		return nil
	case a.Percent:
		return a.String()
	}
	return a.N
}

func durationOf(d *time.Duration) string {
	if d == nil {
		return ""
	}
	return rollout.Text(*d)
}

func (g *WaveGate) gate(at string) (*rollout.Gate, error) {
	if g == nil {
		return nil, nil
	}
	timeout, err := duration(at, g.Timeout)
	if err != nil || timeout == nil {
		return &rollout.Gate{Receiver: g.Receiver, Timeout: rollout.DefaultGateTimeout}, err
	}
	return &rollout.Gate{Receiver: g.Receiver, Timeout: *timeout}, nil
}

func gateOf(g *rollout.Gate) *WaveGate {
	if g == nil {
		return nil
	}
	return &WaveGate{Receiver: g.Receiver, Timeout: rollout.Text(g.Timeout)}
}
