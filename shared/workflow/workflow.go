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
	Remedy  int    `json:"remedy"`  // number of the target's remedy that plan is of; 0: the run's own path
	Recheck bool   `json:"recheck"` // the release was deployed before: it is only looked at again
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
	Items  []TargetRef `json:"items"`
	Turn   string      `json:"turn"`   // walk, bake, await or end
	Reason string      `json:"reason"` // of bake and await: why
	Until  string      `json:"until"`  // of bake, and of await where it ends by itself: RFC 3339
}

// Waiting is the input of AwaitTurn: the token that ends the wait.
type Waiting struct {
	RunRef
	Reason string    `json:"reason"`
	Until  string    `json:"until"`
	Token  TaskToken `json:"token"`
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
	// Unremedied is why the failure in Caught could not even be judged.
	Unremedied *taskerr.Caught `json:"unremedied,omitempty"`
}

// Remedied is what RemediateRelease says: what is to be carried out next on the target, or its outcome.
type Remedied struct {
	Outcome
	Again bool `json:"again"` // carry out Plan; else the target's path ends
}

// End is the input of FinishRun, reached only when a machine could not end the run by itself.
type End struct {
	RunRef
	Caught *taskerr.Caught `json:"caught,omitempty"`
}
