package helm

import (
	"context"
	"fmt"
	"io"
	"time"

	helmaction "helm.sh/helm/v3/pkg/action"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helmkube "helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/storage"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/release"
)

// recordReserve is what the end of hooks leaves before the end of mutations: a failed hook must still be recorded.
const recordReserve = 5 * time.Second

// verb is one run of one of Helm's verbs, in the child.
type verb struct {
	req     verbRequest
	started time.Time
	hide    redactor
	guard   *guard
	records *records
	objects *objects
	config  *helmaction.Configuration
	kept    string
}

func applyInChild(ctx context.Context, req verbRequest) (verbAnswer, error) {
	quiet()
	v := &verb{
		req:     req,
		started: time.Now(),
		hide:    newRedactor(req.Values, req.ReleaseName, req.Namespace),
		guard:   &guard{stopAt: req.StopMutationsAt},
	}
	err := v.run(ctx)
	return verbAnswer{Result: v.result(), Error: v.explain(err)}, nil
}

func (v *verb) run(ctx context.Context) error {
	var chrt *helmchart.Chart
	if v.req.Action != release.Uninstall && v.req.Action != release.Rollback && v.req.Action != release.Test {
		var err error
		if chrt, err = load(v.req.Archive); err != nil {
			return err
		}
	}
	if err := v.connect(ctx); err != nil {
		return err
	}
	revision, status, err := v.records.newest()
	if err != nil {
		return err
	}
	if v.req.Action == release.Uninstall {
		return v.uninstall(revision)
	}
	if v.req.Action == release.Test {
		return v.test(ctx, status)
	}
	if err := v.capabilities(); err != nil {
		return err
	}
	if v.req.Action == release.Rollback {
		return v.rollback(revision, status)
	}
	absent := revision == 0
	switch {
	case status.IsPending():
		return errorf(CodeReleasePending, "revision %d is %s", revision, status)
	case absent && v.req.Action == release.Install, status == helmrelease.StatusUninstalled:
		return v.install(chrt, !absent)
	case absent:
		return errorf(CodeReleaseConflict, "there is no release of that name to upgrade")
	case v.req.Action == release.Install:
		return errorf(CodeReleaseConflict, "there is a release of that name: revision %d is %s", revision, status)
	}
	return v.upgrade(chrt)
}

// connect builds Helm's configuration over our transport, our storage and our object client.
func (v *verb) connect(ctx context.Context) error {
	credential, err := kube.UnmarshalCredential(v.req.Credential)
	if err != nil {
		return err
	}
	policy, err := netguard.Parse(v.req.AllowedNetworks)
	if err != nil {
		return err
	}
	client, err := kube.New(credential, policy, kube.WrapTransport(v.guard.wrap))
	if err != nil {
		return err
	}
	getter := client.Getter(v.req.Namespace)
	config, err := getter.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	config.ContentType = runtime.ContentTypeJSON // like all else that Helm sends
	core, err := typedcorev1.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for release records: %w", err)
	}
	v.records = &records{
		ctx: ctx, secrets: core.Secrets(v.req.Namespace), name: v.req.ReleaseName, namespace: v.req.Namespace,
		metas: client.Metadata().Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(v.req.Namespace),
		stamp: v.req.Labels, fence: v.req.Fence, action: v.req.Action, halt: v.guard.halt,
	}
	hookBy := time.Now().Add(v.req.HookTimeout)
	if last := v.req.StopMutationsAt.Add(-recordReserve); last.Before(hookBy) {
		hookBy = last
	}
	helmClient := helmkube.New(getter)
	helmClient.Namespace = v.req.Namespace
	v.objects = newObjects(helmClient, hookBy)
	v.config = &helmaction.Configuration{
		RESTClientGetter: getter,
		KubeClient:       v.objects,
		Releases:         storage.Init(v.records),
		Log:              func(string, ...any) {},
		HookOutputFunc:   func(_, _, _ string) io.Writer { return io.Discard },
	}
	return nil
}

// capabilities are read once, and first: what Helm makes of an error in the middle of a verb does not say any more what it was. Helm would ask for the version twice and throw the discovery away.
func (v *verb) capabilities() error {
	discovery, err := v.config.RESTClientGetter.ToDiscoveryClient()
	if err != nil {
		return fmt.Errorf("reading the cluster's capabilities: %w", err)
	}
	version, err := discovery.ServerVersion()
	if err != nil {
		return fmt.Errorf("reading the cluster's version: %w", err)
	}
	apis, err := helmaction.GetVersionSet(discovery)
	if err != nil {
		return fmt.Errorf("reading the cluster's capabilities: %w", err)
	}
	v.config.Capabilities = &chartutil.Capabilities{
		APIVersions: apis,
		KubeVersion: chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}
	return nil
}

func (v *verb) install(chrt *helmchart.Chart, replace bool) error {
	install := helmaction.NewInstall(v.config)
	install.ReleaseName = v.req.ReleaseName
	install.Namespace = v.req.Namespace
	install.Replace = replace // of a release that was uninstalled with its history kept
	install.Description = v.req.Description
	install.Timeout = v.req.HookTimeout
	install.SkipCRDs = true
	install.SkipSchemaValidation = true
	install.DisableOpenAPIValidation = true
	_, err := install.Run(chrt, v.values())
	return err
}

// upgrade computes its patches from the last deployed record, or from the failed first one: nothing is ever uninstalled for a repair.
func (v *verb) upgrade(chrt *helmchart.Chart) error {
	v.objects.leftovers = v.leftovers
	upgrade := helmaction.NewUpgrade(v.config)
	upgrade.Namespace = v.req.Namespace
	upgrade.Description = v.req.Description
	upgrade.Timeout = v.req.HookTimeout
	upgrade.ResetValues = true
	upgrade.SkipCRDs = true
	upgrade.SkipSchemaValidation = true
	upgrade.DisableOpenAPIValidation = true
	_, err := upgrade.Run(v.req.ReleaseName, chrt, v.values())
	return err
}

// rollback makes an older revision's manifest and values a new revision, and computes its patches from the newest one: nothing is rendered.
func (v *verb) rollback(revision int, status helmrelease.Status) error {
	switch {
	case revision == 0 || status == helmrelease.StatusUninstalled:
		return errorf(CodeReleaseConflict, "there is no release of that name to roll back")
	case status.IsPending():
		return errorf(CodeReleasePending, "revision %d is %s", revision, status)
	}
	v.objects.leftovers = v.leftovers
	rollback := helmaction.NewRollback(v.config)
	rollback.Version = v.req.RollbackTo
	rollback.Timeout = v.req.HookTimeout
	return rollback.Run(v.req.ReleaseName)
}

func (v *verb) uninstall(revision int) error {
	if revision == 0 {
		return nil
	}
	uninstall := helmaction.NewUninstall(v.config)
	uninstall.Description = v.req.Description
	uninstall.Timeout = v.req.HookTimeout
	response, err := uninstall.Run(v.req.ReleaseName)
	if response != nil {
		v.kept = response.Info
	}
	return err
}

func (v *verb) values() map[string]any {
	if v.req.Values == nil {
		return map[string]any{}
	}
	return v.req.Values
}

// result is what the cluster took.
func (v *verb) result() Result {
	r := Result{Requests: int(v.guard.requests.Load()), Kept: v.kept}
	if v.objects != nil {
		for _, w := range v.objects.warnings {
			r.Warnings = append(r.Warnings, v.hide.text(w))
		}
	}
	if v.records == nil || v.records.stored == nil {
		if v.req.Action == release.Uninstall && v.records != nil && v.records.seen != nil && len(v.records.order) == 0 {
			r.Status = string(helmrelease.StatusUninstalled)
		}
		return r
	}
	stored := v.records.stored
	r.Revision = stored.Version
	r.Status = stored.Info.Status.String()
	r.Description = v.hide.text(stored.Info.Description)
	r.Labels = v.records.storedAs.Labels
	r.ResourceVersion = v.records.storedAs.ResourceVersion
	r.ManifestObjects = len(releaseutil.SplitManifests(stored.Manifest))
	return r
}
