package openapi

import (
	"log/slog"

	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/source"
)

// SourceOf is the domain's source as the API has it: without what is secret.
func SourceOf(s source.Source) Source {
	doc := Source{
		Name: s.Name, Kind: SourceKind(s.Kind), URL: s.URL, APIURL: s.APIURL, HookPath: s.Hook(), HasCredentials: s.HasCredential,
		Rules: []SourceRule{}, RotatedAt: s.RotatedAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	for _, r := range s.Rules {
		doc.Rules = append(doc.Rules, SourceRule{
			Group: r.Group, ReleaseName: r.ReleaseName, Branch: r.Branch, Tag: r.Tag, Path: r.Path, Overrides: r.Overrides, ChartPath: r.ChartPath,
			Image: r.Image, Range: r.Range, ValuesPath: r.ValuesPath,
		})
	}
	return doc
}

// Domain is what a request says of a source, and the secrets that it gives.
func (r SourceRequest) Domain() (source.Source, source.Secret, error) {
	s, secret, err := ReplaceSourceRequest{APIURL: r.APIURL, Rules: r.Rules, Token: r.Token, URL: r.URL, Username: r.Username, CA: r.CA}.Domain(r.Name, source.Kind(r.Kind))
	if err != nil {
		return s, secret, err
	}
	secret.Hook = string(r.Secret)
	return s, secret, source.ValidateHook(s.Kind, secret.Hook)
}

// Domain is what a request says of the source of that name and kind, and the credentials that it gives.
func (r ReplaceSourceRequest) Domain(name string, kind source.Kind) (source.Source, source.Secret, error) {
	s := source.Source{Name: name, Kind: kind, URL: r.URL, APIURL: r.APIURL, HasCredential: r.Token != ""}
	for _, rule := range r.Rules {
		s.Rules = append(s.Rules, source.Rule{
			Group: rule.Group, ReleaseName: rule.ReleaseName, Branch: rule.Branch, Tag: rule.Tag, Path: rule.Path, Overrides: rule.Overrides,
			ChartPath: rule.ChartPath, Image: rule.Image, Range: rule.Range, ValuesPath: rule.ValuesPath,
		})
	}
	secret := source.Secret{Username: r.Username, Token: string(r.Token), CA: r.CA}
	if err := s.Validate(); err != nil {
		return s, secret, err
	}
	if _, err := secret.TLS(); err != nil {
		return s, secret, err
	}
	return s, secret, s.ValidateCredential(secret.Username, secret.Token)
}

// DeliveryOf describes a delivery and what became of it.
func DeliveryOf(r source.Record) Delivery {
	doc := Delivery{
		ID: r.Event.Delivery, Event: string(r.Event.Kind), Ref: r.Event.Ref, Commit: r.Event.Commit, PullRequest: r.Event.PullRequest, Image: r.Event.Image,
		Tag: r.Event.Tag, Outcome: DeliveryOutcome(r.Outcome), Why: r.Why, ReceivedAt: r.ReceivedAt, EndedAt: r.EndedAt,
	}
	for _, rule := range r.Rules {
		doc.Rules = append(doc.Rules, DeliveredRule{
			Group: rule.Group, ReleaseName: rule.ReleaseName, Outcome: DeliveryOutcome(rule.Outcome), Why: rule.Why, Commit: rule.Commit, Tag: rule.Tag, Run: rule.Run,
		})
	}
	return doc
}

// originOf describes where a run comes from.
func originOf(o run.Origin) RunOrigin {
	return RunOrigin{Source: o.Source, Kind: SourceKind(o.Kind), Repository: o.Repository, Ref: o.Ref, Commit: o.Commit, PullRequest: o.PullRequest, URL: o.URL}
}

// LogValue is what a log gets: a handler that writes JSON would otherwise write the secret.
func (SourceRequest) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets, likewise.
func (ReplaceSourceRequest) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets, likewise.
func (RotateSourceRequest) LogValue() slog.Value { return slog.StringValue(redacted) }
