package openapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/swell-sh/swell/shared/problem"
)

// Two sorts of ETag. That of a document with a desired state is "<version>-<hash>": the version is of the desired state, the hash of the
// whole answer, observations included. If-Match compares the version alone, so that a look at a cluster gets in nobody's way;
// If-None-Match compares all of it. That of any other answer is "<hash>".

// conditional answers 304 to a GET whose If-None-Match has the answer's ETag, and gives every 200 one. It saves the way, not the work:
// a handler that can tell earlier answers 304 itself.
func conditional(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		a := record(next, r)
		if a.status == http.StatusOK {
			if a.header.Get("ETag") == "" {
				a.header.Set("ETag", `"`+hashOf(a.body.Bytes())+`"`)
			}
			if matches(r.Header.Get("If-None-Match"), a.header.Get("ETag")) {
				a.status = http.StatusNotModified
				a.body.Reset()
				a.header.Del("Content-Type")
			}
		}
		a.send(w)
	})
}

// WriteVersion answers body as JSON with the ETag of that version of its desired state.
func WriteVersion(w http.ResponseWriter, status int, version int64, body any) {
	body = fill(body)
	if raw, err := json.Marshal(body); err == nil {
		w.Header().Set("ETag", `"`+strconv.FormatInt(version, 10)+"-"+hashOf(raw)+`"`)
	}
	write(w, status, "application/json", body)
}

// CheckIfMatch refuses a change of what is at that version by now, where If-Match says another. `*` is any.
func CheckIfMatch(ifMatch string, version int64) error {
	if ifMatch = strings.TrimSpace(ifMatch); ifMatch == "" || ifMatch == "*" {
		return nil
	}
	for _, tag := range strings.Split(ifMatch, ",") {
		parts := entityTag.FindStringSubmatch(strings.TrimSpace(tag))
		if parts == nil {
			return problem.Malformed("if-match-invalid", "If-Match is neither * nor an ETag in quotes").At("If-Match").
				Try("send the ETag of the last answer as it is, quotes included")
		}
		of, _, _ := strings.Cut(parts[2], "-")
		if parts[1] == "" && of == strconv.FormatInt(version, 10) {
			return nil
		}
	}
	return problem.With(http.StatusPreconditionFailed, "precondition-failed", "it is at version %d now, which is not that of If-Match", version).
		At("If-Match").Try("read it again, and repeat the change with its ETag")
}

// entityTag is one of RFC 9110: an optional W/ and an opaque text in quotes.
var entityTag = regexp.MustCompile(`^(W/)?"([\x21\x23-\x7e]*)"$`)

// matches compares weakly, as If-None-Match wants.
func matches(ifNoneMatch, tag string) bool {
	if strings.TrimSpace(ifNoneMatch) == "*" {
		return true
	}
	for _, one := range strings.Split(ifNoneMatch, ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == tag {
			return true
		}
	}
	return false
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
