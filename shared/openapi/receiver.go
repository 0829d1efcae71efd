package openapi

import (
	"log/slog"

	"github.com/swell-sh/swell/shared/receiver"
)

// ReceiverOf is the domain's receiver as the API has it.
func ReceiverOf(r receiver.Receiver) Receiver {
	out := Receiver{
		Name: r.Name, Kind: ReceiverKind(r.Kind), Host: r.Host, Events: r.Events, Template: r.Template, LastSentAt: r.State.LastSentAt,
		FailingSince: r.State.FailingSince, LastError: r.State.LastError, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt,
	}
	out.Filter = ReceiverFilter{Groups: r.Filter.Groups, Deployments: r.Filter.Deployments, Clusters: r.Filter.Clusters}
	return out
}

// Domain is what a request says of a receiver, and how it is reached.
func (r ReplaceReceiverRequest) Domain(name string, kind receiver.Kind) (receiver.Receiver, receiver.Credential) {
	out := receiver.Receiver{
		Name: name, Kind: kind, Events: r.Events, Template: r.Template,
		Filter: receiver.Filter{Groups: r.Filter.Groups, Deployments: r.Filter.Deployments, Clusters: r.Filter.Clusters},
	}
	if len(out.Events) == 0 {
		out.Events = receiver.Default
	}
	return out, receiver.Credential{URL: string(r.URL), Key: string(r.Secret)}
}

// LogValue is what a log gets: a handler that writes JSON would otherwise write the URL.
func (ReceiverRequest) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets, likewise.
func (ReplaceReceiverRequest) LogValue() slog.Value { return slog.StringValue(redacted) }
