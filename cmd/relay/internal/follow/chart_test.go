package follow_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/charts"
	"github.com/swell-sh/swell/cmd/relay/internal/follow"
	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/relay"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

// The relay's role is what it follows and what it asks for beside, and nothing else.
func TestTheRoleIsWhatIsFollowed(t *testing.T) {
	var want []string
	may := func(group, resource string, verbs ...string) {
		for _, verb := range verbs {
			want = append(want, verb+" "+group+"/"+resource)
		}
	}
	for _, k := range relay.Followed {
		may(k.Group, k.Resource, "get", "list", "watch")
	}
	for _, resource := range follow.Touched {
		may(resource.Group, resource.Resource, "get", "list", "watch")
	}
	may(follow.Sets.Group, follow.Sets.Resource, "get", "list", "watch")
	may("", "pods", "get", "list", "watch")
	may("", "nodes", "get", "list", "watch")
	may("", "events", "list")
	silent := slices.Clone(want)
	may("", "pods/log", "get")
	for name, c := range map[string]struct {
		values map[string]any
		want   []string
	}{
		"by default":   {nil, want},
		"without logs": {map[string]any{"tellLogs": false}, silent},
	} {
		var got []string
		for _, rule := range role(t, c.values).Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						got = append(got, verb+" "+group+"/"+resource)
					}
				}
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-follows +may):\n%s", name, diff)
		}
	}
}

func role(t *testing.T, values map[string]any) (role rbacv1.ClusterRole) {
	t.Helper()
	archive, err := charts.Relay()
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{"reportsURL": "https://swell.example.com", "existingSecret": "mine"}
	for name, value := range values {
		given[name] = value
	}
	out, err := helm.Render(t.Context(), helm.Request{Archive: archive, Values: given, Release: "swell-relay", Namespace: "swell-system", KubeVersion: "v1.36.3", Show: true})
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(out.Shown.Manifest, "\n---\n") {
		if strings.Contains(document, "kind: ClusterRole\n") && strings.Contains(document, "\nrules:") {
			if err := yaml.UnmarshalStrict([]byte(document), &role); err != nil {
				t.Fatal(err)
			}
			return role
		}
	}
	t.Fatal("the chart has no ClusterRole")
	return role
}
