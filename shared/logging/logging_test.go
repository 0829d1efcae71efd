package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/logging"
)

func TestLines(t *testing.T) {
	requested := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "r-1"})
	cases := map[string]struct {
		log  func(l *slog.Logger)
		want map[string]any // nil: no line
	}{
		"below the level": {log: func(l *slog.Logger) { l.Debug("x") }},
		"plain": {
			log:  func(l *slog.Logger) { l.Info("done", "cluster", "pke-demo") },
			want: map[string]any{"level": "INFO", "msg": "done", "cluster": "pke-demo"},
		},
		"what the context knows": {
			log: func(l *slog.Logger) {
				outer := logging.With(requested, "org", "acme")
				_ = logging.With(outer, "lost", "x") // another branch
				l.With("run", "1").WarnContext(logging.With(outer, slog.Int("attempt", 2)), "again")
			},
			want: map[string]any{"level": "WARN", "msg": "again", "run": "1", "requestId": "r-1", "org": "acme", "attempt": 2.0},
		},
		"secrets by name": {
			log: func(l *slog.Logger) {
				l.With("apiToken", "s3cret").Error("x", "kubeconfig", "s3cret", slog.Group("in", "Password", "s3cret", "values", map[string]any{"a": "s3cret"}, "b", 1))
			},
			want: map[string]any{"level": "ERROR", "msg": "x", "apiToken": "[redacted]", "kubeconfig": "[redacted]",
				"in": map[string]any{"Password": "[redacted]", "values": "[redacted]", "b": 1.0}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c.log(logging.New(&out, slog.LevelInfo))
			if c.want == nil {
				if out.Len() > 0 {
					t.Errorf("logged %s", out.String())
				}
				return
			}
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "time")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}
