package relay_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/webhook"
)

func TestKeys(t *testing.T) {
	one, two := webhook.KeyOf(bytes.Repeat([]byte{1}, 32)), webhook.KeyOf(bytes.Repeat([]byte{2}, 32))
	for name, c := range map[string]struct {
		secret []byte
		want   []webhook.Key
	}{
		"at first":           {relay.FormatKeys(one, webhook.Key{}), []webhook.Key{one}},
		"while it rotates":   {relay.FormatKeys(two, one), []webhook.Key{two, one}},
		"none":               {[]byte(`{}`), nil},
		"not JSON":           {[]byte(one.Text()), nil},
		"a previous that is": {[]byte(`{"current":"` + one.Text() + `","previous":"x"}`), nil},
	} {
		got, err := relay.ParseKeys(c.secret)
		if (err != nil) != (c.want == nil) || len(got) != len(c.want) || err != nil && strings.Contains(err.Error(), one.Text()) {
			t.Errorf("%s: %d keys, %v", name, len(got), err)
		}
		for i := range c.want {
			if got[i].Text() != c.want[i].Text() {
				t.Errorf("%s: key %d is another", name, i)
			}
		}
	}
	if got := relay.KeysName("default", "c1"); got != "swell/default/relay/c1" {
		t.Error(got)
	}
}

func TestFollows(t *testing.T) {
	for kind, want := range map[string]bool{"Deployment": true, "StatefulSet": true, "DaemonSet": true, "Job": true, "Certificate": false, "": false} {
		if relay.Follows(kind) != want {
			t.Errorf("%s: %v", kind, !want)
		}
	}
}
