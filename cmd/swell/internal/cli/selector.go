package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/swell-sh/swell/shared/openapi"
)

// scheduleFlags say how often a group's clusters are looked at, and when reconcile may act by itself.
type scheduleFlags struct {
	every   time.Duration
	windows []string
	always  bool
}

func (f *scheduleFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.DurationVar(&f.every, "check-every", 0, "about how often each member is looked at, from 1m to 24h")
	flags.StringArrayVar(&f.windows, "window", nil, `when reconcile may act by itself, or may not: "EFFECT [DAYS] [FROM-TO] [TIMEZONE]", such as "deny fri,sat 22:00-06:00 Europe/Budapest"; may be repeated; replaces those the group has`)
	flags.BoolVar(&f.always, "no-windows", false, "reconcile may act at any time")
	cmd.MarkFlagsMutuallyExclusive("window", "no-windows")
}

func (f *scheduleFlags) given() bool { return f.every != 0 || len(f.windows) > 0 || f.always }

// over is the schedule with what the flags say.
func (f *scheduleFlags) over(r *openapi.Reconcile) (*openapi.Reconcile, error) {
	out := openapi.Reconcile{}
	if r != nil {
		out = *r
	}
	if f.every != 0 {
		out.IntervalSeconds = int(f.every / time.Second)
	}
	if f.always || len(f.windows) > 0 {
		out.Windows = nil
	}
	for _, text := range f.windows {
		w, err := parseWindow(text)
		if err != nil {
			return nil, err
		}
		out.Windows = append(out.Windows, w)
	}
	return &out, nil
}

// parseWindow reads "deny fri,sat 22:00-06:00 Europe/Budapest"; all but the first word may be left out.
func parseWindow(text string) (openapi.Window, error) {
	words := strings.Fields(text)
	if len(words) == 0 || !openapi.WindowEffect(words[0]).Valid() {
		return openapi.Window{}, fmt.Errorf("--window is %q; begin it with allow or deny", text)
	}
	w := openapi.Window{Effect: openapi.WindowEffect(words[0])}
	words = words[1:]
	if len(words) > 0 && areDays(words[0]) {
		for day := range strings.SplitSeq(words[0], ",") {
			w.Days = append(w.Days, openapi.Day(day))
		}
		words = words[1:]
	}
	if len(words) > 0 && strings.Contains(words[0], ":") {
		from, to, ok := strings.Cut(words[0], "-")
		if !ok {
			return w, fmt.Errorf("--window has the hours %q; write them as 22:00-06:00", words[0])
		}
		w.From, w.To, words = from, to, words[1:]
	}
	if len(words) > 0 {
		w.TimeZone, words = words[0], words[1:]
	}
	if len(words) > 0 {
		return w, fmt.Errorf("--window is %q; what is %q?", text, words[0])
	}
	return w, nil
}

func areDays(text string) bool {
	for day := range strings.SplitSeq(text, ",") {
		if !openapi.Day(day).Valid() {
			return false
		}
	}
	return true
}

var operators = map[selection.Operator]openapi.SelectorOperator{
	selection.In: openapi.SelectorOperatorIn, selection.Equals: openapi.SelectorOperatorIn, selection.DoubleEquals: openapi.SelectorOperatorIn,
	selection.NotIn: openapi.SelectorOperatorNotIn, selection.NotEquals: openapi.SelectorOperatorNotIn,
	selection.Exists: openapi.SelectorOperatorExists, selection.DoesNotExist: openapi.SelectorOperatorDoesNotExist,
}

// parseSelector reads a selector as kubectl writes it.
func parseSelector(text string) (*openapi.Selector, error) {
	requirements, err := labels.ParseToRequirements(text)
	if err != nil {
		return nil, fmt.Errorf("--selector is %q: %w", text, err)
	}
	if len(requirements) == 0 {
		return nil, errors.New("--selector is empty; an empty selector chooses no cluster")
	}
	s := &openapi.Selector{}
	for _, r := range requirements {
		values := slices.Sorted(maps.Keys(r.Values()))
		equals := r.Operator() == selection.Equals || r.Operator() == selection.DoubleEquals
		if _, twice := s.MatchLabels[r.Key()]; equals && !twice {
			if s.MatchLabels == nil {
				s.MatchLabels = openapi.Labels{}
			}
			s.MatchLabels[r.Key()] = values[0]
			continue
		}
		operator, ok := operators[r.Operator()]
		if !ok {
			return nil, fmt.Errorf("--selector has the operator %q; use =, !=, in, notin, KEY and !KEY", r.Operator())
		}
		s.MatchExpressions = append(s.MatchExpressions, openapi.SelectorRequirement{Key: r.Key(), Operator: operator, Values: values})
	}
	return s, nil
}

// selectorText writes a selector as kubectl does.
func selectorText(s *openapi.Selector) string {
	if s == nil {
		return ""
	}
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		terms = append(terms, key+"="+s.MatchLabels[key])
	}
	for _, r := range s.MatchExpressions {
		switch r.Operator {
		case openapi.SelectorOperatorExists:
			terms = append(terms, r.Key)
		case openapi.SelectorOperatorDoesNotExist:
			terms = append(terms, "!"+r.Key)
		default:
			terms = append(terms, fmt.Sprintf("%s %s (%s)", r.Key, strings.ToLower(string(r.Operator)), strings.Join(r.Values, ",")))
		}
	}
	return strings.Join(terms, ",")
}

// scheduleNotes say in lines when reconcile may act.
func scheduleNotes(r *openapi.Reconcile) []string {
	if r == nil {
		return nil
	}
	notes := []string{fmt.Sprintf("looked at about every %s", time.Duration(r.IntervalSeconds)*time.Second)}
	for _, w := range r.Windows {
		days := make([]string, len(w.Days))
		for i, d := range w.Days {
			days[i] = string(d)
		}
		hours := fmt.Sprintf("%s-%s", orDefault(w.From, "00:00"), orDefault(w.To, "24:00"))
		notes = append(notes, fmt.Sprintf("reconcile: %s %s %s %s", w.Effect, orDefault(strings.Join(days, ","), "every day"), hours, orDefault(w.TimeZone, "UTC")))
	}
	return notes
}
