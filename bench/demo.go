package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// demo repeats what `make demo` wrote of its stages, if it did: it is not run here, since cold it builds everything anew.
func (b *bench) demo(context.Context) error {
	raw, err := os.ReadFile(filepath.Join(b.root, "build", "demo.json"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var stages []struct {
		Stage   string  `json:"stage"`
		Seconds float64 `json:"seconds"`
		Cold    bool    `json:"cold"`
	}
	if err := json.Unmarshal(raw, &stages); err != nil {
		return fmt.Errorf("reading build/demo.json: %w", err)
	}
	total := map[bool]float64{}
	for _, s := range stages {
		total[s.Cold] += s.Seconds
		b.add("demo-"+warmth(s.Cold), "s", s.Seconds, "make demo, %s: %s", warmth(s.Cold), s.Stage)
	}
	for cold, sum := range total {
		b.add("demo-"+warmth(cold), "s", sum, "make demo, %s: all stages", warmth(cold))
	}
	return nil
}

func warmth(cold bool) string {
	if cold {
		return "cold"
	}
	return "warm"
}
