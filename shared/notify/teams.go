package notify

import (
	"context"
	"net/http"
	"strings"

	"github.com/swell-sh/swell/shared/receiver"
)

// teams sends Adaptive Cards to workflows of Microsoft Teams' ("When a Teams webhook request is received").
type teams struct{ Client *http.Client }

type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string            `json:"$schema"`
	Type    string            `json:"type"`
	Version string            `json:"version"`
	Body    []teamsElement    `json:"body"`
	Teams   map[string]string `json:"msteams"`
}

type teamsElement struct {
	Type     string      `json:"type"`
	Text     string      `json:"text,omitempty"`
	Weight   string      `json:"weight,omitempty"`
	Size     string      `json:"size,omitempty"`
	Color    string      `json:"color,omitempty"`
	FontType string      `json:"fontType,omitempty"`
	Wrap     bool        `json:"wrap,omitempty"`
	Facts    []teamsFact `json:"facts,omitempty"`
}

type teamsFact struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

// Send implements Sender.
func (s teams) Send(ctx context.Context, d Delivery) error {
	return post(ctx, s.Client, d.Credential.URL, teamsOf(d.Message), nil)
}

var teamsMoods = map[receiver.Mood]string{receiver.Good: "good", receiver.Notice: "default", receiver.Bad: "attention"}

func teamsOf(m receiver.Message) teamsMessage {
	card := teamsCard{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Teams: map[string]string{"width": "Full"}}
	if m.Text != "" {
		card.Body = append(card.Body, teamsElement{Type: "TextBlock", Text: m.Text, Wrap: true})
	} else {
		card.Body = teamsBody(m)
	}
	return teamsMessage{Type: "message", Attachments: []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
}

func teamsBody(m receiver.Message) []teamsElement {
	body := []teamsElement{{Type: "TextBlock", Text: escapeTeams(m.Title), Weight: "Bolder", Size: "Medium", Color: teamsMoods[m.Mood], Wrap: true}}
	for _, line := range m.Lines {
		body = append(body, teamsElement{Type: "TextBlock", Text: escapeTeams(line), Wrap: true})
	}
	facts := teamsElement{Type: "FactSet"}
	for _, f := range m.Facts {
		facts.Facts = append(facts.Facts, teamsFact{f.Name, escapeTeams(f.Value)})
	}
	if len(facts.Facts) > 0 {
		body = append(body, facts)
	}
	if m.Command != "" {
		body = append(body, teamsElement{Type: "TextBlock", Text: escapeTeams(m.Command), FontType: "Monospace", Wrap: true})
	}
	return body
}

// escapeTeams leaves nothing that a card takes for Markdown's links and emphasis.
func escapeTeams(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`, "#", `\#`, "`", "\\`").Replace(text)
}
