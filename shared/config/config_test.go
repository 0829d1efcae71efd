package config_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/config"
)

type settings struct {
	Table    string         `env:"T_TABLE,required"`
	Level    slog.Level     `env:"T_LEVEL" default:"info"`
	Timeout  time.Duration  `env:"T_TIMEOUT" default:"30s"`
	Workers  int            `env:"T_WORKERS" default:"4"`
	Bytes    int64          `env:"T_BYTES"`
	Debug    bool           `env:"T_DEBUG"`
	Names    []string       `env:"T_NAMES"`
	Networks []netip.Prefix `env:"T_NETWORKS"`
	Left     string
}

func TestLoad(t *testing.T) {
	cases := map[string]struct {
		env   map[string]string
		want  settings
		fault []string
	}{
		"defaults": {
			env:  map[string]string{"T_TABLE": "swell"},
			want: settings{Table: "swell", Timeout: 30 * time.Second, Workers: 4},
		},
		"everything": {
			env: map[string]string{"T_TABLE": "swell", "T_LEVEL": "debug", "T_TIMEOUT": "2m", "T_WORKERS": "9", "T_BYTES": "5000000000", "T_DEBUG": "true",
				"T_NAMES": "a, b", "T_NETWORKS": "127.0.0.0/8,10.0.0.0/8"},
			want: settings{Table: "swell", Level: slog.LevelDebug, Timeout: 2 * time.Minute, Workers: 9, Bytes: 5000000000, Debug: true,
				Names: []string{"a", "b"}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}},
		},
		"all faults at once, without the values": {
			env: map[string]string{"T_LEVEL": "v-loud", "T_TIMEOUT": "v-soon", "T_WORKERS": "v-many", "T_DEBUG": "v-maybe", "T_NETWORKS": "v-all"},
			fault: []string{"T_TABLE is required and not set", "T_LEVEL is no slog.Level", "T_TIMEOUT is no duration such as 90s",
				"T_WORKERS is no whole number", "T_DEBUG is neither true nor false", "T_NETWORKS is no netip.Prefix"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			var got settings
			err := config.Load(t.Context(), &got)
			if len(c.fault) > 0 {
				for _, fault := range c.fault {
					if err == nil || !strings.Contains(err.Error(), fault) {
						t.Errorf("error %v does not say %q", err, fault)
					}
				}
				if err != nil && strings.Contains(err.Error(), "v-") {
					t.Errorf("error %v repeats a value", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefusesWhatItCannotFill(t *testing.T) {
	t.Setenv("T_TABLE", "x")
	var odd struct {
		Field map[string]string `env:"T_TABLE"`
	}
	for name, into := range map[string]any{"no pointer": settings{}, "no struct": new(string), "a map": &odd} {
		t.Run(name, func(t *testing.T) {
			if config.Load(t.Context(), into) == nil {
				t.Error("no error")
			}
		})
	}
}

func TestAWSUsesTheEnvironmentAndLogsCallsWhenTold(t *testing.T) {
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte(`{"QueueUrls":[]}`))
	}))
	defer server.Close()
	t.Setenv("AWS_REGION", "eu-north-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("LOG_AWS_CALLS", "true")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "swell-api")
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	defer slog.SetDefault(before)

	cfg, err := config.AWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{}); err != nil {
		t.Fatal(err)
	}
	if auth := seen.Header.Get("Authorization"); !strings.Contains(auth, "AKIDTEST/") || !strings.Contains(auth, "/eu-north-1/sqs/") {
		t.Errorf("the call was signed with %q", auth)
	}
	if seen.Header.Get("X-Amz-Security-Token") != "session" {
		t.Error("the session token was not sent")
	}
	if line := log.String(); !strings.Contains(line, `"msg":"aws call","function":"swell-api","service":"SQS","operation":"ListQueues","parts":null`) || strings.Contains(line, "secret") {
		t.Errorf("logged %q", line)
	}
}

func TestAWSSaysWhatIsMissing(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	if _, err := config.AWS(t.Context()); err == nil || strings.Count(err.Error(), "is required") != 3 {
		t.Errorf("got %v", err)
	}
}
