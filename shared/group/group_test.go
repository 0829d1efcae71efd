package group_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
)

func TestValidate(t *testing.T) {
	var most []string
	for i := range group.MaxMembers {
		most = append(most, fmt.Sprint(i))
	}
	cases := map[string]struct {
		group       group.Group
		code, field string // none: acceptable
	}{
		"no members":      {group.Group{Name: "prod"}, "", ""},
		"all characters":  {group.Group{Name: "Prod_1.eu-north"}, "", ""},
		"most members":    {group.Group{Name: "prod", Members: most}, "", ""},
		"too many":        {group.Group{Name: "prod", Members: append(slices.Clone(most), "one more")}, "too-many-members", "members"},
		"no name":         {group.Group{}, "group-name-invalid", "name"},
		"name too long":   {group.Group{Name: strings.Repeat("a", 64)}, "group-name-invalid", "name"},
		"name with slash": {group.Group{Name: "a/b"}, "group-name-invalid", "name"},
		"a member twice":  {group.Group{Name: "prod", Members: []string{"a", "b", "a"}}, "member-twice", "members"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.group.Validate()
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

// Whoever joins and leaves, the members are then as wanted, and nobody does both or what is so already.
func TestChangeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfDistinct(rapid.StringMatching(`[a-h]`), rapid.ID[string])
		g, want := group.Group{Members: members.Draw(t, "members")}, members.Draw(t, "want")
		join, leave := g.Change(want)
		after := slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return slices.Contains(leave, m) })
		after = append(after, join...)
		slices.Sort(after)
		slices.Sort(want)
		if diff := cmp.Diff(want, after); len(want)+len(after) > 0 && diff != "" {
			t.Fatalf("differs (-want +got):\n%s", diff)
		}
		for _, m := range join {
			if slices.Contains(g.Members, m) || slices.Contains(leave, m) {
				t.Fatalf("%s joins", m)
			}
		}
	})
}
