//go:build race

package child

// raceDetector: it reserves terabytes of address space, so that limit is not set under it.
const raceDetector = true
