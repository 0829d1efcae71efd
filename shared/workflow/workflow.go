// Package workflow is the JSON that states hand to each other: references only, never values, manifests or secrets.
package workflow

import "github.com/swell-sh/swell/shared/taskerr"

// RunRef is the input of every entry machine and of the states that see a whole run.
type RunRef struct {
	Org string `json:"org"`
	Run string `json:"run"`
}

// TargetRef is one item of a batch, the input of every state of the Map's child.
type TargetRef struct {
	Org     string `json:"org"`
	Run     string `json:"run"`
	Plan    string `json:"plan"`    // planHash; empty in a run that only looks
	Cluster string `json:"cluster"` // cluster id
	Attempt int    `json:"attempt"` // of the state, from 0
	// EverySeconds is how often the cluster's groups want it looked at; 0 where no schedule asked for the look.
	EverySeconds int `json:"everySeconds,omitempty"`
}

// Progress is the input of NextBatch and EvaluateBatch: how many targets were done before this batch. A batch that ends none of its
// targets ends the roll-out, so that it cannot go round for ever.
type Progress struct {
	RunRef
	Done int `json:"done"`
}

// Batch is what NextBatch hands to the Map.
type Batch struct {
	Progress
	Items []TargetRef `json:"items"`
}

// Verdict is what EvaluateBatch says of the run so far.
type Verdict struct {
	Progress
	Again      bool   `json:"again"` // targets are left: take the next batch
	Status     string `json:"status"`
	LeftBehind bool   `json:"leftBehind"`
}

// Outcome is the input of RecordRelease: how the target's path ended.
type Outcome struct {
	TargetRef
	Caught *taskerr.Caught `json:"caught,omitempty"` // absent: it succeeded
}

// End is the input of FinishRun, reached only when a machine could not end the run by itself.
type End struct {
	RunRef
	Caught *taskerr.Caught `json:"caught,omitempty"`
}
