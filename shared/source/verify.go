package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/webhook"
)

// Delivery is a request as it came: nothing of it is believed before Verify.
type Delivery struct {
	Header http.Header
	Token  string // of the URL's query: for a host that signs nothing
	Body   []byte // the raw bytes
}

// Verify says whether one of the secrets is what the delivery was signed with, or has. Secrets that are sent are compared in constant time.
func Verify(k Kind, d Delivery, now time.Time, secrets ...string) error {
	valid := false
	for _, secret := range secrets {
		valid = secret != "" && verify(k, d, now, secret) || valid
	}
	if !valid {
		return problem.With(http.StatusUnauthorized, "delivery-refused", "the delivery is not signed with the source's secret").
			Try("give the hook at the host the source's secret, or rotate it")
	}
	return nil
}

func verify(k Kind, d Delivery, now time.Time, secret string) bool {
	switch k {
	case GitHub, GHCR:
		return signed(d.Header.Get("X-Hub-Signature-256"), "sha256=", d.Body, secret)
	case Bitbucket:
		return signed(d.Header.Get("X-Hub-Signature"), "sha256=", d.Body, secret)
	case Gitea:
		return signed(d.Header.Get("X-Gitea-Signature"), "", d.Body, secret)
	case GitLab: // where a delivery is signed, its signature counts, and a token beside it does not save it
		if d.Header.Get(webhook.HeaderSignature) != "" {
			return standard(d, now, secret)
		}
		return same(d.Header.Get("X-Gitlab-Token"), secret)
	case Harbor:
		return same(strings.TrimPrefix(d.Header.Get("Authorization"), "Bearer "), secret)
	case DockerHub:
		return same(d.Token, secret)
	case Generic:
		return standard(d, now, secret)
	}
	return false // ECR's events come by EventBridge alone
}

// signed checks an HMAC-SHA256 over the body, in hex.
func signed(header, prefix string, body []byte, secret string) bool {
	encoded, ok := strings.CutPrefix(header, prefix)
	got, err := hex.DecodeString(encoded)
	if !ok || err != nil || len(got) != sha256.Size {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), got)
}

// same compares digests, so that not even the length tells.
func same(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func standard(d Delivery, now time.Time, secret string) bool {
	key, err := webhook.ParseKey(secret)
	if err != nil {
		return false
	}
	_, err = webhook.Verify(d.Header, d.Body, now, key)
	return err == nil
}
