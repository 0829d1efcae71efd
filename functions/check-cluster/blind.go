package main

import (
	"context"
	"errors"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

// blindError is what a cluster did not let a look see: a kind that may not be read, an API that does not answer, a record that is broken. It may
// stay so for ever, so it is no fault of the look: it is recorded on the release.
type blindError struct{ cause error }

func (e *blindError) Error() string { return e.cause.Error() }
func (e *blindError) Unwrap() error { return e.cause }

func isBlind(err error) bool {
	_, blind := errors.AsType[*blindError](err)
	return blind
}

// settle records on the release whether the look could tell all about it. What is no blindError stays an error.
func (l *look) settle(ctx context.Context, err error) error {
	var found *release.CheckError
	if err != nil {
		if !isBlind(err) {
			return err
		}
		found = &release.CheckError{Code: taskerr.CodeOf(err), Cause: taskerr.CauseOf(err), Since: l.at}
	}
	if _, err := l.store.SetCheckError(ctx, l.release.Key, found, l.release.CheckError); err != nil {
		return err
	}
	l.release.CheckError, _ = found.After(l.release.CheckError)
	l.blind = err
	return nil
}

// blind is what could not be seen of the owner's releases.
func (v visit) blind(owner release.Owner) error {
	var errs []error
	for _, l := range v.looks {
		if l.release.Owner == owner {
			errs = append(errs, l.blind)
		}
	}
	return errors.Join(errs...)
}
