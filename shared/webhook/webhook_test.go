package webhook_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/webhook"
)

var (
	now  = time.Unix(1614265330, 0).UTC()
	body = []byte(`{"test": 2432232314}`)
)

func key(tb testing.TB, n byte) webhook.Key {
	tb.Helper()
	return webhook.KeyOf(bytes.Repeat([]byte{n}, 32))
}

func signed(tb testing.TB, keys ...webhook.Key) http.Header {
	tb.Helper()
	header := http.Header{}
	webhook.Sign(header, webhook.Message{ID: "msg_1", At: now}, body, keys...)
	return header
}

// The vector that the specification's own libraries are tested with.
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	k, err := webhook.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	want := webhook.Message{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", At: now}
	webhook.Sign(header, want, body, k)
	if got := header.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signature %s", got)
	}
	if got, err := webhook.Verify(header, body, now, k); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestVerify(t *testing.T) {
	older, newer := key(t, 1), key(t, 2)
	without := func(name string) http.Header {
		h := signed(t, newer)
		h.Del(name)
		return h
	}
	with := func(name, value string) http.Header {
		h := signed(t, newer)
		h.Set(name, value)
		return h
	}
	twice := signed(t, newer)
	twice.Add(webhook.HeaderSignature, twice.Get(webhook.HeaderSignature))
	signature := signed(t, newer).Get(webhook.HeaderSignature)
	cases := map[string]struct {
		header http.Header
		body   []byte
		at     time.Time
		keys   []webhook.Key
		want   error
	}{
		"as signed":                          {header: signed(t, newer)},
		"the receiver has the newer key":     {header: signed(t, older), keys: []webhook.Key{newer, older}},
		"the sender has the newer key":       {header: signed(t, newer, older), keys: []webhook.Key{older}},
		"a signature of a version to come":   {header: with(webhook.HeaderSignature, "v2,abc "+signature)},
		"another's signature before":         {header: with(webhook.HeaderSignature, signed(t, older).Get(webhook.HeaderSignature)+" "+signature)},
		"five minutes late":                  {header: signed(t, newer), at: now.Add(webhook.Tolerance)},
		"five minutes early":                 {header: signed(t, newer), at: now.Add(-webhook.Tolerance)},
		"later":                              {header: signed(t, newer), at: now.Add(webhook.Tolerance + time.Second), want: webhook.ErrTooOld},
		"earlier":                            {header: signed(t, newer), at: now.Add(-webhook.Tolerance - time.Second), want: webhook.ErrTooNew},
		"after the rotation":                 {header: signed(t, older), want: webhook.ErrMismatch},
		"no key in use":                      {header: signed(t, newer), keys: []webhook.Key{}, want: webhook.ErrMismatch},
		"another body":                       {header: signed(t, newer), body: []byte("{}"), want: webhook.ErrMismatch},
		"a byte more":                        {header: signed(t, newer), body: append(bytes.Clone(body), '\n'), want: webhook.ErrMismatch},
		"another id":                         {header: with(webhook.HeaderID, "msg_2"), want: webhook.ErrMismatch},
		"another time":                       {header: with(webhook.HeaderTimestamp, strconv.FormatInt(now.Unix()+1, 10)), want: webhook.ErrMismatch},
		"the same time, written another way": {header: with(webhook.HeaderTimestamp, "0"+strconv.FormatInt(now.Unix(), 10)), want: webhook.ErrMismatch},
		"a time with a sign":                 {header: with(webhook.HeaderTimestamp, "+"+strconv.FormatInt(now.Unix(), 10)), want: webhook.ErrUnsigned},
		"a time that is none":                {header: with(webhook.HeaderTimestamp, now.Format(time.RFC3339)), want: webhook.ErrUnsigned},
		"a time beyond all":                  {header: with(webhook.HeaderTimestamp, "9999999999999999999"), want: webhook.ErrUnsigned},
		"no id":                              {header: without(webhook.HeaderID), want: webhook.ErrUnsigned},
		"no time":                            {header: without(webhook.HeaderTimestamp), want: webhook.ErrUnsigned},
		"no signature":                       {header: without(webhook.HeaderSignature), want: webhook.ErrUnsigned},
		"nothing":                            {header: http.Header{}, want: webhook.ErrUnsigned},
		"a signature of a version to come, alone": {header: with(webhook.HeaderSignature, "v1a,"+signature[3:]), want: webhook.ErrUnsigned},
		"a signature that is cut short":           {header: with(webhook.HeaderSignature, signature[:20]), want: webhook.ErrUnsigned},
		"an empty signature":                      {header: with(webhook.HeaderSignature, "v1,"), want: webhook.ErrUnsigned},
		"a header twice":                          {header: twice, want: webhook.ErrUnsigned},
		"an id that could move the borders":       {header: with(webhook.HeaderID, "msg_1.1614265330"), want: webhook.ErrUnsigned},
		"an id without end":                       {header: with(webhook.HeaderID, strings.Repeat("x", 257)), want: webhook.ErrUnsigned},
		"the right one behind fifteen others":     {header: with(webhook.HeaderSignature, strings.Repeat(signed(t, older).Get(webhook.HeaderSignature)+" ", 15)+signature)},
		"the right one behind too many":           {header: with(webhook.HeaderSignature, strings.Repeat(signed(t, older).Get(webhook.HeaderSignature)+" ", 16)+signature), want: webhook.ErrMismatch},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.body == nil {
				c.body = body
			}
			if c.at.IsZero() {
				c.at = now
			}
			if c.keys == nil {
				c.keys = []webhook.Key{newer}
			}
			m, err := webhook.Verify(c.header, c.body, c.at, c.keys...)
			if !errors.Is(err, c.want) || (err == nil) != (m == webhook.Message{ID: "msg_1", At: now}) {
				t.Errorf("got %v, %v; want %v", m, err, c.want)
			}
		})
	}
}

func TestTenThousandForgeriesAreRefused(t *testing.T) {
	k, random := key(t, 7), rand.New(rand.NewPCG(1, 2))
	payload := bytes.Repeat([]byte(`{"state":"complete"},`), 50)
	original := http.Header{}
	webhook.Sign(original, webhook.Message{ID: "msg_1", At: now}, payload, k)
	for i := range 10_000 {
		header, forged := maps.Clone(original), bytes.Clone(payload)
		flip := func(s string) string {
			b := []byte(s)
			b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
			return string(b)
		}
		switch i % 4 {
		case 0:
			forged[random.IntN(len(forged))] ^= byte(1 + random.IntN(255))
		case 1:
			raw, _ := base64.StdEncoding.DecodeString(original.Get(webhook.HeaderSignature)[3:])
			header[webhook.HeaderSignature] = []string{"v1," + base64.StdEncoding.EncodeToString([]byte(flip(string(raw))))}
		case 2:
			header[webhook.HeaderID] = []string{flip("msg_1")}
		case 3:
			header[webhook.HeaderTimestamp] = []string{flip(original.Get(webhook.HeaderTimestamp))}
		}
		if _, err := webhook.Verify(header, forged, now, k); err == nil {
			t.Fatalf("forgery %d was taken: %v", i, header)
		}
	}
}

func TestKeys(t *testing.T) {
	k := key(t, 9)
	again, err := webhook.ParseKey(k.Text())
	if err != nil || again.Text() != k.Text() {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!", "whsec_c2hvcnQ=", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65))} {
		if _, err := webhook.ParseKey(text); err == nil || text != "" && strings.Contains(err.Error(), text+" ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	raw, err := json.Marshal(map[string]any{"key": k})
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v %s %x", k, k, k, k), string(raw)} {
		if strings.Contains(printed, "09") || strings.Contains(printed, "CQkJ") || !strings.Contains(printed, "[redacted]") {
			t.Errorf("printed %s", printed)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("msg_1", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", body)
	f.Add("", "", "v1, v1,a v2,", []byte{})
	f.Add("a.1", "-1", "v1,"+strings.Repeat("A", 44), body)
	k := key(f, 3)
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		header := http.Header{webhook.HeaderID: {id}, webhook.HeaderTimestamp: {timestamp}, webhook.HeaderSignature: {signature}}
		if _, err := webhook.Verify(header, body, now, k); err == nil {
			t.Fatal("a signature was guessed")
		}
		if !webhook.ValidID(id) {
			return
		}
		webhook.Sign(header, webhook.Message{ID: id, At: now}, body, k)
		if m, err := webhook.Verify(header, body, now, k); err != nil || m.ID != id {
			t.Fatalf("what was signed is not taken: %v", err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) {
			payload, header := make([]byte, size), http.Header{}
			k := key(b, 1)
			webhook.Sign(header, webhook.Message{ID: "msg_1", At: now}, payload, k)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := webhook.Verify(header, payload, now, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
