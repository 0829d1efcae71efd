package receiver

import (
	"fmt"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/excerpt"
)

// Mood is how a message looks: what went well, what somebody should know, what somebody should look at.
type Mood int

// The moods there are.
const (
	Good Mood = iota
	Notice
	Bad
)

// Message is an event in words for people. It is plain text: who sends it escapes what its receiver would take for markup.
type Message struct {
	Mood    Mood
	Title   string   // what happened, and where
	Lines   []string // one for each cluster or cause, in the words of Kubernetes or Helm
	Facts   []Fact
	Command string // to look further
	Text    string // of the receiver's own template, in place of all the others but Title
}

// Fact is one thing to know beside.
type Fact struct{ Name, Value string }

// maxLine bounds a cause in a message: the command shows it whole.
const maxLine = 600

// Compose says an event in words.
func (r Receiver) Compose(e event.Event) Message {
	m := Message{Facts: []Fact{{"Organization", e.Org}}, Text: r.text(e)}
	switch family, _, _ := strings.Cut(string(e.Type), "."); {
	case family == "run" && e.Run != nil:
		m.ofRun(e)
	case family == "target" && e.Target != nil:
		m.ofTarget(e)
	case family == "release" && e.Release != nil:
		m.ofRelease(e)
	case family == "cluster" && e.Cluster != nil:
		m.ofCluster(e)
	case e.Generation != nil:
		m.Mood, m.Title = Good, fmt.Sprintf("Generation %d of %s was accepted", e.Generation.Number, where(e))
		m.fact("Chart", e.Generation.ChartName+" "+e.Generation.ChartVersion)
		m.fact("Accepted from", e.Generation.CreatedBy)
		m.Command = command(e.Org, "run", "get", e.Generation.RunID)
	case e.Change != nil:
		m.Mood, m.Title = Notice, fmt.Sprintf("Cluster group %s was %s", e.Group.Name, e.Change.Kind)
	default:
		m.Mood, m.Title = Notice, fmt.Sprintf("%s: %s", e.Type, where(e))
	}
	return m
}

func (m *Message) fact(name, value string) {
	if value != "" {
		m.Facts = append(m.Facts, Fact{name, value})
	}
}

// where names a deployment: web in group prod.
func where(e event.Event) string {
	var parts []string
	if e.Deployment != nil {
		parts = append(parts, orID(e.Deployment.ReleaseName, e.Deployment.ID))
	}
	if e.Group != nil {
		parts = append(parts, "in group "+orID(e.Group.Name, e.Group.ID))
	}
	if len(parts) == 0 {
		return "organization " + e.Org
	}
	return strings.Join(parts, " ")
}

func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

var verbs = map[event.Type]struct {
	mood Mood
	verb string
}{
	event.RunStarted: {Good, "began"}, event.RunSucceeded: {Good, "succeeded"}, event.RunPartial: {Bad, "succeeded only in part"}, event.RunFailed: {Bad, "failed"},
	event.RunCanceled: {Notice, "was canceled"}, event.RunSuperseded: {Notice, "was superseded by a newer run"},
	event.RunPaused: {Notice, "is paused"}, event.RunResumed: {Good, "goes on"},
	event.TargetSucceeded: {Good, "succeeded"}, event.TargetFailed: {Bad, "failed"}, event.TargetUnreachable: {Bad, "was put off, since the cluster does not answer,"},
	event.TargetReverted: {Bad, "was taken back"}, event.TargetCanceled: {Notice, "was canceled"}, event.TargetSuperseded: {Notice, "was superseded"},
	event.ReleaseDrifted: {Bad, "drifted"}, event.ReleaseUndrifted: {Good, "is as its manifest says again"},
	event.ReleaseHealthy: {Good, "is healthy"}, event.ReleaseUnhealthy: {Bad, "is unhealthy"},
	event.ClusterImported: {Good, "was imported"}, event.ClusterUnreachable: {Bad, "does not answer"}, event.ClusterReachable: {Good, "answers again"}, event.ClusterRemoved: {Notice, "was removed"},
}

func (m *Message) ofRun(e event.Event) {
	said := verbs[e.Type]
	m.Mood, m.Title = said.mood, fmt.Sprintf("%s of %s %s", what(e.Run.Type), where(e), said.verb)
	if o := e.Outcome; o != nil {
		switch missed := o.Failed + o.Unreachable; {
		case missed > 0 && e.Type == event.RunFailed:
			m.Title += fmt.Sprintf(" on %d of %s", missed, plural(o.Targets, "cluster"))
		case missed > 0:
			m.Title += fmt.Sprintf(": %d of %s failed", missed, plural(o.Targets, "cluster"))
		case e.Type == event.RunSucceeded:
			m.Title += " on " + plural(o.Targets, "cluster")
		}
		for _, f := range o.Failures {
			m.Lines = append(m.Lines, line(f))
		}
		if more := o.Failed + o.Unreachable - len(o.Failures); more > 0 {
			m.Lines = append(m.Lines, fmt.Sprintf("and %d more", more))
		}
	}
	if e.Run.Cause != "" {
		m.Lines = append(m.Lines, excerpt.Of(strings.TrimPrefix(e.Run.Code+": "+e.Run.Cause, ": "), maxLine))
	}
	m.ofRunsFacts(e)
	if !e.Run.EndedAt.IsZero() && !e.Run.StartedAt.IsZero() {
		m.fact("Took", e.Run.EndedAt.Sub(e.Run.StartedAt).Round(time.Second).String())
	}
}

func (m *Message) ofRunsFacts(e event.Event) {
	if e.Run.Generation > 0 {
		m.fact("Generation", fmt.Sprint(e.Run.Generation))
	}
	by := e.Run.Actor
	if e.Run.Trigger != "" && e.Run.Trigger != by {
		by += " (" + e.Run.Trigger + ")"
	}
	m.fact("Started by", by)
	m.Command = command(e.Org, "run", "get", e.Run.ID)
}

// line is a cluster that failed: eu-2 (not-ready): the cause; rolled back to revision 6.
func line(f event.Failure) string {
	text := orID(f.Cluster.Name, f.Cluster.ID)
	if f.Code != "" {
		text += " (" + f.Code + ")"
	}
	if f.Cause != "" {
		text += ": " + excerpt.Of(f.Cause, maxLine)
	}
	return text + remedy(f.Remedy)
}

func remedy(r *event.Remedy) string {
	switch {
	case r == nil:
		return ""
	case r.Revision > 0:
		return fmt.Sprintf("; went back to revision %d: %s", r.Revision, strings.ToLower(r.Status))
	}
	return fmt.Sprintf("; %s: %s", r.Action, strings.ToLower(r.Status))
}

func (m *Message) ofTarget(e event.Event) {
	said := verbs[e.Type]
	m.Mood, m.Title = said.mood, fmt.Sprintf("%s of %s %s on cluster %s", what(e.Run.Type), where(e), said.verb, orID(e.Cluster.Name, e.Cluster.ID))
	if e.Target.Code+e.Target.Cause != "" {
		m.Lines = append(m.Lines, line(event.Failure{Cluster: *e.Cluster, Code: e.Target.Code, Cause: e.Target.Cause, Remedy: e.Target.Remedy}))
	}
	m.ofRunsFacts(e)
}

func (m *Message) ofRelease(e event.Event) {
	said := verbs[e.Type]
	m.Mood, m.Title = said.mood, fmt.Sprintf("%s %s on cluster %s", where(e), said.verb, orID(e.Cluster.Name, e.Cluster.ID))
	if d := e.Release.Drift; d != nil {
		m.Lines = append(m.Lines, fmt.Sprintf("%s and %s differ from the manifest of revision %d", plural(d.Objects, "object"), plural(d.Fields, "field"), e.Release.Revision))
	}
	if e.Type == event.ReleaseUnhealthy && e.Release.HealthMessage != "" {
		m.Lines = append(m.Lines, excerpt.Of(e.Release.HealthMessage, maxLine))
	}
	m.fact("Namespace", e.Release.Namespace)
	if e.Group != nil && e.Deployment != nil {
		verb := "status"
		if e.Type == event.ReleaseDrifted {
			verb = "drift"
		}
		m.Command = command(e.Org, verb, orID(e.Deployment.ReleaseName, e.Deployment.ID), "--group", orID(e.Group.Name, e.Group.ID))
	}
}

func (m *Message) ofCluster(e event.Event) {
	said := verbs[e.Type]
	m.Mood, m.Title = said.mood, fmt.Sprintf("Cluster %s %s", orID(e.Cluster.Name, e.Cluster.ID), said.verb)
	if e.Cluster.Cause != "" {
		m.Lines = append(m.Lines, excerpt.Of(e.Cluster.Cause, maxLine))
	}
	m.Command = command(e.Org, "cluster", "get", orID(e.Cluster.Name, e.Cluster.ID))
}

// command is what to type to look further. The org "default" is the command line's own.
func command(org string, words ...string) string {
	if org != "default" {
		words = append(words, "--org", org)
	}
	return "swell " + strings.Join(words, " ")
}

// what names a run as people do.
func what(runType string) string {
	switch runType {
	case "":
		return "A run"
	case "sync":
		return "Correction"
	case "remove":
		return "Removal"
	case "leave":
		return "Leaving"
	case "join":
		return "Joining"
	}
	return strings.ToUpper(runType[:1]) + runType[1:]
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Plain is the message as text, for those who take no more.
func (m Message) Plain() string {
	if m.Text != "" {
		return m.Text
	}
	var out strings.Builder
	for _, line := range m.Lines {
		out.WriteString(line + "\n")
	}
	if len(m.Lines) > 0 {
		out.WriteString("\n")
	}
	for _, f := range m.Facts {
		out.WriteString(f.Name + ": " + f.Value + "\n")
	}
	if m.Command != "" {
		out.WriteString("\n" + m.Command + "\n")
	}
	return out.String()
}
