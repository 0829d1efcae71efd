package workflow

import "fmt"

// AwaitRef is the input of AwaitReport: the target, and the task that waits.
type AwaitRef struct {
	TargetRef
	Token TaskToken `json:"token"`
}

// TaskToken is where the answer to a task goes. Who has it can end the task, so that it is never printed.
type TaskToken string

// Format hides it from every verb.
func (TaskToken) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// MarshalText hides it from JSON and logs.
func (TaskToken) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
