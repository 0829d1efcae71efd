package main

import (
	"context"
	_ "embed"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	pods "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/utils/client"
)

// A test sets these annotations to "true" on a pod (or a pod template) to break what the simulated nodes do with it.
const (
	neverReady = "swell.test/never-ready" // runs, but never becomes ready, and a Job's pod never ends
	fails      = "swell.test/fail"        // ends at once with exit code 1
)

// brokenTags are the tags of images that a test names to break a pod as a chart's user would, by its image.
var brokenTags = []string{"missing", "crash", "oom"}

var (
	//go:embed stages/pod-never-ready.yaml
	podNeverReady string
	//go:embed stages/pod-complete.yaml
	podComplete string
	//go:embed stages/pod-fail.yaml
	podFail string
	//go:embed stages/pod-image-missing.yaml
	podImageMissing string
	//go:embed stages/pod-crash.yaml
	podCrash string
	//go:embed stages/load-balancer.yaml
	loadBalancer string
)

// runNodes is the kubelet of every node: it plays kwok's stages on nodes and pods until ctx is done.
func runNodes(ctx context.Context, c *cluster) error {
	stages, err := loadStages()
	if err != nil {
		return err
	}
	set, err := client.NewClientset("", c.kubeconfig)
	if err != nil {
		return err
	}
	restConfig, err := set.ToRESTConfig()
	if err != nil {
		return err
	}
	dynamicClient, err := set.ToDynamicClient()
	if err != nil {
		return err
	}
	mapper, err := set.ToRESTMapper()
	if err != nil {
		return err
	}
	restClient, err := rest.RESTClientFor(restConfig)
	if err != nil {
		return err
	}
	typed, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return err
	}
	typedKwok, err := versioned.NewForConfig(restConfig)
	if err != nil {
		return err
	}
	controller, err := controllers.NewController(controllers.Config{
		Clock:                      clock.RealClock{},
		DynamicClient:              dynamicClient,
		RESTClient:                 restClient,
		RESTMapper:                 mapper,
		ImpersonatingDynamicClient: set.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:   set.ToImpersonatingTypedClient(),
		TypedClient:                typed,
		TypedKwokClient:            typedKwok,
		ManageAllNodes:             true,
		CIDR:                       "10.244.0.1/16",
		NodeIP:                     "192.0.2.1",
		LocalStages:                stages,
		PodPlayStageParallelism:    8,
		NodePlayStageParallelism:   2,
		NodeLeaseDurationSeconds:   40,
		NodeLeaseParallelism:       2,
		PodsOnNodeSyncParallelism:  2,
		// The same over a restart: else the nodes stand still until the last process' leases end.
		ID: "local-kubernetes",
	})
	if err != nil {
		return err
	}
	if err := controller.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// loadStages answers kwok's fast stages, kept off the pods that a test broke, and our own for those.
func loadStages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	unless := func(annotation string) internalversion.MatchExpression {
		return internalversion.MatchExpression{JQ: &internalversion.SelectorJQ{
			Key:      fmt.Sprintf(".metadata.annotations[%q]", annotation),
			Operator: internalversion.SelectorOpNotIn,
			Values:   []string{"true"},
		}}
	}
	unbroken := internalversion.MatchExpression{JQ: &internalversion.SelectorJQ{
		Key:      `.spec.containers[].image | split(":") | last`,
		Operator: internalversion.SelectorOpNotIn,
		Values:   brokenTags,
	}}
	out := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, s := range []struct {
		yaml   string
		except []internalversion.MatchExpression
	}{
		{yaml: fast.DefaultNodeInit},
		{yaml: pods.DefaultPodReady, except: []internalversion.MatchExpression{unless(neverReady), unless(fails), unbroken}},
		{yaml: podComplete, except: []internalversion.MatchExpression{unbroken}},
		{yaml: pods.DefaultPodDelete},
		{yaml: podNeverReady},
		{yaml: podFail},
		{yaml: podImageMissing},
		{yaml: podCrash},
		{yaml: loadBalancer},
	} {
		stage, err := config.UnmarshalWithType[*internalversion.Stage](s.yaml)
		if err != nil {
			return nil, fmt.Errorf("reading a stage: %w", err)
		}
		if len(s.except) > 0 {
			stage.Spec.Selector.MatchExpressions = append(stage.Spec.Selector.MatchExpressions, s.except...)
		}
		out[stage.Spec.ResourceRef] = append(out[stage.Spec.ResourceRef], stage)
	}
	return out, nil
}
