package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForgetStreams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lambda.json")
	if err := forgetStreams(file); err != nil {
		t.Errorf("nothing is kept yet: %v", err)
	}
	kept := `{"__ministack_format__":2,"payload":{"esms":{"u":{"Enabled":true}},"dynamodb_stream_positions":{"u":500},"kinesis_positions":{}}}`
	if err := os.WriteFile(file, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := forgetStreams(file); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"__ministack_format__": 2.0, "payload": map[string]any{"esms": map[string]any{"u": map[string]any{"Enabled": true}}, "kinesis_positions": map[string]any{}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
