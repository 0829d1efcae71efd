package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
)

type labels = map[string]string

func TestSelectorMatches(t *testing.T) {
	where := func(key string, op cluster.Operator, values ...string) cluster.Selector {
		return cluster.Selector{MatchExpressions: []cluster.Requirement{{Key: key, Operator: op, Values: values}}}
	}
	both := cluster.Selector{MatchLabels: labels{"env": "prod"}, MatchExpressions: where("region", cluster.In, "eu", "us").MatchExpressions}
	cases := map[string]struct {
		selector cluster.Selector
		labels   labels
		want     bool
	}{
		"empty chooses none":         {cluster.Selector{}, labels{"env": "prod"}, false},
		"the label":                  {cluster.Selector{MatchLabels: labels{"env": "prod"}}, labels{"env": "prod", "x": "y"}, true},
		"another value":              {cluster.Selector{MatchLabels: labels{"env": "prod"}}, labels{"env": "test"}, false},
		"no such label":              {cluster.Selector{MatchLabels: labels{"env": "prod"}}, nil, false},
		"an empty value is not none": {cluster.Selector{MatchLabels: labels{"env": ""}}, nil, false},
		"in":                         {where("region", cluster.In, "eu", "us"), labels{"region": "us"}, true},
		"in: another":                {where("region", cluster.In, "eu", "us"), labels{"region": "ap"}, false},
		"in: none":                   {where("region", cluster.In, "eu", ""), nil, false},
		"not in":                     {where("region", cluster.NotIn, "eu"), labels{"region": "us"}, true},
		"not in: it is":              {where("region", cluster.NotIn, "eu"), labels{"region": "eu"}, false},
		"not in: none":               {where("region", cluster.NotIn, "eu"), nil, true},
		"exists":                     {where("gpu", cluster.Exists), labels{"gpu": ""}, true},
		"exists not":                 {where("gpu", cluster.Exists), nil, false},
		"does not exist":             {where("gpu", cluster.DoesNotExist), nil, true},
		"does not exist: it does":    {where("gpu", cluster.DoesNotExist), labels{"gpu": "a100"}, false},
		"an operator of the future":  {where("gpu", "Gt", "1"), labels{"gpu": "2"}, false},
		"all of it holds":            {both, labels{"env": "prod", "region": "eu"}, true},
		"half of it":                 {both, labels{"env": "prod", "region": "ap"}, false},
	}
	for name, c := range cases {
		if got := c.selector.Matches(c.labels); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestValidateSelector(t *testing.T) {
	many := labels{}
	for i := range 51 {
		many[fmt.Sprint("l", i)] = "x"
	}
	where := func(r cluster.Requirement) cluster.Selector {
		return cluster.Selector{MatchExpressions: []cluster.Requirement{r}}
	}
	cases := map[string]struct {
		selector    cluster.Selector
		code, field string
	}{
		"a label":           {cluster.Selector{MatchLabels: labels{"env": "prod"}}, "", ""},
		"an empty value":    {where(cluster.Requirement{Key: "env", Operator: cluster.In, Values: []string{""}}), "", ""},
		"none":              {cluster.Selector{}, "selector-empty", "selector"},
		"too long":          {cluster.Selector{MatchLabels: many}, "selector-too-long", "selector"},
		"no label":          {cluster.Selector{MatchLabels: labels{"a b": "x"}}, "label-invalid", "selector.matchLabels.a b"},
		"no key":            {where(cluster.Requirement{Operator: cluster.Exists}), "label-invalid", "selector.matchExpressions[0].key"},
		"no value":          {where(cluster.Requirement{Key: "env", Operator: cluster.In, Values: []string{"a b"}}), "label-invalid", "selector.matchExpressions[0].values[0]"},
		"too many values":   {where(cluster.Requirement{Key: "env", Operator: cluster.In, Values: strings.Split(strings.Repeat("a", 51), "")}), "selector-too-long", "selector.matchExpressions[0].values"},
		"in nothing":        {where(cluster.Requirement{Key: "env", Operator: cluster.In}), "selector-invalid", "selector.matchExpressions[0].values"},
		"exists with value": {where(cluster.Requirement{Key: "env", Operator: cluster.Exists, Values: []string{"a"}}), "selector-invalid", "selector.matchExpressions[0].values"},
		"no operator":       {where(cluster.Requirement{Key: "env"}), "selector-invalid", "selector.matchExpressions[0].operator"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.selector.Validate("selector")
			if p, ok := problem.From(err); ok != (c.code != "") || ok && (p.Code != c.code || p.Field != c.field || p.Status != 422 || p.Remedy == "") {
				t.Errorf("got %v, want %s at %s with a remedy", err, c.code, c.field)
			}
		})
	}
}
