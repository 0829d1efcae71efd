package run

import "time"

// GateStatus is what was answered.
type GateStatus string

// The answers. The first one counts; a gate that nobody answered in time has failed.
const (
	GateAsked  GateStatus = ""
	GatePassed GateStatus = "passed"
	GateFailed GateStatus = "failed"
)

// Gate is a question to a program outside: may the run go on after a wave?
type Gate struct {
	Wave       string
	Receiver   string // who is asked
	Status     GateStatus
	Reason     string // in the words of who answered
	Tries      int    // in vain, to put the question
	Until      time.Time
	AskedAt    time.Time // zero: the question has not been taken yet
	AnsweredAt time.Time
}

// MaxGateTries is how often a question is put to who does not take it.
const MaxGateTries = 4
