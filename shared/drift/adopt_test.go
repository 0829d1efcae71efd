package drift_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/drift"
)

type object = map[string]any

var replicas = drift.Finding{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", Op: drift.Changed, Path: "spec.replicas", Want: 2.0, Live: 5.0}

func TestCandidates(t *testing.T) {
	values := object{
		"replicaCount": 2, "two": "2", "three": 3, "on": true,
		"deep": object{"min": 2.0, "replicas": 2}, "list": []any{object{"n": 2}, object{"n": 4}},
	}
	var got []string
	for _, p := range replicas.Candidates(values) {
		got = append(got, p.String())
	}
	want := []string{"replicaCount", "deep.replicas", "two", "deep.min", "list[0].n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

func TestOverride(t *testing.T) {
	port := drift.Finding{Want: "8080", Live: "9090"}
	values := object{"port": 8080, "text": "8080", "deep": object{"port": 8080, "other": 1}, "env": []any{object{"name": "A", "value": "x"}, object{"name": "PORT", "value": "8080"}}}
	for want, override := range map[string]object{
		"port": {"port": 9090.0}, "text": {"text": "9090"}, "deep.port": {"deep": object{"port": 9090.0}},
		"env[1].value": {"env": []any{object{"name": "A", "value": "x"}, object{"name": "PORT", "value": "9090"}}},
	} {
		t.Run(want, func(t *testing.T) {
			for _, p := range port.Candidates(values) {
				if p.String() != want {
					continue
				}
				if diff := cmp.Diff(override, port.Override(values, p)); diff != "" {
					t.Errorf("differs (-want +got):\n%s", diff)
				}
				return
			}
			t.Error("it is no candidate")
		})
	}
}

func TestMadeBy(t *testing.T) {
	web := func(replicas any, more object) object {
		o := object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": "web"}, "spec": object{"replicas": replicas}}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	config := func(text, checksum string) object {
		return object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "web", "annotations": object{"checksum/config": checksum}}, "data": object{"a": text}}
	}
	before := []object{web(2, nil), config("x", "1")}
	cases := map[string]struct {
		after []object
		want  bool
	}{
		"the field alone":             {[]object{web(5, nil), config("x", "1")}, true},
		"with a checksum":             {[]object{web(5, nil), config("x", "2")}, true},
		"nothing":                     {before, false},
		"another value":               {[]object{web(4, nil), config("x", "1")}, false},
		"another field too":           {[]object{web(5, object{"extra": true}), config("x", "1")}, false},
		"another object too":          {[]object{web(5, nil), config("y", "1")}, false},
		"another object alone":        {[]object{web(2, nil), config("y", "1")}, false},
		"an object is gone":           {[]object{web(5, nil)}, false},
		"an object in place of other": {[]object{web(5, nil), {"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "web"}}}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := replicas.MadeBy(before, c.after); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

func TestAdoptable(t *testing.T) {
	with := func(change func(*drift.Finding)) drift.Finding {
		f := replicas
		change(&f)
		return f
	}
	for name, c := range map[string]struct {
		finding drift.Finding
		want    bool
	}{
		"a scalar":           {replicas, true},
		"a missing object":   {with(func(f *drift.Finding) { f.Op = drift.Missing }), false},
		"an added field":     {with(func(f *drift.Finding) { f.Op, f.Want = drift.Added, nil }), false},
		"a removed field":    {with(func(f *drift.Finding) { f.Op, f.Live = drift.Removed, nil }), false},
		"a text that is cut": {with(func(f *drift.Finding) { f.Live = strings.Repeat("x", 4099) }), false},
		"an object instead":  {with(func(f *drift.Finding) { f.Live = object{} }), false},
	} {
		if c.finding.Adoptable() != c.want {
			t.Errorf("%s: got %t", name, !c.want)
		}
	}
}
