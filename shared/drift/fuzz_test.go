package drift_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/swell-sh/swell/shared/drift"
)

// Whatever a manifest and a server say: an object does not differ from itself, nothing panics, nothing is changed in place, and what is repaired
// differs no more.
func FuzzDrift(f *testing.F) {
	f.Add(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"b"}}`,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","managedFields":[{"manager":"kubectl-edit","operation":"Update","fieldsV1":{"f:data":{"f:c":{}}}}]},"data":{"a":"x","c":"d"}}`)
	f.Add(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x"},"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"A","value":"1"}]}]}}}}`,
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","managedFields":[{"manager":"m","fieldsV1":{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"b\"}":{".":{}}}}}}}}]},"spec":{"template":{"spec":{"containers":[{"name":"b"},{"name":"a","env":null}]}}}}`)
	f.Add(`{"kind":"HorizontalPodAutoscaler","spec":{"scaleTargetRef":{"name":"x"}}}`, `{"metadata":{"managedFields":[{"fieldsV1":{"f:":{},"v:1":{},"i:0":{},"k:{":{}}}]}}`)
	f.Add(`{"":{"":[]}}`, `{"":[{"":1}]}`)
	f.Fuzz(func(t *testing.T, manifest, server string) {
		var want, live fields
		if json.Unmarshal([]byte(manifest), &want) != nil || json.Unmarshal([]byte(server), &live) != nil || want == nil || live == nil {
			return
		}
		r, err := drift.NewRules([]map[string]any{want}, "shop", drift.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Compare(want, want); len(got) > 0 {
			t.Fatalf("it differs from itself: %v", lines(got))
		}
		before := fmt.Sprint(want, live)
		differences := r.Compare(want, live)
		for _, d := range differences {
			found := drift.Of(want, d)
			if _, err := json.Marshal(found); err != nil {
				t.Fatal(err)
			}
			found.In(want, live)
			found.Candidates(want)
		}
		repaired := drift.Repaired(want, live, differences)
		drift.MergePatch(live, repaired)
		if fmt.Sprint(want, live) != before {
			t.Fatal("an object was changed in place")
		}
		if again := r.Compare(want, repaired); len(again) > 0 {
			t.Fatalf("after the repair of %v: %v", lines(differences), lines(again))
		}
	})
}
