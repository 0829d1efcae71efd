package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

type object = map[string]any

// generations and kept are what was accepted before.
type generations struct {
	store
	all map[int]deployment.Generation
}

func (g generations) FindGeneration(_ context.Context, _, _ string, n int) (deployment.Generation, error) {
	return g.all[n], nil
}

type kept struct {
	objects
	values map[string]deployment.Values
}

func (k kept) GetValues(_ context.Context, _, ref string, into any) error {
	raw, err := json.Marshal(k.values[ref])
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func (k kept) PutValues(_ context.Context, _ string, v any) (ref, digest string, err error) {
	ref = fmt.Sprintf("v%d", len(k.values)+1)
	k.values[ref], _ = v.(deployment.Values)
	return ref, "", nil
}

func TestSecretPaths(t *testing.T) {
	archive := helmtest.ConfigMaps(1).With("values.schema.json", `{"properties": {"token": {"writeOnly": true}}}`).Archive(t)
	was := &deployment.Generation{Number: 1, SecretPaths: []string{"a"}}
	cases := map[string]struct {
		paths       []string
		was         *deployment.Generation
		newest      int
		want        []string
		code, field string
	}{
		"the schema's":              {want: []string{"token"}},
		"marked":                    {paths: []string{"b", "b", "token"}, want: []string{"b", "token"}},
		"kept":                      {was: was, newest: 1, want: []string{"a", "token"}},
		"replaced":                  {was: was, newest: 1, paths: []string{}, want: []string{"token"}},
		"the newest's, rolled back": {was: was, newest: 2, want: []string{"a", "c", "token"}},
		"no path":                   {paths: []string{"b", "x[0]"}, code: "secret-path-invalid", field: "secretPaths[1]"},
		"too many":                  {paths: make([]string, mask.MaxPaths+1), code: "secret-path-invalid", field: "secretPaths"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := intake{handler: handler{store: generations{all: map[int]deployment.Generation{2: {SecretPaths: []string{"c"}}}}},
				body: openapi.DeploymentRequest{SecretPaths: c.paths}}
			got, err := in.secret(t.Context(), deployment.Deployment{Newest: c.newest}, c.was, archive)
			if c.code != "" {
				if p, ok := problem.From(err); !ok || p.Code != c.code || p.Field != c.field {
					t.Errorf("got %v, want %s at %s", err, c.code, c.field)
				}
				return
			}
			if diff := cmp.Diff(c.want, got.Strings()); err != nil || diff != "" {
				t.Errorf("error %v; differs (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestMasksInARequest(t *testing.T) {
	before := deployment.Values{Common: object{"password": "tide", "title": "x"}, Overrides: map[string]object{"one": {"password": "ebb"}}}
	cases := map[string]struct {
		isNew       bool
		body        openapi.DeploymentRequest
		said        deployment.Values // what is kept as the request's own; none: it is all
		want        deployment.Values
		code, field string
	}{
		"read and written back": {
			body: openapi.DeploymentRequest{Values: object{"password": mask.Text, "title": "x"}, ValueOverrides: openapi.ValueOverrides{"one": {"password": mask.Text}}},
			want: before,
		},
		"replaced": {
			body: openapi.DeploymentRequest{Values: object{"password": "surf"}},
			want: deployment.Values{Common: object{"password": "surf"}, Overrides: map[string]object{}},
		},
		"reused": {
			body: openapi.DeploymentRequest{Values: object{"password": mask.Text, "title": "y"}, ReuseValues: true},
			said: deployment.Values{Common: object{"password": "tide", "title": "y"}, Overrides: map[string]object{}},
			want: deployment.Values{Common: object{"password": "tide", "title": "y"}, Overrides: before.Overrides},
		},
		"new":                {isNew: true, body: openapi.DeploymentRequest{Values: object{"password": mask.Text}}, code: "mask-without-value", field: "values.password"},
		"where no secret is": {body: openapi.DeploymentRequest{Values: object{"title": mask.Text}}, code: "mask-without-value", field: "values.title"},
		"another's override": {body: openapi.DeploymentRequest{ValueOverrides: openapi.ValueOverrides{"two": {"password": mask.Text}}}, code: "mask-without-value", field: "valueOverrides.two.password"},
		"no member's":        {body: openapi.DeploymentRequest{ValueOverrides: openapi.ValueOverrides{"none": {}}}, code: "override-unknown", field: "valueOverrides.none"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			objects := kept{values: map[string]deployment.Values{"v1": before}}
			in := intake{handler: handler{objects: objects}, body: c.body}
			was := &deployment.Generation{Number: 3, ValuesRef: "v1"}
			if c.isNew {
				was = nil
			}
			secret, err := mask.Parse([]string{"password"})
			if err != nil {
				t.Fatal(err)
			}
			v, err := in.values(t.Context(), was, []cluster.Cluster{{Name: "one"}, {Name: "two"}}, secret)
			if c.code != "" {
				if p, ok := problem.From(err); !ok || p.Code != c.code || p.Field != c.field {
					t.Errorf("got %v, want %s at %s", err, c.code, c.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ref, own, err := in.keep(t.Context(), v)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, objects.values[ref]); diff != "" {
				t.Errorf("values differ (-want +got):\n%s", diff)
			}
			if c.body.ReuseValues != (v.reused == 3) || c.body.ReuseValues != (own != "") {
				t.Errorf("reused %d, own values %q", v.reused, own)
			}
			if diff := cmp.Diff(c.said, objects.values[own]); diff != "" {
				t.Errorf("own values differ (-want +got):\n%s", diff)
			}
		})
	}
}
