//go:build stack

package e2e_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssfn "github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/openapi"
)

// walk is the states that a run entered: of its entry machine, of the roll-out, and of each target in the roll-out's Map, sorted.
type walk struct {
	Entry   []string
	RollOut []string
	Targets []string // "PrepareRelease DeployRelease …"
	looks   int      // attempts after a state's first one
	largest int      // bytes of the largest input or output of a state
}

// transitions are what Step Functions charges for, but for the looks that were not the first.
func (w walk) transitions() int {
	n := len(w.Entry) + len(w.RollOut)
	for _, target := range w.Targets {
		n += len(strings.Fields(target))
	}
	return n
}

// walkOf reads the histories of a run's executions, once they have ended.
func walkOf(t *testing.T, machine, run string) walk {
	t.Helper()
	api := awssfn.NewFromConfig(swell.aws)
	prefix := strings.Replace(functionOf(t, "StartDueWork").environment["MACHINE_ARN_PREFIX"], ":stateMachine:", ":execution:", 1)
	var w walk
	w.Entry = w.read(t, api, prefix+machine+":"+run)
	nested := prefix + "roll-out:" + run
	if slices.Contains(w.Entry, "RollOut") {
		w.RollOut = w.read(t, api, nested)
	} else {
		nested = prefix + machine + ":" + run
	}
	maps, err := api.ListMapRuns(t.Context(), &awssfn.ListMapRunsInput{ExecutionArn: &nested})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range maps.MapRuns {
		children, err := api.ListExecutions(t.Context(), &awssfn.ListExecutionsInput{MapRunArn: one.MapRunArn})
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range children.Executions {
			w.Targets = append(w.Targets, strings.Join(w.read(t, api, aws.ToString(child.ExecutionArn)), " "))
		}
	}
	slices.Sort(w.Targets)
	return w
}

// read returns the states that an execution entered. The local AWS writes no entering into the histories of a Map's children: there a
// state is known by the function that it called, and the same again is another attempt.
func (w *walk) read(t *testing.T, api *awssfn.Client, arn string) []string {
	t.Helper()
	if err := poll(t.Context(), time.Minute, func() (bool, error) {
		out, err := api.DescribeExecution(t.Context(), &awssfn.DescribeExecutionInput{ExecutionArn: &arn})
		var unknown *sfntypes.ExecutionDoesNotExist
		if errors.As(err, &unknown) { // a child of a Map cannot be described here; it ended before its parent did
			return true, nil
		}
		return err == nil && out.Status != sfntypes.ExecutionStatusRunning, err
	}); err != nil {
		t.Fatalf("execution %s: %v", arn, err)
	}
	var states, called []string
	pages := awssfn.NewGetExecutionHistoryPaginator(api, &awssfn.GetExecutionHistoryInput{ExecutionArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if d := e.StateEnteredEventDetails; d != nil {
				states = append(states, aws.ToString(d.Name))
				w.largest = max(w.largest, len(aws.ToString(d.Input)))
			}
			if d := e.StateExitedEventDetails; d != nil {
				w.largest = max(w.largest, len(aws.ToString(d.Output)))
			}
			if d := e.TaskScheduledEventDetails; d != nil && aws.ToString(d.ResourceType) == "lambda" {
				called = append(called, stateOf(aws.ToString(d.Resource), aws.ToString(d.Parameters)))
			}
		}
	}
	if len(states) == 0 {
		states = slices.Compact(slices.Clone(called))
	}
	w.looks += len(called) - len(slices.Compact(slices.Clone(called)))
	return states
}

func stateOf(resource, parameters string) string {
	for _, text := range []string{resource, parameters} {
		if _, rest, ok := strings.Cut(text, ":function:"); ok {
			return logicalName(rest)
		}
	}
	return resource
}

func wantWalk(t *testing.T, machine, run string, want walk) walk {
	t.Helper()
	got := walkOf(t, machine, run)
	slices.Sort(want.Targets)
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".looks" || p.Last().String() == ".largest"
	}, cmp.Ignore()), cmp.AllowUnexported(walk{})); diff != "" {
		t.Errorf("the walk of machine %s is not as it should be (-want +got):\n%s", machine, diff)
	}
	if got.largest > 8<<10 {
		t.Errorf("a state of machine %s carries %d bytes", machine, got.largest)
	}
	return got
}

var (
	fullTarget    = "PrepareRelease DeployRelease CheckRelease RecordRelease"
	deployStates  = []string{"ResolveTargets", "PlanTargets", "Gate", "RollOut"}
	removalStates = []string{"ResolveTargets", "PlanRemoval", "Gate", "RollOut"}
	rollOutStates = []string{"NextBatch", "Turn?", "ReleaseTargets", "EvaluateBatch", "TargetsLeft?"}
)

func and(states []string, more ...string) []string { return append(slices.Clone(states), more...) }

// The paths through the machines, as they were really walked, what they cost, and how little travels through them.
func TestPaths(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "path")
	demo := pushDemo(t)
	const n = 2
	// 300 KB of values: only references travel.
	happy := a.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "values": values{"replicaCount": 1, "podAnnotations": values{"note": strings.Repeat("x", 200<<10)}},
		"valueOverrides": values{clusterB: values{"podAnnotations": values{"more": strings.Repeat("y", 50<<10)}}}})
	got := wantWalk(t, "deploy", happy.ID, walk{Entry: deployStates, RollOut: and(rollOutStates, "Ended"), Targets: []string{fullTarget, fullTarget}})
	t.Logf("%d transitions for %d targets, and %d looks that were not the first; at most %d bytes in a state", got.transitions(), n, got.looks, got.largest)
	if limit := 8 + 5*n; got.transitions() > limit {
		t.Errorf("a deployment on %d targets takes %d transitions, want at most %d", n, got.transitions(), limit)
	}

	var check openapi.DeploymentAccepted
	must(t, http.StatusAccepted, http.MethodPost, a.path()+"/check", nil, &check)
	ended(t, check.Run, openapi.RunStatusSucceeded)
	// Its Map is inline, and the local AWS writes nothing of its children into a history.
	wantWalk(t, "check", check.Run, walk{Entry: []string{"ResolveTargets", "NextBatch", "CheckTargets", "EvaluateBatch", "TargetsLeft?", "Ended"}})

	dirty := a.put(openapi.RunStatusPartial, intent{"timeoutSeconds": 10, "valueOverrides": values{clusterB: values{"neverReady": true}}})
	wantWalk(t, "deploy", dirty.ID, walk{
		Entry: and(deployStates, "FinishRun", "HowDidItEnd?", "EndedDirty"), RollOut: and(rollOutStates, "EndedDirty"),
		Targets: []string{fullTarget, "PrepareRelease DeployRelease CheckRelease RemediateRelease RecordRelease"},
	})

	removal := a.remove(openapi.RunStatusSucceeded)
	wantWalk(t, "remove-deployment", removal.ID, walk{Entry: removalStates, RollOut: and(rollOutStates, "Ended"), Targets: []string{fullTarget, fullTarget}})
}

// A target that fails before anything was written ends the machine clean.
func TestPathOfACleanFailure(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "clean")
	helm(t, clusterB, a.name, "install", a.name, "charts/demo", "--create-namespace")
	r := a.deploy(openapi.RunStatusPartial, intent{"name": pushDemo(t)})
	wantWalk(t, "deploy", r.ID, walk{
		Entry: and(deployStates, "FinishRun", "HowDidItEnd?", "EndedClean"), RollOut: and(rollOutStates, "EndedClean"),
		Targets: []string{fullTarget, "PrepareRelease DeployRelease RemediateRelease RecordRelease"},
	})
}

// A run that was canceled walks over no target.
func TestPathOfACanceledRun(t *testing.T) {
	t.Parallel()
	slow := newInMemory(t)
	a := newApp(t, newGroup(t, slow.id), "stop")
	slow.SetDelay(2 * time.Second)
	run := a.create(intent{"name": pushDemo(t)}).Run
	must(t, http.StatusAccepted, http.MethodPost, "/runs/"+run+"/cancel", nil, nil)
	ended(t, run, openapi.RunStatusCanceled)
	slow.SetDelay(0)
	wantWalk(t, "deploy", run, walk{Entry: deployStates, RollOut: []string{"NextBatch", "Turn?", "EvaluateBatch", "TargetsLeft?", "Ended"}})
}
