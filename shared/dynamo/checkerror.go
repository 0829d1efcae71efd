package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/release"
)

type checkErrorItem struct {
	Code, Cause string
	Since       stamp
}

// SetCheckError records why a look could not tell all about the release, or by nil that it did, and says whether it wrote: not if previous tells
// the same, nor for a release that is gone.
func (s *Store) SetCheckError(ctx context.Context, k release.Key, e, previous *release.CheckError) (wrote bool, err error) {
	e, news := e.After(previous)
	if !news {
		return false, nil
	}
	name := expression.Name("CheckError")
	u := expression.Remove(name)
	if e != nil {
		u = expression.Set(name, expression.Value(checkErrorItem{Code: e.Code, Cause: e.Cause, Since: stamp{e.Since}}))
	}
	err = s.update(ctx, keyOf(k), u, owned(), nil)
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}
