package source

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Outcome says what became of a delivery, or of one of its rules.
type Outcome string

// A delivery is Received until it was looked at.
const (
	Received Outcome = "received"
	Accepted Outcome = "accepted" // it started a run
	Ignored  Outcome = "ignored"
	Failed   Outcome = "failed"
)

// Keep is for how long a delivery is remembered: a host's redelivery within it is the same one.
const Keep = 14 * 24 * time.Hour

// Again is when a delivery that was received and not done with may be taken again: what should have sent it on died.
const Again = 15 * time.Minute

// Record is a delivery that was taken, and what became of it.
type Record struct {
	Org, Source string
	Event       Event
	Outcome     Outcome
	Why         string
	Rules       []RuleRecord
	ReceivedAt  time.Time
	EndedAt     time.Time
}

// RuleRecord is what became of a delivery for one rule.
type RuleRecord struct {
	Group, ReleaseName string
	Outcome            Outcome
	Why                string
	Commit, Tag        string // that the host itself answered
	Run                string
}

// Conclude is the outcome of the whole: failed if a rule failed, accepted if one started a run.
func (r Record) Conclude(at time.Time) Record {
	r.Outcome, r.EndedAt = Ignored, at
	for _, rule := range r.Rules {
		switch {
		case rule.Outcome == Failed:
			r.Outcome, r.Why = Failed, rule.Why
		case rule.Outcome == Accepted && r.Outcome == Ignored:
			r.Outcome = Accepted
		}
	}
	if r.Outcome == Ignored && r.Why == "" && len(r.Rules) > 0 {
		r.Why = r.Rules[0].Why
	}
	return r
}

// State is how far a rule is. Step rises with every attempt to change the deployment, so that of two attempts at once one is told to look again.
type State struct {
	Step    int64
	Rule    string // a digest of what the rule said then
	Commit  string // the commit or tag last deployed
	Inputs  string // a digest of what the rule read there
	Run     string
	Intent  Intent
	Changed time.Time
}

// Intent is a change on its way to the API: who finds one that was not settled sends the very same request again, under the same key.
type Intent struct {
	Commit, Inputs, IfMatch string
}

// Settled says whether no change is on its way: while one is, nobody knows what is deployed.
func (s State) Settled() bool { return s.Intent == Intent{} }

// Has says whether that is what is deployed.
func (s State) Has(inputs string) bool { return s.Settled() && s.Inputs == inputs }

// Message is what goes from the webhook to process-delivery: where to look, and nothing else of the delivery.
type Message struct {
	Org      string `json:"org"`
	Source   string `json:"source"`
	Delivery string `json:"delivery"`
}

// Digest tells whether the rule still says what it said.
func (s Source) Digest(r Rule) string {
	return digest(s.URL, r.Branch, r.Tag, r.Path, r.Overrides, r.ChartPath, r.Image, r.Range, r.ValuesPath)
}

// IdempotencyKey is that of the rule's change at that step: who repeats it after a death repeats it under the same key.
func (s Source) IdempotencyKey(r Rule, step int64, commit string) string {
	return "source-" + digest(s.Org, s.Name, r.Key(), strconv.FormatInt(step, 10), commit)
}

func digest(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		one := sha256.Sum256([]byte(part))
		sum.Write(one[:])
	}
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

// PageOf is where a person reads a commit; empty where the host has no such page.
func (s Source) PageOf(commit string) string {
	at := map[Kind]string{GitHub: "/commit/", Gitea: "/commit/", GitLab: "/-/commit/", Bitbucket: "/commits/"}[s.Kind]
	if at == "" || commit == "" {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(s.URL, "/"), ".git") + at + commit
}

// API is the base of the host's own API; empty where there is none.
func (s Source) API() string {
	u, err := url.Parse(s.URL)
	switch {
	case s.APIURL != "":
		return strings.TrimSuffix(s.APIURL, "/")
	case err != nil:
		return ""
	case s.Kind == GitHub && strings.EqualFold(u.Host, "github.com"):
		return "https://api.github.com"
	case s.Kind == Bitbucket && strings.EqualFold(u.Host, "bitbucket.org"):
		return "https://api.bitbucket.org/2.0"
	}
	beneath := map[Kind]string{GitHub: "/api/v3", GitLab: "/api/v4", Gitea: "/api/v1"}[s.Kind]
	if beneath == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + beneath
}
