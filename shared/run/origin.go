package run

// Origin is what in a source a run comes from: with it the history says which commit. Zero for a run that a person or Swell itself started.
type Origin struct {
	Source      string // by name
	Kind        string // of the source: github, ghcr, …
	Repository  string // owner/name, or the image's
	Ref         string // refs/heads/main, or the image's tag
	Commit      string
	PullRequest int
	URL         string // for a person
}

// Zero says that there is none.
func (o Origin) Zero() bool { return o == Origin{} }
