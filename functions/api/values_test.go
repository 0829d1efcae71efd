package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/provenance"
)

// chain has generations of which each reuses the values of the one before; generation n says n.
func chain(length int) (intents, deployment.Generation) {
	generation := func(n int) deployment.Generation {
		g := deployment.Generation{Number: n, ValuesRef: "all of " + strconv.Itoa(n)}
		if n > 1 {
			g.OwnValuesRef, g.Reused = strconv.Itoa(n), n-1
		}
		return g
	}
	in := intents{
		find: func(_ context.Context, _, _ string, n int) (deployment.Generation, error) { return generation(n), nil },
		read: func(_ context.Context, _, ref string, into any) error {
			raw, err := json.Marshal(deployment.Values{Common: map[string]any{"said": ref}, Overrides: map[string]map[string]any{"one": {"said": "for one, " + ref}}})
			if err != nil {
				return err
			}
			return json.Unmarshal(raw, into)
		},
	}
	return in, generation(length)
}

func TestRequests(t *testing.T) {
	in, newest := chain(3)
	got, err := in.requests(t.Context(), newest, "one")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range got {
		told = append(told, fmt.Sprint(r.Origin, r.Values["said"]))
	}
	want := []string{
		"{reused values 1}all of 1", "{reused values 2}2", "{common values 3}3",
		"{reused valueOverrides.one 1}for one, all of 1", "{reused valueOverrides.one 2}for one, 2", "{override valueOverrides.one 3}for one, 3",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// A long chain is followed so far and no further: what lies below is taken whole.
func TestRequestsAreBounded(t *testing.T) {
	in, newest := chain(100)
	got, err := in.requests(t.Context(), newest, "")
	if err != nil {
		t.Fatal(err)
	}
	last := newest.Number - maxReuses
	want := provenance.Values{Origin: provenance.Origin{Layer: provenance.Reused, Source: "values", Generation: last}, Values: map[string]any{"said": fmt.Sprintf("all of %d", last)}}
	if diff := cmp.Diff(want, got[0]); diff != "" || len(got) != 2*(maxReuses+1) {
		t.Errorf("got %d requests; the first differs (-want +got):\n%s", len(got), diff)
	}
}
