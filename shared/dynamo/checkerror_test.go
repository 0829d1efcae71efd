//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/release"
)

// A check error is kept until a look tells all again; the same again is not written, and its begin stays.
func TestCheckError(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	must(t, s.ClaimRelease(ctx, keyA, mine))
	first := release.CheckError{Code: "cluster-unauthorized", Cause: "forbidden", Since: noon}
	later := release.CheckError{Code: "cluster-unauthorized", Cause: "still", Since: noon.Add(time.Hour)}
	for _, step := range []struct {
		found, previous, want *release.CheckError
		wrote                 bool
	}{
		{nil, nil, nil, false},
		{&first, nil, &first, true},
		{&first, &first, &first, false},
		{&later, &first, &release.CheckError{Code: "cluster-unauthorized", Cause: "still", Since: noon}, true},
		{nil, &later, nil, true},
	} {
		wrote, err := s.SetCheckError(ctx, keyA, step.found, step.previous)
		must(t, err)
		rel, err := s.FindRelease(ctx, keyA)
		must(t, err)
		wantEqual(t, rel.CheckError, step.want)
		if wrote != step.wrote {
			t.Errorf("%+v after %+v: wrote %t", step.found, step.previous, wrote)
		}
	}
	must(t, s.DeleteRelease(ctx, keyA, mine, ""))
	if wrote, err := s.SetCheckError(ctx, keyA, &first, nil); wrote || err != nil {
		t.Errorf("over a release that is gone: wrote %t, %v", wrote, err)
	}
}
