package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/yaml"
)

// table is rows under a head.
type table struct {
	head  []string
	rows  [][]string
	notes []string // lines below
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = orDefault(oneLine(cell), "-")
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(append(lines, t.notes...), "\n") + "\n"
}

// show prints an answer the way --output says; as a table by what table makes of it.
func show[T any](a *app, answer T, as func(T) *table) error {
	var text []byte
	var err error
	switch a.output {
	case "json":
		text, err = json.MarshalIndent(answer, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(answer)
	default:
		text = []byte(as(answer).String())
	}
	if err != nil {
		return err
	}
	_, err = a.Out.Write(text)
	return err
}

// say prints a line for a person; with json or yaml there is none.
func (a *app) say(format string, args ...any) {
	if a.output == "table" {
		_, _ = fmt.Fprintf(a.Out, format+"\n", args...)
	}
}

// oneLine makes text of a cluster or a provider fit for a terminal: one line, no control characters.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }), " ")
}

// clip is text that fits a cell; -o yaml has all of it.
func clip(s string, letters int) string {
	runes := []rune(oneLine(s))
	if len(runes) <= letters {
		return string(runes)
	}
	return string(runes[:letters-1]) + "…"
}

// clipped is text in a cell; what does not fit is said below, about whom.
func (t *table) clipped(about, s string, letters int) string {
	cell := clip(s, letters)
	if cell != oneLine(s) {
		t.notes = append(t.notes, about+": "+oneLine(s))
	}
	return cell
}

// many is a number of things.
func many(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// ago says how long before now t was.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return short(now.Sub(t)) + " ago"
}

// short is a duration of two units at most.
func short(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}
