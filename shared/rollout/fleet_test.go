package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
)

// Five in a hundred of two hundred clusters do not answer for the whole roll-out: it comes to an end, and to every other.
func TestATwentiethThatIsAwayStopsNobody(t *testing.T) {
	r := rollout.Rollout{Limits: rollout.Limits{MaxConcurrency: amount("25"), MinSuccessTime: new(time.Minute)}, MaxUnreachable: amount("5%")}
	s := rollout.Situation{Run: run.Run{ID: "r", Type: run.Deploy}, Now: noon}
	for i := range 4 {
		r.Waves = append(r.Waves, rollout.Wave{Name: fmt.Sprint("w", i)})
	}
	for i := range 200 {
		s.Targets = append(s.Targets, run.Target{ClusterID: fmt.Sprint(i), ClusterName: fmt.Sprint("c", i), Wave: fmt.Sprint("w", i/50), Status: run.TargetWaiting})
	}
	looks := 0
	for steps := 0; steps < 100; steps++ {
		step := r.Next(s)
		switch step.Turn {
		case rollout.End:
			count := map[run.TargetStatus]int{}
			for _, t := range s.Targets {
				count[t.Status]++
			}
			code, cause := run.Why(s.Targets)
			if count[run.TargetSucceeded] != 190 || count[run.TargetUnreachable] != 10 || looks != 190 || run.Conclude(s.Targets) != run.Partial || code != "targets-unreachable" {
				t.Errorf("%v, %d looks, %s: %s", count, looks, code, cause)
			}
			if took := s.Now.Sub(noon); took < 8*time.Minute || took > 9*time.Minute {
				t.Errorf("eight batches that bake for a minute took %s", took)
			}
			return
		case rollout.Walk:
			s.Now = s.Now.Add(time.Second)
			for _, walked := range step.Targets {
				for i := range s.Targets {
					if target := &s.Targets[i]; target.ClusterID == walked.ClusterID {
						if step.Recheck {
							target.SucceededAt = target.EndedAt
							looks++
						}
						target.Status, target.EndedAt = run.TargetSucceeded, s.Now
						if i%20 == 7 {
							target.Status = run.TargetUnreachable
						}
					}
				}
			}
		default:
			s.Now = step.Until
		}
	}
	t.Error("it does not end")
}
