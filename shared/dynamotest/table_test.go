package dynamotest_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/swell-sh/swell/shared/dynamotest"
)

type schema struct {
	BillingMode          string
	AttributeDefinitions []struct{ AttributeName, AttributeType string }
	KeySchema            []keyElement
	Indexes              []index
}

type keyElement struct{ AttributeName, KeyType string }

type index struct {
	IndexName  string
	KeySchema  []keyElement
	Projection struct{ ProjectionType string }
}

// The table that tests use is the one that an installation gets.
func TestTableIsTheTemplates(t *testing.T) {
	raw, err := os.ReadFile("../../infra/data.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	properties := template.Resources["Table"].Properties
	var fields map[string]yaml.Node
	if err := properties.Decode(&fields); err != nil {
		t.Fatal(err)
	}
	var want schema
	decode(t, fields["BillingMode"], &want.BillingMode)
	decodeList(t, fields["AttributeDefinitions"], func(m map[string]string) {
		want.AttributeDefinitions = append(want.AttributeDefinitions, struct{ AttributeName, AttributeType string }{m["AttributeName"], m["AttributeType"]})
	})
	want.KeySchema = keySchema(t, fields["KeySchema"])
	var indexes []map[string]yaml.Node
	decode(t, fields["GlobalSecondaryIndexes"], &indexes)
	for _, node := range indexes {
		var i index
		var projection map[string]string
		decode(t, node["IndexName"], &i.IndexName)
		decode(t, node["Projection"], &projection)
		i.KeySchema, i.Projection.ProjectionType = keySchema(t, node["KeySchema"]), projection["ProjectionType"]
		want.Indexes = append(want.Indexes, i)
	}
	var ttl map[string]string
	decode(t, fields["TimeToLiveSpecification"], &ttl)
	if ttl["AttributeName"] != dynamotest.TimeToLive {
		t.Errorf("the template's time to live is %q, the tests' %q", ttl["AttributeName"], dynamotest.TimeToLive)
	}
	if diff := cmp.Diff(want, made()); diff != "" {
		t.Errorf("the tests' table is not the template's (-template +tests):\n%s", diff)
	}
}

// made is the tests' table in the template's shape.
func made() schema {
	in := dynamotest.Table("x")
	got := schema{BillingMode: string(in.BillingMode)}
	for _, a := range in.AttributeDefinitions {
		got.AttributeDefinitions = append(got.AttributeDefinitions, struct{ AttributeName, AttributeType string }{*a.AttributeName, string(a.AttributeType)})
	}
	for _, k := range in.KeySchema {
		got.KeySchema = append(got.KeySchema, keyElement{*k.AttributeName, string(k.KeyType)})
	}
	for _, g := range in.GlobalSecondaryIndexes {
		i := index{IndexName: *g.IndexName}
		i.Projection.ProjectionType = string(g.Projection.ProjectionType)
		for _, k := range g.KeySchema {
			i.KeySchema = append(i.KeySchema, keyElement{*k.AttributeName, string(k.KeyType)})
		}
		got.Indexes = append(got.Indexes, i)
	}
	return got
}

func keySchema(t *testing.T, node yaml.Node) (keys []keyElement) {
	t.Helper()
	decodeList(t, node, func(m map[string]string) { keys = append(keys, keyElement{m["AttributeName"], m["KeyType"]}) })
	return keys
}

func decodeList(t *testing.T, node yaml.Node, each func(map[string]string)) {
	t.Helper()
	var list []map[string]string
	decode(t, node, &list)
	for _, m := range list {
		each(m)
	}
}

func decode(t *testing.T, node yaml.Node, into any) {
	t.Helper()
	if err := node.Decode(into); err != nil {
		t.Fatal(err)
	}
}
