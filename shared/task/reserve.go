package task

import (
	"context"
	"time"
)

// Reserve ends ctx so long before the function ends: that time is left to record what became of the work.
func Reserve(ctx context.Context, left time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, end.Add(-left))
	}
	return context.WithCancel(ctx)
}
