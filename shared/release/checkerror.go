package release

import "time"

// CheckError is why a look at a release's cluster could not tell all about it. What is known of the release stays; whether its objects differ is
// not known.
type CheckError struct {
	Code  string
	Cause string
	Since time.Time // from when on, without a break, no look could tell
}

// After completes what a look found now with since when it is so, and says whether it tells anything that previous did not. Nil: the look told all.
func (e *CheckError) After(previous *CheckError) (found *CheckError, news bool) {
	if e == nil || previous == nil {
		return e, e != previous
	}
	return &CheckError{Code: e.Code, Cause: e.Cause, Since: previous.Since}, e.Code != previous.Code || e.Cause != previous.Cause
}
