package notify

import (
	"context"
	"net/http"
	"strings"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/receiver"
)

// slack sends to incoming webhooks of Slack's.
type slack struct{ Client *http.Client }

type slackMessage struct {
	Text   string       `json:"text"` // what a notification of the phone's shows
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

const maxSlackText = 3000 // of a block

// Send implements Sender.
func (s slack) Send(ctx context.Context, d Delivery) error {
	return post(ctx, s.Client, d.Credential.URL, slackOf(d.Message), nil)
}

var slackMoods = map[receiver.Mood]string{receiver.Good: ":white_check_mark:", receiver.Notice: ":information_source:", receiver.Bad: ":red_circle:"}

func slackOf(m receiver.Message) slackMessage {
	title := slackMoods[m.Mood] + " *" + escapeSlack(m.Title) + "*"
	out := slackMessage{Text: escapeSlack(m.Title)}
	if m.Text != "" { // the receiver's own: it may have Slack's markup
		out.Blocks = append(out.Blocks, section(m.Text))
		return out
	}
	out.Blocks = append(out.Blocks, section(title))
	if len(m.Lines) > 0 {
		out.Blocks = append(out.Blocks, section("• "+escapeSlack(strings.Join(m.Lines, "\n• "))))
	}
	var facts []string
	for _, f := range m.Facts {
		facts = append(facts, f.Name+": *"+escapeSlack(f.Value)+"*")
	}
	if m.Command != "" {
		facts = append(facts, "`"+escapeSlack(m.Command)+"`")
	}
	return slackMessage{Text: out.Text, Blocks: append(out.Blocks, slackBlock{Type: "context", Elements: []slackText{{Type: "mrkdwn", Text: excerpt.Of(strings.Join(facts, "   "), maxSlackText)}}})}
}

func section(text string) slackBlock {
	return slackBlock{Type: "section", Text: &slackText{Type: "mrkdwn", Text: excerpt.Of(text, maxSlackText)}}
}

// escapeSlack leaves nothing that Slack takes for a mention or a link: <!channel> in a cause must not wake a team.
func escapeSlack(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
