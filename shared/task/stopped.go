package task

import (
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
)

// Stopped is why a run must not touch a target any more; nil if it may. back: it would only take back there what it did.
func Stopped(r run.Run, d deployment.Deployment, back bool) error {
	switch status, stop := r.StoppedBy(d.Generation, d.Deleting); {
	case stop && status == run.TargetCanceled:
		return taskerr.Failed("canceled", "the run was canceled before it wrote to this target")
	case stop:
		return taskerr.Failed("superseded", "another generation, or a removal, took this run's place")
	case r.Phase == run.Reverting && !back:
		return taskerr.Failed("reverted", "the run was turned around before it wrote to this target")
	}
	return nil
}
