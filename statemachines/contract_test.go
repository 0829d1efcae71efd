package statemachines_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/statemachines"
)

type machine struct {
	Comment string
	StartAt string
	States  map[string]state
}

type state struct {
	Type       string
	Comment    string
	Resource   string
	Parameters struct {
		FunctionName string
		Payload      map[string]any
	}
	TimeoutSeconds   int
	HeartbeatSeconds int
	Next             string
	End              bool
	Default          string
	Retry            []rule
	Catch            []rule
	Choices          []rule
	ItemProcessor    *machine
}

type rule struct {
	ErrorEquals []string
	Comment     string
	Next        string
}

func machines(t *testing.T) map[string]machine {
	t.Helper()
	files, err := fs.Glob(statemachines.Definitions, "*.asl.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	all := map[string]machine{}
	for _, file := range files {
		raw, err := fs.ReadFile(statemachines.Definitions, file)
		if err != nil {
			t.Fatal(err)
		}
		var m machine
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(file, ".asl.json")] = m
	}
	return all
}

// walk visits every state, those of Map children too.
func (m machine) walk(visit func(name string, s state)) {
	for name, s := range m.States {
		visit(name, s)
		if s.ItemProcessor != nil {
			s.ItemProcessor.walk(visit)
		}
	}
}

// withToken is a Task whose function hands a token on, and which somebody who has that token ends.
const withToken = "arn:aws:states:::lambda:invoke.waitForTaskToken"

// function is what the Task calls, as a substitution; empty: no function.
func (s state) function() string {
	if s.Resource == withToken {
		return s.Parameters.FunctionName
	}
	if strings.HasPrefix(s.Resource, "${") {
		return s.Resource
	}
	return ""
}

func (s state) targets() []string {
	to := []string{s.Next, s.Default}
	for _, r := range slices.Concat(s.Choices, s.Catch) {
		to = append(to, r.Next)
	}
	return slices.DeleteFunc(to, func(n string) bool { return n == "" })
}

func TestEveryStateIsReachableAndLeadsSomewhere(t *testing.T) {
	for name, m := range machines(t) {
		check(t, name, m)
	}
}

func check(t *testing.T, name string, m machine) {
	t.Helper()
	seen, todo := map[string]bool{}, []string{m.StartAt}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		s, ok := m.States[at]
		if !ok {
			t.Errorf("%s: a transition leads to %q, which is no state", name, at)
			continue
		}
		ends := s.End || s.Type == "Succeed" || s.Type == "Fail"
		if to := s.targets(); !ends && s.Next == "" && s.Type != "Choice" {
			t.Errorf("%s: %s leads nowhere (%v)", name, at, to)
		}
		todo = append(todo, s.targets()...)
		if s.ItemProcessor != nil {
			check(t, name+"/"+at, *s.ItemProcessor)
		}
	}
	for s := range m.States {
		if !seen[s] {
			t.Errorf("%s: no path leads to %s", name, s)
		}
	}
}

func TestEveryTaskIsGuarded(t *testing.T) {
	transient := []string{"Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"}
	for name, m := range machines(t) {
		m.walk(func(at string, s state) {
			if s.Type == "Choice" && s.Comment == "" {
				t.Errorf("%s: the choice %s has no Comment", name, at)
			}
			for _, r := range slices.Concat(s.Retry, s.Catch, s.Choices) {
				if r.Comment == "" {
					t.Errorf("%s: a rule of %s has no Comment", name, at)
				}
			}
			if s.Type != "Task" {
				return
			}
			if s.TimeoutSeconds == 0 {
				t.Errorf("%s: %s has no TimeoutSeconds", name, at)
			}
			if len(s.Catch) == 0 {
				t.Errorf("%s: %s has no Catch", name, at)
			}
			if s.function() != "" && !slices.ContainsFunc(s.Retry, func(r rule) bool { return cmp.Equal(r.ErrorEquals, transient) }) {
				t.Errorf("%s: %s does not retry Lambda's passing faults", name, at)
			}
			throttled := []string{"Lambda.TooManyRequestsException"}
			if s.function() != "" && !slices.ContainsFunc(s.Retry, func(r rule) bool { return cmp.Equal(r.ErrorEquals, throttled) }) {
				t.Errorf("%s: %s does not wait for its turn", name, at)
			}
		})
	}
}

func TestMachinesBranchOnNamesThatTasksHave(t *testing.T) {
	known := regexp.MustCompile(`^(States|Lambda|Runtime|Sandbox|StepFunctions)\.`)
	used := map[string]bool{taskerr.TargetFailed: true} // caught as States.ALL
	for name, m := range machines(t) {
		m.walk(func(at string, s state) {
			for _, r := range slices.Concat(s.Retry, s.Catch) {
				for _, e := range r.ErrorEquals {
					used[e] = true
					if !known.MatchString(e) && !slices.Contains(taskerr.Names, e) {
						t.Errorf("%s: %s waits for %q, which no task raises", name, at, e)
					}
				}
			}
		})
	}
	for _, e := range taskerr.Names {
		if !used[e] {
			t.Errorf("no machine branches on %q", e)
		}
	}
}

// Nobody may ever answer: a Task with a token ends by time, too, and then goes on; its function is handed the token.
func TestATaskThatIsAnsweredEndsByItself(t *testing.T) {
	found := 0
	for name, m := range machines(t) {
		m.walk(func(at string, s state) {
			if s.Resource != withToken {
				return
			}
			found++
			if s.HeartbeatSeconds >= s.TimeoutSeconds {
				t.Errorf("%s: %s waits %d s, but %d s for a heartbeat", name, at, s.TimeoutSeconds, s.HeartbeatSeconds)
			}
			if s.Parameters.Payload["token.$"] != "$$.Task.Token" {
				t.Errorf("%s: the function of %s is not handed the token", name, at)
			}
			if !slices.ContainsFunc(s.Catch, func(r rule) bool {
				return r.Next == s.Next && (slices.Contains(r.ErrorEquals, "States.Timeout") || slices.Contains(r.ErrorEquals, "States.ALL"))
			}) {
				t.Errorf("%s: %s does not go on when its time is over", name, at)
			}
		})
	}
	if found == 0 {
		t.Error("no Task is answered")
	}
}

var substitution = regexp.MustCompile(`\$\{(\w+)\}`)

// Four spellings, one name: folder deploy-release, state DeployRelease, logical id DeployReleaseFunction, ${DeployReleaseFunctionArn}.
func TestNamesOfFunctionsAgree(t *testing.T) {
	resources := template(t)
	for _, folder := range folders(t) {
		r, ok := resources[pascal(folder)+"Function"]
		if !ok {
			t.Errorf("template.yaml has no %sFunction for functions/%s", pascal(folder), folder)
			continue
		}
		if want := "build/functions/" + folder + "/"; r.Properties.CodeURI != want {
			t.Errorf("%sFunction: CodeUri is %q, not %q", pascal(folder), r.Properties.CodeURI, want)
		}
	}
	for name, m := range machines(t) {
		r, ok := resources[pascal(name)+"StateMachine"]
		if !ok {
			t.Errorf("template.yaml has no %sStateMachine", pascal(name))
			continue
		}
		used, invoked := map[string]bool{}, map[string]bool{}
		m.walk(func(at string, s state) {
			if s.function() == "" {
				return
			}
			if want := "${" + at + "FunctionArn}"; s.function() != want {
				t.Errorf("%s: %s calls %s, not %s", name, at, s.function(), want)
			}
			if !slices.Contains(folders(t), kebab(at)) {
				t.Errorf("%s: there is no functions/%s for %s", name, kebab(at), at)
			}
			invoked[at+"Function"] = true
		})
		raw, _ := fs.ReadFile(statemachines.Definitions, name+".asl.json")
		for _, match := range substitution.FindAllStringSubmatch(string(raw), -1) {
			used[match[1]] = true
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(r.Properties.DefinitionSubstitutions))); diff != "" {
			t.Errorf("%s: what the machine substitutes (-) and what the template gives (+):\n%s", name, diff)
		}
		// The local AWS does not check a machine's role, so this does.
		if diff := cmp.Diff(slices.Sorted(maps.Keys(invoked)), r.mayInvoke()); diff != "" {
			t.Errorf("%s: the functions that the machine calls (-) and may call (+):\n%s", name, diff)
		}
	}
}

// A function ends before its Task gives up on it, and deploy-release's lease outlasts both.
func TestTimeoutsAreInOrder(t *testing.T) {
	resources := template(t)
	for name, m := range machines(t) {
		m.walk(func(at string, s state) {
			r, ok := resources[at+"Function"]
			if !ok {
				return
			}
			if r.Properties.Timeout >= s.TimeoutSeconds {
				t.Errorf("%s: %s may run %d s and its Task waits %d s", name, at, r.Properties.Timeout, s.TimeoutSeconds)
			}
			if lease := r.Properties.Timeout + int((release.LeaseMargin + release.LeaseSlack).Seconds()); at == "DeployRelease" && lease <= s.TimeoutSeconds {
				t.Errorf("%s: the lease of %s ends after %d s, its Task after %d s", name, at, lease, s.TimeoutSeconds)
			}
		})
	}
}

// A route that API Gateway does not have would go to the function api, which does not serve it.
func TestRoutesAreThoseOfTheContract(t *testing.T) {
	var doc struct {
		Resources map[string]struct {
			Type       string
			Properties struct{ RouteKey, Target string }
		}
	}
	readYAML(t, "../infra/api.yaml", &doc)
	has, wants := map[string]string{}, map[string]string{"$default": "integrations/${ApiIntegration}"}
	for _, r := range doc.Resources {
		if r.Type == "AWS::ApiGatewayV2::Route" {
			has[r.Properties.RouteKey] = r.Properties.Target
		}
	}
	for _, op := range openapi.Operations() {
		if op.Function != "api" {
			wants[op.Pattern] = "integrations/${" + pascal(op.Function) + "Integration}"
		}
	}
	if diff := cmp.Diff(wants, has); diff != "" {
		t.Errorf("routes of the contract (-) and of infra/api.yaml (+):\n%s", diff)
	}
}

type resource struct {
	Type       string
	Properties struct {
		CodeURI                 string `json:"CodeUri"`
		Timeout                 int
		DefinitionSubstitutions map[string]string
		Policies                []struct{ LambdaInvokePolicy struct{ FunctionName string } }
	}
}

// mayInvoke are the functions that LambdaInvokePolicy names.
func (r resource) mayInvoke() []string {
	var names []string
	for _, p := range r.Properties.Policies {
		if name := p.LambdaInvokePolicy.FunctionName; name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func template(t *testing.T) map[string]resource {
	t.Helper()
	var doc struct{ Resources map[string]json.RawMessage }
	readYAML(t, "../template.yaml", &doc)
	resources := map[string]resource{}
	for id, raw := range doc.Resources {
		var kind struct{ Type string }
		if err := json.Unmarshal(raw, &kind); err != nil || !strings.HasPrefix(kind.Type, "AWS::Serverless::") {
			continue
		}
		var r resource
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		resources[id] = r
	}
	return resources
}

// readYAML reads a template. A reference to a parameter becomes the parameter's default; any other intrinsic, its argument.
func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var parameters struct {
		Parameters map[string]struct {
			Default yaml.Node `yaml:"Default"`
		} `yaml:"Parameters"`
	}
	var node yaml.Node
	if err := errors.Join(yaml.Unmarshal(raw, &parameters), yaml.Unmarshal(raw, &node)); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var resolve func(n *yaml.Node)
	resolve = func(n *yaml.Node) {
		if p, ok := parameters.Parameters[n.Value]; ok && n.Tag == "!Ref" {
			*n = p.Default
		}
		if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
			n.Tag = ""
		}
		for _, child := range n.Content {
			resolve(child)
		}
	}
	resolve(&node)
	var doc any
	if err := node.Decode(&doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if raw, err = json.Marshal(doc); err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func folders(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../functions/*/main.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no functions: %v", err)
	}
	names := make([]string, 0, len(paths))
	for _, p := range paths {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	return names
}

func pascal(folder string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(folder, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

var upper = regexp.MustCompile(`([a-z])([A-Z])`)

func kebab(state string) string {
	return strings.ToLower(upper.ReplaceAllString(state, "$1-$2"))
}
