package drift_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
)

type fields = map[string]any

func decoded(t *testing.T, text string) fields {
	t.Helper()
	var o fields
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

func rules(t *testing.T, options drift.Options, release ...fields) *drift.Rules {
	t.Helper()
	r, err := drift.NewRules(release, "shop", options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func lines(differences []drift.Difference) []string {
	var all []string
	for _, d := range differences {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Op, d.Path, d.Manager)))
	}
	return all
}

// of wraps a body and what managers own of it; owners are manager, fields, manager, fields.
func of(t *testing.T, kind, metadata, body string, owners ...string) fields {
	t.Helper()
	var entries []string
	for i := 0; i < len(owners); i += 2 {
		manager, sub, _ := strings.Cut(owners[i], "/")
		entries = append(entries, fmt.Sprintf(`{"manager":%q,"subresource":%q,"operation":"Update","time":"2026-01-02T03:04:05Z","fieldsV1":%s}`, manager, sub, owners[i+1]))
	}
	version := "v1"
	if kind == "Deployment" || kind == "DaemonSet" {
		version = "apps/v1"
	}
	if kind == "Widget" {
		version = "example.com/v1"
	}
	return decoded(t, fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":"web"%s,"managedFields":[%s]}%s}`, version, kind, metadata, strings.Join(entries, ","), body))
}

const (
	hand = "kubectl-edit"
	acme = "acme"
)

func TestCompare(t *testing.T) {
	const (
		dataX     = `{"f:data":{"f:x":{}}}`
		replicas  = `{"f:spec":{"f:replicas":{}}}`
		envX      = `{"f:spec":{"f:c":{"k:{\"name\":\"a\"}":{"f:env":{"k:{\"name\":\"X\"}":{".":{},"f:name":{},"f:value":{}}}}}}}`
		finalizer = `{"f:metadata":{"f:finalizers":{".":{},"v:\"other\"":{}}}}`
	)
	cases := map[string]struct {
		kind                         string
		wantMeta, want, liveMeta, is string
		owners                       []string
		found                        []string
	}{
		"nothing":                          {"ConfigMap", "", `,"data":{"a":"b"}`, "", `,"data":{"a":"b"}`, nil, nil},
		"numbers":                          {"Widget", "", `,"spec":{"a":1}`, "", `,"spec":{"a":1.0}`, nil, nil},
		"changed by nobody known":          {"ConfigMap", "", `,"data":{"a":"b"}`, "", `,"data":{"a":"c"}`, nil, []string{"changed data.a"}},
		"changed by hand":                  {"ConfigMap", "", `,"data":{"x":"b"}`, "", `,"data":{"x":"c"}`, []string{hand, dataX}, []string{"changed data.x kubectl-edit"}},
		"changed by an unknown":            {"ConfigMap", "", `,"data":{"x":"b"}`, "", `,"data":{"x":"c"}`, []string{acme, dataX}, []string{"changed data.x acme"}},
		"changed by a controller":          {"ConfigMap", "", `,"data":{"x":"b"}`, "", `,"data":{"x":"c"}`, []string{"acme-controller", dataX}, nil},
		"changed by another deployer":      {"ConfigMap", "", `,"data":{"x":"b"}`, "", `,"data":{"x":"c"}`, []string{"kustomize-controller", dataX}, []string{"changed data.x kustomize-controller"}},
		"scaled by the autoscaler":         {"Deployment", "", `,"spec":{"replicas":1}`, "", `,"spec":{"replicas":3}`, []string{"kube-controller-manager/scale", replicas}, nil},
		"scaled by an unknown autoscaler":  {"Deployment", "", `,"spec":{"replicas":1}`, "", `,"spec":{"replicas":3}`, []string{acme + "/scale", replicas}, nil},
		"scaled by hand":                   {"Deployment", "", `,"spec":{"replicas":1}`, "", `,"spec":{"replicas":3}`, []string{"kubectl/scale", replicas}, []string{"changed spec.replicas kubectl"}},
		"status in the manifest":           {"Deployment", "", `,"status":{"replicas":1}`, "", `,"status":{"replicas":3}`, []string{hand + "/status", `{"f:status":{"f:replicas":{}}}`}, nil},
		"removed":                          {"ConfigMap", "", `,"data":{"a":"b","c":"d"}`, "", `,"data":{"a":"b"}`, nil, []string{"removed data.c"}},
		"null is nothing":                  {"Widget", "", `,"spec":{"a":null}`, "", `,"spec":{}`, nil, nil},
		"added by nobody known":            {"ConfigMap", "", `,"data":{"a":"b"}`, "", `,"data":{"a":"b","x":"y"}`, nil, nil},
		"added by hand":                    {"ConfigMap", "", `,"data":{"a":"b"}`, "", `,"data":{"a":"b","x":"y"}`, []string{hand, dataX}, []string{"added data.x kubectl-edit"}},
		"added by Helm":                    {"ConfigMap", "", `,"data":{"a":"b"}`, "", `,"data":{"a":"b","x":"y"}`, []string{"helm", dataX}, nil},
		"added by a controller":            {"ConfigMap", "", `,"data":{"a":"b"}`, "", `,"data":{"a":"b","x":"y"}`, []string{"manager", dataX}, nil},
		"added by an unknown":              {"ConfigMap", "", `,"data":{"a":"b"}`, "", `,"data":{"a":"b","x":"y"}`, []string{acme, dataX}, []string{"added data.x acme"}},
		"added by an unknown, all of it":   {"ConfigMap", "", ``, "", `,"data":{"x":"y"}`, []string{acme, dataX}, nil},
		"added by hand, all of it":         {"ConfigMap", "", ``, "", `,"data":{"x":"y"}`, []string{hand, `{"f:data":{".":{},"f:x":{}}}`}, []string{"added data kubectl-edit"}},
		"added by hand, a part of it":      {"ConfigMap", "", ``, "", `,"data":{"x":"y","z":""}`, []string{"manager", `{"f:data":{".":{},"f:z":{}}}`, hand, dataX}, []string{"added data.x kubectl-edit"}},
		"shared with a controller":         {"ConfigMap", "", ``, "", `,"data":{"x":"y","z":""}`, []string{hand, `{"f:data":{".":{},"f:x":{}}}`, "manager", `{"f:data":{"f:z":{}}}`}, []string{"added data.x kubectl-edit"}},
		"added to a custom resource":       {"Widget", "", `,"spec":{}`, "", `,"spec":{"a":1}`, []string{acme, `{"f:spec":{"f:a":{}}}`}, nil},
		"added by hand to a custom one":    {"Widget", "", `,"spec":{}`, "", `,"spec":{"a":1}`, []string{hand, `{"f:spec":{"f:a":{}}}`}, []string{"added spec.a kubectl-edit"}},
		"in what was empty":                {"Deployment", "", `,"spec":{}`, "", `,"spec":{"r":{"l":"1"}}`, []string{"helm", `{"f:spec":{"f:r":{}}}`, hand, `{"f:spec":{"f:r":{"f:l":{}}}}`}, []string{"added spec.r.l kubectl-edit"}},
		"an item":                          {"Deployment", "", `,"spec":{"c":[{"name":"a","env":[{"name":"B"}]}]}`, "", `,"spec":{"c":[{"name":"a","env":[{"name":"B"},{"name":"X","value":"1"}]}]}`, []string{hand, envX}, []string{"added spec.c[name=a].env[name=X] kubectl-edit"}},
		"an item moved":                    {"Deployment", "", `,"spec":{"c":[{"name":"a"},{"name":"b"}]}`, "", `,"spec":{"c":[{"name":"b"},{"name":"a"}]}`, nil, nil},
		"an item removed":                  {"Deployment", "", `,"spec":{"c":[{"name":"a"},{"name":"b"}]}`, "", `,"spec":{"c":[{"name":"b"}]}`, nil, []string{"removed spec.c[name=a]"}},
		"a list owned whole":               {"Deployment", "", `,"spec":{"args":["a"]}`, "", `,"spec":{"args":["a","b"]}`, []string{hand, `{"f:spec":{"f:args":{}}}`}, []string{"added spec.args[1] kubectl-edit"}},
		"a list that admission completed":  {"Deployment", "", `,"spec":{"args":["a"]}`, "", `,"spec":{"args":["a","b"]}`, []string{"helm", `{"f:spec":{"f:args":{}}}`}, nil},
		"a set":                            {"ConfigMap", `,"finalizers":["mine"]`, "", `,"finalizers":["other","mine"]`, "", []string{acme, finalizer}, nil},
		"a set by hand":                    {"ConfigMap", `,"finalizers":["mine"]`, "", `,"finalizers":["other","mine"]`, "", []string{hand, finalizer}, []string{"added metadata.finalizers[0] kubectl-edit"}},
		"an unknown's label":               {"ConfigMap", "", "", `,"labels":{"x":"y"}`, "", []string{acme, `{"f:metadata":{"f:labels":{".":{},"f:x":{}}}}`}, nil},
		"a person's label":                 {"ConfigMap", "", "", `,"labels":{"x":"y"}`, "", []string{hand, `{"f:metadata":{"f:labels":{".":{},"f:x":{}}}}`}, []string{"added metadata.labels kubectl-edit"}},
		"what kubectl notes":               {"ConfigMap", "", "", `,"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}`, "", []string{hand, `{"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}}}`}, nil},
		"a note in what somebody added":    {"ConfigMap", "", "", `,"annotations":{"kubernetes.io/change-cause":"x","a":"b"}`, "", []string{hand, `{"f:metadata":{"f:annotations":{".":{},"f:kubernetes.io/change-cause":{},"f:a":{}}}}`}, []string{"added metadata.annotations.a kubectl-edit"}},
		"who marked it is who installs it": {"ConfigMap", "", `,"data":{"a":"b"}`, `,"annotations":{"meta.helm.sh/release-name":"web"}`, `,"data":{"a":"b","x":"y"}`, []string{"terraform-provider-helm_v2", `{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{}}},"f:data":{"f:x":{}}}`}, nil},
		"an early Helm marked it":          {"ConfigMap", "", `,"data":{"a":"b"}`, `,"annotations":{"meta.helm.sh/release-name":"web"}`, `,"data":{"a":"b","x":"y"}`, []string{"Go-http-client", `{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{}}},"f:data":{"f:x":{}}}`}, nil},
		"a person who marked it is not":    {"ConfigMap", "", `,"data":{"a":"b"}`, `,"annotations":{"meta.helm.sh/release-name":"web"}`, `,"data":{"a":"b","x":"y"}`, []string{hand, `{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{}}},"f:data":{"f:x":{}}}`}, []string{"added data.x kubectl-edit"}},
		"no node ports":                    {"Service", "", `,"spec":{"ports":[{"name":"a","port":1}]}`, "", `,"spec":{"ports":[{"name":"a","port":1,"nodePort":30000}]}`, []string{hand, `{"f:spec":{"f:ports":{"k:{\"port\":1,\"protocol\":\"TCP\"}":{"f:nodePort":{}}}}}`}, nil},
		"a node port of the manifest":      {"Service", "", `,"spec":{"ports":[{"name":"a","port":1,"nodePort":30001}]}`, "", `,"spec":{"ports":[{"name":"a","port":1,"nodePort":30000}]}`, nil, []string{"changed spec.ports[name=a].nodePort"}},
		"another type of value":            {"Widget", "", `,"spec":{"a":{"b":1}}`, "", `,"spec":{"a":"x"}`, nil, []string{"changed spec.a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			want, live := of(t, c.kind, c.wantMeta, c.want), of(t, c.kind, c.liveMeta, c.is, c.owners...)
			delete(want["metadata"].(fields), "managedFields")
			got := rules(t, drift.Options{}, want).Compare(want, live)
			if d := cmp.Diff(c.found, lines(got)); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
		})
	}
}

func TestCompareWithinARelease(t *testing.T) {
	scaler := decoded(t, `{"apiVersion":"keda.sh/v1","kind":"ScaledObject","metadata":{"name":"s"},"spec":{"scaleTargetRef":{"name":"web"}}}`)
	operator := decoded(t, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"op"},"spec":{"template":{"spec":{"containers":[{"name":"main","image":"r.example:5000/x/widget-server:1@sha256:0"}]}}}}`)
	scaled := of(t, "Deployment", "", `,"spec":{"replicas":1}`)
	settings := of(t, "ConfigMap", "", `,"data":{"a":"b"}`)
	cases := map[string]struct {
		release    []fields
		ignore     []deployment.Ignore
		want, live fields
		found      []string
	}{
		"scaled":           {[]fields{scaler}, nil, scaled, of(t, "Deployment", "", `,"spec":{"replicas":9}`, "kubectl/scale", `{"f:spec":{"f:replicas":{}}}`), nil},
		"not scaled":       {nil, nil, scaled, of(t, "Deployment", "", `,"spec":{"replicas":9}`), []string{"changed spec.replicas"}},
		"its own program":  {[]fields{operator}, nil, settings, of(t, "ConfigMap", "", `,"data":{"a":"b","x":""}`, "WidgetServer", `{"f:data":{"f:x":{}}}`), nil},
		"ignored":          {nil, []deployment.Ignore{{Path: "data.a"}}, settings, of(t, "ConfigMap", "", `,"data":{"a":"c"}`), nil},
		"ignored of all":   {nil, []deployment.Ignore{{Kind: "ConfigMap", Namespace: "shop", Name: "web", Path: "data[\"a\"]"}}, settings, of(t, "ConfigMap", "", `,"data":{"a":"c"}`), nil},
		"of another":       {nil, []deployment.Ignore{{Kind: "Secret", Path: "data"}, {Name: "x", Path: "data"}, {Namespace: "x", Path: "data"}}, settings, of(t, "ConfigMap", "", `,"data":{"a":"c"}`), []string{"changed data.a"}},
		"ignored in added": {nil, []deployment.Ignore{{Path: "binaryData.x"}}, settings, of(t, "ConfigMap", "", `,"data":{"a":"b"},"binaryData":{"x":"","y":""}`, hand, `{"f:binaryData":{".":{},"f:x":{},"f:y":{}}}`), []string{"added binaryData.y kubectl-edit"}},
		"ignored in removed": {nil, []deployment.Ignore{{Path: "data.a"}}, of(t, "ConfigMap", "", `,"data":{"a":"b","c":"d"}`),
			of(t, "ConfigMap", "", ``), []string{"removed data.c"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := rules(t, drift.Options{Ignore: c.ignore}, append(c.release, c.want)...)
			if d := cmp.Diff(c.found, lines(r.Compare(c.want, c.live))); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
		})
	}
	if _, err := drift.NewRules(nil, "", drift.Options{Ignore: []deployment.Ignore{{Path: "a["}}}); err == nil {
		t.Error("a rule that cannot be read was taken")
	}
	whole := rules(t, drift.Options{Ignore: []deployment.Ignore{{Kind: "ConfigMap"}}})
	if !whole.IgnoresObject(settings) || whole.IgnoresObject(scaled) {
		t.Error("a rule without a path is one of whole objects")
	}
}

func TestOfMasks(t *testing.T) {
	want := of(t, "Secret", "", `,"data":{"password":"c2VjcmV0"}`)
	live := of(t, "Secret", `,"annotations":{"copy":"secret"},"labels":{"a":"b"}`, `,"data":{"password":"b3RoZXI=","more":"b3RoZXI="}`,
		hand, `{"f:data":{"f:more":{},"f:password":{}},"f:metadata":{"f:annotations":{".":{},"f:copy":{}},"f:labels":{".":{},"f:a":{}}}}`)
	var got []string
	for _, d := range rules(t, drift.Options{}, want).Compare(want, live) {
		raw, err := json.Marshal(drift.Of(want, d))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(raw))
	}
	const head, tail = `{"apiVersion":"v1","kind":"Secret","name":"web","op":`, `,"manager":"kubectl-edit","detected":"managed fields","at":"2026-01-02T03:04:05Z"}`
	expected := []string{
		head + `"added","path":"data.more","live":"[masked]"` + tail,
		head + `"changed","path":"data.password","want":"[masked]","live":"[masked]"` + strings.Replace(tail, "managed fields", "manifest", 1),
		head + `"added","path":"metadata.annotations.copy","live":"[masked]"` + tail,
		head + `"added","path":"metadata.labels","live":{"a":"b"}` + tail,
	}
	if d := cmp.Diff(expected, got); d != "" {
		t.Errorf("differs (-want +got):\n%s", d)
	}
}

// A finding that was stored is still found: what is cut is cut between characters.
func TestFindingSurvivesJSON(t *testing.T) {
	want := of(t, "ConfigMap", "", `,"data":{"a":"b","n":"1"}`)
	live := of(t, "ConfigMap", "", `,"data":{"a":"x`+strings.Repeat("ü", 4000)+`","n":"1"}`)
	differences := rules(t, drift.Options{}, want).Compare(want, live)
	raw, err := json.Marshal(drift.Of(want, differences[0]))
	if err != nil {
		t.Fatal(err)
	}
	var stored drift.Finding
	if err := json.Unmarshal(raw, &stored); err != nil {
		t.Fatal(err)
	}
	if _, there, same := stored.In(want, live); !there || !same {
		t.Errorf("there: %v, same: %v", there, same)
	}
	if _, there, _ := stored.In(want, want); there {
		t.Error("it is there after the repair")
	}
}

func TestRepaired(t *testing.T) {
	want := of(t, "Deployment", "", `,"spec":{"a":{"b":1},"args":["x","y","z"],"c":[{"name":"p"},{"name":"q","i":"1"},{"name":"r"}]}`)
	live := of(t, "Deployment", "", `,"spec":{"args":["x"],"default":1,"c":[{"name":"q","i":"2","default":1},{"name":"s"}]}`,
		hand, `{"f:spec":{"f:c":{"k:{\"name\":\"s\"}":{".":{},"f:name":{}}}}}`)
	differences := rules(t, drift.Options{}, want).Compare(want, live)
	repaired := drift.Repaired(want, live, differences)
	spec := decoded(t, `{"a":{"b":1},"args":["x","y","z"],"default":1,"c":[{"name":"p"},{"name":"q","i":"1","default":1},{"name":"r"}]}`)
	if d := cmp.Diff(spec, repaired["spec"]); d != "" {
		t.Errorf("repaired (-want +got):\n%s", d)
	}
	if got := drift.Confirmed(differences, live, repaired); len(got) != len(differences) {
		t.Errorf("%v of %v are confirmed", lines(got), lines(differences))
	}
	if got := drift.Confirmed(differences, live, live); len(got) != 0 {
		t.Errorf("%v are confirmed by a server that changes nothing", lines(got))
	}
	if got := lines(drift.Proven(differences)); !slices.Equal(got, []string{"added spec.c[name=s] kubectl-edit"}) {
		t.Errorf("proven: %v", got)
	}
}

func value(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(rapid.Map(rapid.StringMatching("[a-z]{0,2}"), func(s string) any { return s }), rapid.Map(rapid.Int64Range(0, 3), func(i int64) any { return i }))
	if depth == 0 {
		return leaf
	}
	named := rapid.Map(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID), func(names []string) any {
		var items []any
		for _, n := range names {
			items = append(items, fields{"name": n, "v": n})
		}
		return items
	})
	return rapid.OneOf(leaf, named,
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"k", "l", "m"}), value(depth-1), 1, 3), func(m map[string]any) any { return m }),
		rapid.Map(rapid.SliceOfN(value(depth-1), 1, 3), func(l []any) any { return l }))
}

// Whatever live has become: a repair makes it the manifest's again, a merge patch carries the repair, and a second look finds nothing.
func TestRepairIsTheEndOfDrift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := fields{"apiVersion": "v1", "kind": "ConfigMap", "metadata": fields{"name": "x"}, "spec": value(3).Draw(t, "want")}
		live := fields{"apiVersion": "v1", "kind": "ConfigMap", "metadata": fields{"name": "x", "managedFields": []any{
			fields{"manager": hand, "operation": "Update", "fieldsV1": fields{"f:spec": fields{}}},
		}}, "spec": value(3).Draw(t, "live")}
		r, err := drift.NewRules(nil, "", drift.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprint(live)
		repaired := drift.Repaired(want, live, r.Compare(want, live))
		if fmt.Sprint(live) != before {
			t.Fatal("live was changed in place")
		}
		if again := r.Compare(want, repaired); len(again) > 0 {
			t.Fatalf("after the repair: %v\nwant %v\nlive %v\nrepaired %v", lines(again), want, live, repaired)
		}
		if patched := patched(live, drift.MergePatch(live, repaired)); !drift.Equal(patched, repaired) {
			t.Fatalf("the patch makes %v, not %v", patched, repaired)
		}
	})
}

// patched is RFC 7386.
func patched(target, patch any) any {
	p, ok := patch.(fields)
	if !ok {
		return patch
	}
	result := fields{}
	if old, ok := target.(fields); ok {
		for k, v := range old {
			result[k] = v
		}
	}
	for k, v := range p {
		if v == nil {
			delete(result, k)
		} else {
			result[k] = patched(result[k], v)
		}
	}
	return result
}
