package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
)

func TestValidate(t *testing.T) {
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint("l", i)] = "x"
	}
	cases := map[string]struct {
		cluster     cluster.Cluster
		code, field string // none: acceptable
	}{
		"all":                {cluster.Cluster{Name: "pke-demo", Cloud: "amazon", Location: "eu-north-1", Labels: map[string]string{"example.com/tier": "edge", "empty": ""}}, "", ""},
		"one letter":         {cluster.Cluster{Name: "a"}, "", ""},
		"longest name":       {cluster.Cluster{Name: strings.Repeat("a", 63)}, "", ""},
		"name too long":      {cluster.Cluster{Name: strings.Repeat("a", 64)}, "cluster-name-invalid", "name"},
		"no name":            {cluster.Cluster{}, "cluster-name-invalid", "name"},
		"upper case":         {cluster.Cluster{Name: "Demo"}, "cluster-name-invalid", "name"},
		"ends in a dash":     {cluster.Cluster{Name: "demo-"}, "cluster-name-invalid", "name"},
		"a line break":       {cluster.Cluster{Name: "demo\n"}, "cluster-name-invalid", "name"},
		"cloud too long":     {cluster.Cluster{Name: "a", Cloud: strings.Repeat("x", 64)}, "field-too-long", "cloud"},
		"location too long":  {cluster.Cluster{Name: "a", Location: strings.Repeat("x", 64)}, "field-too-long", "location"},
		"label with a space": {cluster.Cluster{Name: "a", Labels: map[string]string{"a b": "x"}}, "label-invalid", "labels.a b"},
		"value with a space": {cluster.Cluster{Name: "a", Labels: map[string]string{"a": "x y"}}, "label-invalid", "labels.a"},
		"too many labels":    {cluster.Cluster{Name: "a", Labels: many}, "too-many-labels", "labels"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.cluster.Validate()
			if c.code == "" {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				return
			}
			p, ok := problem.From(err)
			if !ok || p.Code != c.code || p.Field != c.field || p.Status != 422 || p.Remedy == "" {
				t.Errorf("got %#v, want %s at %s with a remedy", err, c.code, c.field)
			}
		})
	}
}

func TestSecretNameIsTheOrgs(t *testing.T) {
	if got := cluster.SecretName("acme", "c1"); got != "swell/acme/cluster/c1" {
		t.Errorf("got %s", got)
	}
}
