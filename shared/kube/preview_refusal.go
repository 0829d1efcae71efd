package kube

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/diff"
)

const (
	maxShown  = 80 // bytes of a value that a cluster quotes: it may be a whole object
	unchecked = "the cluster could not check it: "
)

// refused tells in out that the cluster would not do it, and why. An error that is no refusal of this one object comes back: the cluster
// does not answer, or takes the credential for nobody's.
func refused(out diff.Object, action diff.Action, err error) (diff.Object, error) {
	var status apierrors.APIStatus // an interface without Error, so that AsType does not take it
	if !errors.As(err, &status) {
		return out, err
	}
	code := status.Status().Code
	if code == http.StatusUnauthorized || code == http.StatusTooManyRequests || code < 400 || code > http.StatusInternalServerError {
		return out, err
	}
	out.Action = action
	switch why := words(out.Kind, err); {
	case strings.Contains(why, "does not support dry run"): // an admission webhook's own limit
		out.Note = unchecked + why
	case immutable(why):
		out.Destructive = append(out.Destructive, "immutable: "+why)
	default:
		out.Destructive = append(out.Destructive, "refused: "+why)
	}
	return out, nil
}

// immutable knows the words by which the API servers refuse to change a field of an object that is there.
func immutable(why string) bool {
	for _, said := range []string{"immutable", "updates to statefulset spec", "may not change once set", "may not be changed", "cannot change roleRef", "may not be mutated"} {
		if strings.Contains(why, said) {
			return true
		}
	}
	return false
}

// words are the cluster's own, without the values that it quotes at length.
func words(kind string, err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	said := status.Status()
	if said.Reason != metav1.StatusReasonInvalid || said.Details == nil || len(said.Details.Causes) == 0 {
		return said.Message
	}
	causes := make([]string, 0, len(said.Details.Causes))
	for _, c := range said.Details.Causes {
		text := unquote(c.Message, kind == "Secret")
		if c.Field != "" && c.Field != "<nil>" {
			text = c.Field + ": " + text
		}
		causes = append(causes, text)
	}
	return strings.Join(causes, "; ")
}

// unquote leaves the value out that stands after "Invalid value: ", if it is an object, long, or a secret.
func unquote(message string, secret bool) string {
	const quoting = ` value: `
	before, rest, found := strings.Cut(message, quoting)
	if !found || strings.HasSuffix(before, "Required") { // which quotes nothing
		return message
	}
	decoder := json.NewDecoder(strings.NewReader(rest))
	var value json.RawMessage
	if decoder.Decode(&value) != nil { // older servers print an object as Go does; what they say of it comes last
		if last := strings.LastIndex(rest, ": "); last >= 0 {
			return before + " value" + rest[last:]
		}
		return before + " value"
	}
	if !secret && len(value) <= maxShown && value[0] != '{' && value[0] != '[' {
		return message
	}
	return before + " value" + rest[decoder.InputOffset():]
}
