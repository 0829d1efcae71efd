package dynamo

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// conditionFailed says whether a write was refused by its condition.
func conditionFailed(err error) bool {
	var failed *types.ConditionalCheckFailedException
	return errors.As(err, &failed)
}

// refusedError is a transaction of which at least one condition did not hold: writes numbers them in the transaction's order.
type refusedError struct {
	writes map[int]bool
	cause  error
}

func (e *refusedError) Error() string { return "a condition of the transaction did not hold" }
func (e *refusedError) Unwrap() error { return e.cause }

// refused finds the writes of a transaction whose conditions did not hold.
func refused(err error) (writes map[int]bool, ok bool) {
	var r *refusedError
	if !errors.As(err, &r) {
		return nil, false
	}
	return r.writes, true
}

// verdict tells a transaction that its conditions refused from one that only met another transaction, which may be tried again.
func verdict(err error) (failed *refusedError, again bool) {
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		var conflict *types.TransactionConflictException
		return nil, errors.As(err, &conflict)
	}
	writes := map[int]bool{}
	for i, reason := range canceled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "ConditionalCheckFailed":
			writes[i] = true
		case "TransactionConflict":
			again = true
		}
	}
	if len(writes) > 0 {
		return &refusedError{writes: writes, cause: err}, false
	}
	return nil, again
}
