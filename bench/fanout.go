package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/openapi"
)

// The distances: the first cluster is five times as far as the others. At the far ones the way there and not this machine's cores decides how
// long forty targets take, as it does where every function has cores of its own.
const (
	slowRoundTrip = 5 * roundTrip
	farRoundTrip  = 8 * roundTrip
)

// lap is one timed deployment.
type lap struct {
	makespan time.Duration // from its admission to its end
	planned  time.Duration // until the first of its targets began
	slowest  time.Duration // of its targets
	helm     time.Duration // the same with Helm's command line, one process a target
	busy     float64       // share of all cores' time
	helmBusy float64
}

// fanOut is P1: how much longer many targets take than the slowest alone, through the real machines. One cluster is five times as far
// as the others; every target is upgraded.
func (b *bench) fanOut(ctx context.Context) error {
	cli, err := b.helmCLI(ctx)
	if err != nil {
		return err
	}
	archive, err := configMaps("1.0.0", 0, 10, workload)
	if err != nil {
		return err
	}
	chart, err := b.keep("fan-out.tgz", archive)
	if err != nil {
		return err
	}
	f, err := b.newFleet(ctx, 40, archive)
	if err != nil {
		return err
	}
	defer f.close(ctx)
	c := crowd{fleet: f, cli: cli, chart: chart}
	if err := c.install(ctx); err != nil {
		return err
	}
	var alone, farAlone lap
	for _, n := range []int{1, 2, 10, 40} {
		l, err := c.lap(ctx, n, slowRoundTrip, roundTrip)
		if err != nil {
			return fmt.Errorf("deploying to %d: %w", n, err)
		}
		if n == 1 {
			alone = l
			if farAlone, err = c.time(ctx, 5*farRoundTrip, farRoundTrip); err != nil {
				return fmt.Errorf("deploying to one, far away: %w", err)
			}
			continue
		}
		b.add(fmt.Sprintf("P1-%d", n), "×", float64(l.makespan)/float64(alone.makespan),
			"on the local AWS, one Python process: makespan of %d targets ÷ that of the slowest alone (%.1f s ÷ %.1f s; one at %s round trip, the others at %s; the first target began after %.1f s, the slowest took %.1f s; %s); anchor: as many helm processes at once (%.1f s ÷ %.1f s, %.0f%% busy)",
			n, l.makespan.Seconds(), alone.makespan.Seconds(), slowRoundTrip, roundTrip, l.planned.Seconds(), l.slowest.Seconds(), l.load(n),
			l.helm.Seconds(), alone.helm.Seconds(), 100*l.helmBusy).
			against(float64(l.helm) / float64(alone.helm)).atMost(1.10)
		b.add(fmt.Sprintf("P1-%d-seconds", n), "s", l.makespan.Seconds(), "that makespan, the local AWS's own work included, against that of the helm processes").against(l.helm.Seconds())
	}
	return c.far(ctx, farAlone)
}

// far is the same to all, where distance decides.
func (c *crowd) far(ctx context.Context, alone lap) error {
	all, err := c.time(ctx, 5*farRoundTrip, farRoundTrip)
	if err != nil {
		return fmt.Errorf("deploying to all, far away: %w", err)
	}
	n := len(c.servers)
	c.add(fmt.Sprintf("P1-%d-far", n), "×", float64(all.makespan)/float64(alone.makespan),
		"the same with %d targets, %s and %s away: %.1f s ÷ %.1f s; the first target began after %.1f s, the slowest took %.1f s; %s", n, 5*farRoundTrip, farRoundTrip,
		all.makespan.Seconds(), alone.makespan.Seconds(), all.planned.Seconds(), all.slowest.Seconds(), all.load(n)).atMost(1.10)
	return nil
}

// crowd is a fleet on which Helm's command line works too.
type crowd struct {
	*fleet
	cli         helmCLI
	chart       string
	kubeconfigs []string
	round       int
}

// install lets Helm's command line have its release everywhere, and its discovery cached.
func (c *crowd) install(ctx context.Context) error {
	for i, server := range c.servers {
		path, err := c.keep(c.clusterName(i)+".kubeconfig", server.Kubeconfig())
		if err != nil {
			return err
		}
		c.kubeconfigs = append(c.kubeconfigs, path)
	}
	return c.helm(ctx, len(c.servers), "install")
}

func (c *crowd) helm(ctx context.Context, n int, verb string) error {
	c.round++
	tasks, ctx := errgroup.WithContext(ctx)
	for _, kubeconfig := range c.kubeconfigs[:n] {
		tasks.Go(func() error {
			_, err := c.cli.run(ctx, kubeconfig, verb, "by-hand", c.chart, "--set", fmt.Sprintf("text=%d", c.round))
			return err
		})
	}
	return tasks.Wait()
}

func (c *crowd) lap(ctx context.Context, n int, first, others time.Duration) (lap, error) {
	c.setDelays(0, 0)
	if err := c.grow(ctx, n); err != nil {
		return lap{}, err
	}
	if _, err := c.deploy(ctx); err != nil { // the new members' first
		return lap{}, err
	}
	l, err := c.time(ctx, first, others)
	if err != nil {
		return l, err
	}
	before, began := readCPU(), time.Now()
	if err := c.helm(ctx, n, "upgrade"); err != nil {
		return l, err
	}
	l.helm, l.helmBusy = time.Since(began), readCPU().since(before)
	c.note("%d targets: %.1f s, slowest %.1f s, %.0f%% busy; helm %.1f s", n, l.makespan.Seconds(), l.slowest.Seconds(), 100*l.busy, l.helm.Seconds())
	return l, nil
}

// time deploys to the members over those distances. A run in which the local AWS lost a function (somebody deploys the stack anew, say) and
// tried again measures the waiting for a dead one's lease: it is said and done again, twice at most.
func (c *crowd) time(ctx context.Context, first, others time.Duration) (lap, error) {
	c.setDelays(first, others)
	for try := 0; ; try++ {
		before := readCPU()
		run, err := c.deploy(ctx)
		if err != nil {
			return lap{}, err
		}
		again := slices.ContainsFunc(run.Steps, func(s openapi.Step) bool { return s.Attempt > 1 })
		if !again || try == 2 {
			l := lap{makespan: run.EndedAt.Sub(run.CreatedAt), busy: readCPU().since(before)}
			l.planned = l.makespan
			for _, t := range run.Targets {
				l.planned, l.slowest = min(l.planned, t.StartedAt.Sub(run.CreatedAt)), max(l.slowest, t.EndedAt.Sub(t.StartedAt))
			}
			return l, nil
		}
		c.note("run %s had to try a step again: it is not counted", run.ID)
	}
}

// load says in words what the deployment cost this machine, all local AWS, functions and clusters together.
func (l lap) load(n int) string {
	cores := runtime.NumCPU()
	return fmt.Sprintf("the machine's %d cores were %.0f%% busy, %.1f core-seconds a target, which alone take %.1f s", cores, 100*l.busy,
		l.busy*float64(cores)*l.makespan.Seconds()/float64(n), l.busy*l.makespan.Seconds())
}

// cpu is the machine's time since its start, in ticks.
type cpu struct{ total, idle float64 }

func readCPU() cpu {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpu{}
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	var c cpu
	for i, field := range strings.Fields(line)[1:] {
		var ticks float64
		_, _ = fmt.Sscan(field, &ticks)
		c.total += ticks
		if i == 3 || i == 4 { // idle, and waiting for a disk
			c.idle += ticks
		}
	}
	return c
}

func (c cpu) since(before cpu) float64 {
	return 1 - (c.idle-before.idle)/max(c.total-before.total, 1)
}
