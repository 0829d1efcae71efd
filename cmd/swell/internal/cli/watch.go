package cli

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

const (
	patience  = 30 // polls in a row without an answer before a watch gives up
	maxDrawn  = 20 // targets on a terminal; more would not fit its height
	minPolled = 50 * time.Millisecond
)

// watchFlags say whether a command waits for its run.
type watchFlags struct{ wait, watch bool }

func (w *watchFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "wait until the run ends")
	cmd.Flags().BoolVarP(&w.watch, "watch", "w", false, "wait, and show what each cluster is doing")
}

func (w *watchFlags) set() bool { return w.wait || w.watch }

// follow waits for a run as asked, and is an error where it did not succeed.
func (a *app) follow(ctx context.Context, id string, flags watchFlags) error {
	if !flags.set() {
		a.say("run %s is started; swell run watch %s shows it", id, id)
		return nil
	}
	var view view = silent{}
	switch {
	case flags.watch && a.output == "table" && a.terminal():
		view = &screen{out: a, color: a.Getenv("NO_COLOR") == ""}
	case flags.watch && a.output == "table":
		view = &lines{out: a, said: map[string]string{}}
	}
	run, err := a.poll(ctx, id, view)
	if err != nil {
		return err
	}
	if _, quiet := view.(silent); quiet {
		if err := show(a, run, targetTable); err != nil {
			return err
		}
	}
	if run.Status != openapi.RunStatusSucceeded {
		return &endedError{openapi.Run{ID: run.ID, Status: run.Status}}
	}
	return nil
}

// poll asks for the run until it ends. It bears the API being away for a while.
func (a *app) poll(ctx context.Context, id string, v view) (openapi.RunDetails, error) {
	var run openapi.RunDetails
	params := &openapi.GetRunParams{}
	ticker := time.NewTicker(max(a.interval, minPolled))
	defer ticker.Stop()
	for misses := 0; ; {
		got, err := a.api.GetRunWithResponse(ctx, a.org, id, params)
		next, err := read[openapi.RunDetails](got, err)
		switch {
		case err != nil && (isProblem(err, http.StatusInternalServerError) || isProblem(err, http.StatusServiceUnavailable) || !isRefused(err)):
			if misses++; misses > patience || ctx.Err() != nil {
				return run, err
			}
		case err != nil:
			return run, err
		case got.StatusCode() == http.StatusNotModified:
			misses = 0
		default:
			misses, run, params.IfNoneMatch = 0, next, got.HTTPResponse.Header.Get("ETag")
		}
		if run.ID != "" {
			v.show(run, time.Now())
			if ended(run.Status) {
				return run, nil
			}
		}
		select {
		case <-ctx.Done():
			return run, ctx.Err()
		case <-ticker.C:
		}
	}
}

func isRefused(err error) bool {
	_, refused := err.(*refusedError) //nolint:errorlint // read returns it bare
	return refused
}

// view shows how far a run is.
type view interface {
	show(openapi.RunDetails, time.Time)
}

type silent struct{}

func (silent) show(openapi.RunDetails, time.Time) {}

// lines says each change in a line of its own: for a file, a pipe, a CI's log.
type lines struct {
	out  *app
	said map[string]string
}

func (l *lines) show(r openapi.RunDetails, now time.Time) {
	if l.said[""] == "" {
		l.said[""] = title(r)
		l.out.say("%s: %d targets", title(r), r.Counts.Total)
	}
	for _, target := range r.Targets {
		words := doing(target)
		if l.said[target.ClusterName] == words {
			continue
		}
		l.said[target.ClusterName] = words
		l.out.say("%6s  %s: %s", took(orTime(r.StartedAt, r.CreatedAt), target.EndedAt, now), target.ClusterName, words)
	}
	if ended(r.Status) {
		l.out.say("%s: %s", title(r), ending(r, now))
	}
}

// doing says what a target is in the middle of, or how it ended.
func doing(target openapi.RunTarget) string {
	words := string(target.Status)
	if target.Action != "" {
		words += ", " + string(target.Action)
	}
	if cause := causeOf(target); cause != "" {
		words += ": " + cause
	}
	return words
}

// screen draws a table again and again over itself.
type screen struct {
	out   *app
	color bool
	drawn int // lines of the last drawing
}

func (s *screen) show(r openapi.RunDetails, now time.Time) {
	var frame strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA", s.drawn) // to the first line of the last drawing
	}
	frame.WriteString("\r\x1b[J\x1b[?7l") // clear below; no wrapping, so that a line is a line
	text := s.draw(r, now)
	frame.WriteString(text)
	frame.WriteString("\x1b[?7h")
	s.drawn = strings.Count(text, "\n")
	_, _ = fmt.Fprint(s.out.Out, frame.String())
}

func (s *screen) draw(r openapi.RunDetails, now time.Time) string {
	t := &table{head: []string{"CLUSTER", "STATUS", "ELAPSED", "CAUSE"}}
	targets, more := some(r.Targets)
	for _, target := range targets {
		cause := causeOf(target)
		if cause == "" && target.Action != "" {
			cause = string(target.Action)
		}
		t.add(target.ClusterName, string(target.Status), took(target.StartedAt, target.EndedAt, now), cause)
	}
	if more > 0 {
		t.notes = append(t.notes, fmt.Sprintf("… and %d more", more))
	}
	text := title(r) + ": " + ending(r, now) + "\n"
	if len(r.Targets) > 0 {
		text += t.String()
	}
	if s.color {
		text = colors.Replace(text)
	}
	return text
}

// colors paints the words of statuses. It follows the table's layout, which would count the codes as letters.
var colors = strings.NewReplacer(
	"Succeeded", "\x1b[32mSucceeded\x1b[0m", "Failed", "\x1b[31mFailed\x1b[0m", "Partial", "\x1b[33mPartial\x1b[0m",
	"Canceled", "\x1b[33mCanceled\x1b[0m", "Superseded", "\x1b[33mSuperseded\x1b[0m",
)

// some returns the targets that are drawn: those in work and those that failed come first where not all fit.
func some(targets []openapi.RunTarget) (drawn []openapi.RunTarget, more int) {
	if len(targets) <= maxDrawn {
		return targets, 0
	}
	rank := func(t openapi.RunTarget) int {
		switch t.Status {
		case openapi.RunTargetStatusPreparing, openapi.RunTargetStatusDeploying, openapi.RunTargetStatusVerifying:
			return 0
		case openapi.RunTargetStatusFailed:
			return 1
		default:
			return 2
		}
	}
	drawn = slices.Clone(targets)
	slices.SortStableFunc(drawn, func(a, b openapi.RunTarget) int { return rank(a) - rank(b) })
	return drawn[:maxDrawn], len(targets) - maxDrawn
}

func orTime(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}
