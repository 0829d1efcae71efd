package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseAmount reads 3 or 25%.
func ParseAmount(text string) (Amount, error) {
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || percent && n > 100 || strings.HasPrefix(digits, "+") || strings.HasPrefix(digits, "-") {
		return Amount{}, fmt.Errorf("%q is neither a number of targets nor a percentage of them, 0%% to 100%%", text)
	}
	return Amount{N: n, Percent: percent}, nil
}

// String writes it as it is read.
func (a Amount) String() string {
	if a.Percent {
		return strconv.Itoa(a.N) + "%"
	}
	return strconv.Itoa(a.N)
}

// Text writes a duration without the units that are zero: 5m, 1h30m.
func Text(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
