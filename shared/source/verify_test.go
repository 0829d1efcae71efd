package source_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
	"github.com/swell-sh/swell/shared/webhook"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
	older  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrsc"
)

var now = time.Date(2026, 6, 4, 14, 17, 3, 0, time.UTC)

// sign does what the host does.
func sign(t *testing.T, k source.Kind, body []byte, secret string) source.Delivery {
	t.Helper()
	d := source.Delivery{Header: http.Header{}, Body: body}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	sum := hex.EncodeToString(mac.Sum(nil))
	switch k {
	case source.GitHub, source.GHCR:
		d.Header.Set("X-Hub-Signature-256", "sha256="+sum)
	case source.Bitbucket:
		d.Header.Set("X-Hub-Signature", "sha256="+sum)
	case source.Gitea:
		d.Header.Set("X-Gitea-Signature", sum)
	case source.GitLab:
		d.Header.Set("X-Gitlab-Token", secret)
	case source.Harbor:
		d.Header.Set("Authorization", secret)
	case source.DockerHub:
		d.Token = secret
	case source.Generic:
		standard(t, &d, secret)
	}
	return d
}

func standard(t *testing.T, d *source.Delivery, secret string) {
	t.Helper()
	key, err := webhook.ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	webhook.Sign(d.Header, webhook.Message{ID: "d1", At: now}, d.Body, key)
}

var signing = []source.Kind{source.GitHub, source.GHCR, source.GitLab, source.Bitbucket, source.Gitea, source.DockerHub, source.Harbor, source.Generic}

func TestVerify(t *testing.T) {
	body := []byte(`{"ref": "refs/heads/main"}`)
	for _, k := range signing {
		for name, tc := range map[string]struct {
			delivery source.Delivery
			secrets  []string
			valid    bool
		}{
			"newest":   {sign(t, k, body, secret), []string{secret}, true},
			"older":    {sign(t, k, body, older), []string{secret, older}, true},
			"retired":  {sign(t, k, body, older), []string{secret}, false},
			"unsigned": {source.Delivery{Header: http.Header{}, Body: body}, []string{secret}, false},
			"empty":    {source.Delivery{Header: http.Header{}, Body: body}, []string{""}, false},
			"none":     {sign(t, k, body, secret), nil, false},
		} {
			err := source.Verify(k, tc.delivery, now, tc.secrets...)
			if (err == nil) != tc.valid || err != nil && !problem.Is(err, "delivery-refused") {
				t.Errorf("%s, %s: %v", k, name, err)
			}
		}
	}
	if err := source.Verify(source.ECR, sign(t, source.GitHub, body, secret), now, secret); err == nil {
		t.Error("an ECR event came by a webhook")
	}
}

// A GitLab delivery that is signed is judged by its signature alone.
func TestVerifyGitLabSignature(t *testing.T) {
	d := sign(t, source.GitLab, []byte("{}"), secret)
	standard(t, &d, older)
	if err := source.Verify(source.GitLab, d, now, secret); err == nil {
		t.Error("a token saved a wrong signature")
	}
	d.Header.Del("X-Gitlab-Token")
	if err := source.Verify(source.GitLab, d, now, secret, older); err != nil {
		t.Error(err)
	}
	if err := source.Verify(source.GitLab, d, now.Add(6*time.Minute), older); err == nil {
		t.Error("an old delivery was replayed")
	}
}

// 10,000 deliveries with another byte in the body or in what signs it: none is taken. A token that is sent does not sign the body.
func TestForgedDeliveries(t *testing.T) {
	const forgeries = 10_000
	random := rand.New(rand.NewPCG(3, 4))
	body := read(t, "github-push")
	kinds := []source.Kind{source.GitHub, source.GitLab, source.Bitbucket, source.Gitea, source.DockerHub, source.Harbor, source.Generic}
	for n := range forgeries {
		k := kinds[n%len(kinds)]
		d := sign(t, k, slices.Clone(body), secret)
		signsBody := k == source.GitHub || k == source.Bitbucket || k == source.Gitea || k == source.Generic
		if signsBody && n%2 == 0 {
			d.Body[random.IntN(len(body))] ^= 1 << random.IntN(8)
		} else {
			for name := range d.Header {
				value := []byte(d.Header.Get(name))
				value[len(value)-1-random.IntN(min(20, len(value)-1))] ^= 1 << random.IntN(3)
				d.Header.Set(name, string(value))
			}
			if d.Token != "" {
				value := []byte(d.Token)
				value[random.IntN(len(value))] ^= 1
				d.Token = string(value)
			}
		}
		if err := source.Verify(k, d, now, secret, older); err == nil && !bytes.Equal(d.Body, body) || err == nil && !equal(d, sign(t, k, body, secret)) {
			t.Fatalf("forgery %d of %s was taken: %v", n, k, d.Header)
		}
	}
}

// equal says whether a mutation only changed a letter's case in hex, or unused bits of base64: the signature is the same then.
func equal(a, b source.Delivery) bool {
	for name := range b.Header {
		x, errX := hex.DecodeString(trim(a.Header.Get(name)))
		y, errY := hex.DecodeString(trim(b.Header.Get(name)))
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return false
		}
	}
	return len(b.Header) > 0
}

func trim(value string) string { return string(bytes.TrimPrefix([]byte(value), []byte("sha256="))) }

func BenchmarkVerify(b *testing.B) {
	body := make([]byte, 1<<20)
	d := source.Delivery{Header: http.Header{}, Body: body}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	d.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := source.Verify(source.GitHub, d, now, secret); err != nil {
			b.Fatal(err)
		}
	}
}
