package dynamo_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/run"
)

func sampleRecord(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../events/publish-events/run-ended.json")
	if err != nil {
		t.Fatal(err)
	}
	var batch struct{ Records []json.RawMessage }
	if err := json.Unmarshal(raw, &batch); err != nil {
		t.Fatal(err)
	}
	return string(batch.Records[0])
}

func TestReadChange(t *testing.T) {
	t.Parallel()
	c, err := dynamo.ReadChange([]byte(sampleRecord(t)))
	before, _ := c.Before.(run.Run)
	after, _ := c.After.(run.Run)
	if err != nil || before.Status != run.Running || after.Status != run.Failed || after.ReleaseName != "web" || after.Generation != 3 || after.EndedAt.IsZero() {
		t.Errorf("%v: %+v, then %+v", err, before, after)
	}
}

func TestReadChangeByKey(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		pk, sk, image string
		reads         bool
		refused       bool
	}{
		"a cluster":               {"ORG#a", "CLUSTER#c", `{"Org": {"S": "a"}, "ID": {"S": "c"}}`, true, false},
		"a group":                 {"ORG#a", "GROUP#g", `{"Org": {"S": "a"}, "Members": {"L": [{"S": "c"}]}, "Windows": {"L": [{"M": {"Deny": {"BOOL": true}, "Days": {"L": [{"N": "1"}]}}}]}}`, true, false},
		"a deployment":            {"ORG#a", "DEPLOYMENT#d", `{"Org": {"S": "a"}}`, true, false},
		"a generation":            {"ORG#a#DEPLOYMENT#d", "GEN#00000001", `{"Org": {"S": "a"}, "Number": {"N": "1"}}`, true, false},
		"a release":               {"ORG#a#CLUSTER#c", "RELEASE#ns#web", `{"Org": {"S": "a"}, "Drift": {"M": {"Objects": {"N": "2"}}}}`, true, false},
		"a target":                {"ORG#a#RUN#r", "TARGET#c", `{"ClusterID": {"S": "c"}, "Status": {"S": "Failed"}}`, true, false},
		"an escaped org":          {"ORG#a%23b", "CLUSTER#c", `{"Org": {"S": "a#b"}}`, true, false},
		"a step":                  {"ORG#a#RUN#r", "STEP#c#X#0001", `{}`, false, false},
		"a run's counter":         {"ORG#a#RUN#r", "RUN#VERSION", `{"Version": {"N": "1"}}`, false, false},
		"a plan entry":            {"ORG#a#PLAN#p", "TARGET#c", `{"ClusterID": {"S": "c"}}`, false, false},
		"a key":                   {"KEY", "hash", `{"Org": {"S": "a"}}`, false, false},
		"another org's":           {"ORG#a", "CLUSTER#c", `{"Org": {"S": "b"}}`, false, true},
		"no number":               {"ORG#a#RUN#r", "RUN", `{"Org": {"S": "a"}, "Generation": {"S": "three"}}`, false, true},
		"an attribute of no type": {"ORG#a#RUN#r", "RUN", `{"Org": {}}`, false, true},
		"of an unknown type":      {"ORG#a#RUN#r", "RUN", `{"Org": {"X": "a"}}`, false, true},
		"not an item":             {"ORG#a#RUN#r", "RUN", `"text"`, false, true},
		"a broken key":            {"ORG#%zz#RUN#r", "RUN", `{}`, false, true},
		"no key":                  {"", "", `{}`, false, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change, err := dynamo.ReadChange([]byte(`{"dynamodb": {"ApproximateCreationDateTime": 1.5, "Keys": {"PK": {"S": "` + c.pk + `"}, "SK": {"S": "` + c.sk + `"}}, "NewImage": ` + c.image + `}}`))
			if (err != nil) != c.refused || (change.After != nil) != c.reads || change.Before != nil {
				t.Errorf("%+v, %v", change, err)
			}
			if target, ok := change.After.(event.TargetOf); ok && (target.Org != "a" || target.RunID != "r" || target.Status != run.TargetFailed) {
				t.Errorf("%+v", target)
			}
		})
	}
}

func FuzzReadChange(f *testing.F) {
	f.Add(`{"dynamodb": {"Keys": {"PK": {"S": "ORG#a"}, "SK": {"S": "CLUSTER#c"}}, "NewImage": {"Org": {"S": "a"}, "Labels": {"M": {"x": {"S": "y"}}}, "A": {"NULL": true}, "B": {"SS": ["x"]}, "C": {"B": "eA=="}}}}`)
	f.Add(`{"dynamodb": {"Keys": {"PK": {"S": "ORG#a#RUN#r"}, "SK": {"S": "TARGET#c"}}, "OldImage": {}, "NewImage": {"Done": {"BOOL": true}}}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := dynamo.ReadChange([]byte(raw))
		if err == nil {
			for _, e := range event.Of(c) {
				if e.ID == "" || !strings.Contains(string(e.Type), ".") {
					t.Errorf("%+v", e)
				}
			}
		}
	})
}
