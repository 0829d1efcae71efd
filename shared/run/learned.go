package run

// LearnedBy says how a run learned what became of a target's workloads.
type LearnedBy string

// A target's workloads were ready, or had failed, when they were first looked at; or its cluster's relay said when to look; or they were looked at again
// and again.
const (
	LearnedByLook  LearnedBy = "look"
	LearnedByRelay LearnedBy = "relay"
	LearnedByPoll  LearnedBy = "poll"
)
