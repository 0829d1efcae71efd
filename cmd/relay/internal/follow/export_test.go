package follow

// For the tests alone.
var (
	Touch    = touch
	StripPod = stripPod
)
