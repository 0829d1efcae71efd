package deployment

import "math/rand/v2"

var (
	adjectives = []string{"amber", "bold", "brisk", "calm", "clear", "deep", "eager", "fair", "gentle", "green", "keen", "light", "lucky", "mellow", "noble", "quick", "quiet", "rapid", "sandy", "silver", "steady", "sunny", "swift", "tidal", "warm", "wild"}
	nouns      = []string{"anchor", "bay", "beacon", "breeze", "buoy", "cape", "coral", "current", "dolphin", "drift", "fjord", "gull", "harbor", "heron", "lagoon", "mast", "pearl", "reef", "sail", "shell", "shore", "surf", "tide", "wave", "whale", "wharf"}
)

// RandomName is a release name for those who give none.
func RandomName() string {
	//nolint:gosec // a name is no secret
	return adjectives[rand.IntN(len(adjectives))] + "-" + nouns[rand.IntN(len(nouns))] + "-" + string(rune('a'+rand.IntN(26))) + string(rune('a'+rand.IntN(26)))
}
