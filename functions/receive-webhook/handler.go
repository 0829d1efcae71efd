package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/webhook"
)

// handler serves one route for each kind of sender; each kind is in a file of its own. All keep to one order: the raw body, the signature over it,
// and only then what it says.
type handler struct {
	store   store
	keys    *keyring
	heard   *heard
	checks  sender
	sources sources
	gates   gates
	answers callback.Answerer
	log     *slog.Logger
	now     func() time.Time
}

// sender is a queue.
type sender interface {
	SendLater(ctx context.Context, body any, wait time.Duration) error
}

const (
	maxBody    = 1 << 20 // of what programs send that know Swell; a Git host's is source.MaxBody
	retryAfter = 5 * time.Second
)

// bodyOf reads the raw bytes, which a signature is over.
func bodyOf(r *http.Request, most int64) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, problem.TooLarge("body-too-large", "the body is over %d MiB", most>>20).Try("send %d MiB at most", most>>20)
	}
	if err != nil {
		return nil, problem.Malformed("body-unreadable", "the body ended before it was complete").Try("send it again")
	}
	return raw, nil
}

// fail answers err. What is too much for a service at once is 429, and what is not the sender's fault is logged: all of it can be sent again.
func (h handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if throttled(err) {
		h.log.WarnContext(r.Context(), "a delivery is to come again", "path", r.URL.Path, "error", err.Error())
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		err = problem.With(http.StatusTooManyRequests, "too-many-deliveries", "there is more to do at once than can be done").Try("send it again after the seconds of Retry-After")
	}
	if refused := signatureRefused(err); refused != nil {
		w.Header().Set("Date", h.now().UTC().Format(http.TimeFormat))
		err = refused
	}
	openapi.Fail(w, r, h.log, err)
}

// errBusy is that the same was changed by too many at once.
var errBusy = errors.New("others always changed it first")

func throttled(err error) bool {
	return errors.Is(err, errBusy) || retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}.IsErrorThrottle(err) == aws.TrueTernary
}

// signatureRefused is the problem with a signature, if that is what err is.
func signatureRefused(err error) *problem.Problem {
	for _, reason := range []error{webhook.ErrUnsigned, webhook.ErrTooOld, webhook.ErrTooNew, webhook.ErrMismatch} {
		if errors.Is(err, reason) {
			return problem.With(http.StatusUnauthorized, "signature-refused", "%s", reason.Error()).At(webhook.HeaderSignature).
				Try("sign the raw body with the key in use, by a clock that is right: the header Date says what time it is")
		}
	}
	return nil
}
