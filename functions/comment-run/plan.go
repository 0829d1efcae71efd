package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

const (
	maxComment = 60_000 // GitHub takes 65,536 letters
	maxValue   = 120
)

// plan is read through the API, which masks what is secret.
type plan struct {
	api *client.ClientWithResponses
	about
}

// text is the comment: counts for each cluster, then the objects and fields, as much as fits.
func (p plan) text(ctx context.Context) (string, error) {
	r := p.run
	var b strings.Builder
	fmt.Fprintf(&b, "### Swell: what %s would change\n\nCommit `%s`, run `%s`: %s.\n\n", code(p.deployment()), r.Origin.Commit[:min(len(r.Origin.Commit), 12)], r.ID, r.Status)
	if r.PlanHash == "" {
		fmt.Fprintf(&b, "There is no plan. %s\n", quote(strings.TrimSpace(r.Code+" "+r.Cause)))
		return cut(b.String()), nil
	}
	got, err := p.api.GetPlanWithResponse(ctx, r.Org, r.PlanHash)
	if err != nil {
		return "", fmt.Errorf("reading plan %s: %w", r.PlanHash, err)
	}
	var doc openapi.Plan
	if err := decode(got.StatusCode(), got.Body, &doc); err != nil {
		return "", fmt.Errorf("reading plan %s: %w", r.PlanHash, err)
	}
	b.WriteString("| cluster | action | created | changed | deleted | destructive |\n|---|---|---:|---:|---:|---:|\n")
	for _, t := range doc.Targets {
		action := string(t.Action)
		if t.Code != "" {
			action = t.Code
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d |\n", code(t.ClusterName), action, t.Counts.Created, t.Counts.Changed, t.Counts.Deleted, t.Counts.Destructive)
	}
	if !doc.Reproducible {
		b.WriteString("\nAnother render may differ: the chart uses random values, the time or lookups.\n")
	}
	for _, t := range doc.Targets {
		if b.Len() > maxComment {
			break
		}
		if err := p.target(ctx, &b, t); err != nil {
			return "", err
		}
	}
	return cut(b.String()), nil
}

// target writes the objects of one cluster, folded.
func (p plan) target(ctx context.Context, b *strings.Builder, t openapi.PlanTarget) error {
	if t.Cause != "" {
		fmt.Fprintf(b, "\n%s: %s\n", code(t.ClusterName), quote(t.Cause))
		return nil
	}
	opened := false
	for cursor := ""; b.Len() <= maxComment; {
		got, err := p.api.GetPlanTargetWithResponse(ctx, p.run.Org, p.run.PlanHash, t.ClusterID, &openapi.GetPlanTargetParams{Cursor: cursor})
		if err != nil {
			return fmt.Errorf("reading the plan of cluster %s: %w", t.ClusterName, err)
		}
		var doc openapi.PlanTargetDetails
		if err := decode(got.StatusCode(), got.Body, &doc); err != nil {
			return fmt.Errorf("reading the plan of cluster %s: %w", t.ClusterName, err)
		}
		for _, o := range doc.Objects {
			if o.Action == openapi.ObjectActionUnchanged {
				continue
			}
			if !opened {
				fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n", html(t.ClusterName))
				opened = true
			}
			object(b, o)
		}
		if cursor = doc.NextCursor; cursor == "" {
			break
		}
	}
	if opened {
		b.WriteString("\n</details>\n")
	}
	return nil
}

func object(b *strings.Builder, o openapi.PlannedObject) {
	fmt.Fprintf(b, "- %s %s\n", o.Action, code(strings.TrimSpace(o.Kind+" "+strings.Trim(o.Namespace+"/"+o.Name, "/"))))
	for _, why := range o.Destructive {
		fmt.Fprintf(b, "  - **destructive**: %s\n", quote(why))
	}
	for _, c := range o.Changes {
		fmt.Fprintf(b, "  - %s: %s → %s\n", code(c.Path), value(c.Before), value(c.After))
	}
}

func value(v any) string {
	if v == nil {
		return "nothing"
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return code(excerpt.Of(string(raw), maxValue))
}

// code is text that Markdown and HTML leave alone: on one line, without backquotes.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "\n", " ", "\r", " ", "|", "¦").Replace(text) + "`"
}

func quote(text string) string { return code(excerpt.Of(text, 500)) }

func html(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", " ").Replace(text)
}

// cut ends a comment that is too long at the end of a line. What is folded at that place is closed.
func cut(text string) string {
	if len(text) <= maxComment {
		return text
	}
	text = text[:maxComment]
	text = text[:strings.LastIndexByte(text, '\n')+1]
	if strings.Count(text, "<details>") > strings.Count(text, "</details>") {
		text += "\n</details>\n"
	}
	return text + "\nThe rest is left out: `swell plan` shows all of it.\n"
}

func decode(status int, body []byte, into any) error {
	if status != http.StatusOK {
		return fmt.Errorf("the API answered %d", status)
	}
	return json.Unmarshal(body, into)
}
