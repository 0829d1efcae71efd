package helm

import (
	"fmt"
	"strings"

	helmkube "helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/swell-sh/swell/shared/release"
)

// Helm upgrades from the last revision that was deployed and deletes what that one has and the new one has not. What an upgrade made that
// failed, or was killed, and that neither of them has, it forgets for ever. Here those objects go as well, found in the records of the
// failed revisions for as long as these are kept. A rollback looks in all revisions that it takes back.

// failedSince are the records of the failed revisions since the last one that was deployed, without this verb's own.
func (r *records) failedSince() ([]*helmrelease.Release, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failed []*helmrelease.Release
	for _, key := range r.order {
		if key == r.created {
			continue
		}
		if r.seen[key].Labels["status"] != helmrelease.StatusFailed.String() {
			break
		}
		rel, err := r.load(key)
		if err != nil {
			return failed, err
		}
		failed = append(failed, rel)
	}
	return failed, nil
}

// since are the records that are newer than a revision, without this verb's own: a rollback takes them all back.
func (r *records) since(revision int) ([]*helmrelease.Release, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var made []*helmrelease.Release
	for _, key := range r.order {
		if key == r.created || revisionOf(key, r.name) <= revision {
			continue
		}
		rel, err := r.load(key)
		if err != nil {
			return made, err
		}
		made = append(made, rel)
	}
	return made, nil
}

// leftovers are the objects of failed revisions that are neither in original nor in target and that belong to the release. What cannot be
// found out is a warning, but for want of an answer: then the verb fails, and the next one looks again.
func (v *verb) leftovers(original, target helmkube.ResourceList) helmkube.ResourceList {
	look := v.records.failedSince
	if v.req.Action == release.Rollback {
		look = func() ([]*helmrelease.Release, error) { return v.records.since(v.req.RollbackTo) }
	}
	failed, err := look()
	if err != nil {
		v.objects.stays("looking for what failed revisions left: %v", err)
	}
	var found helmkube.ResourceList
	for _, rel := range failed {
		list, err := v.objects.Build(strings.NewReader(rel.Manifest), false)
		if err != nil {
			v.objects.warn("looking for what failed revision %d left: %v", rel.Version, err)
			continue
		}
		for _, info := range list.Difference(original).Difference(target).Difference(found) {
			switch ours, err := v.owns(info); {
			case err != nil:
				v.objects.stays("looking for what failed revision %d left: %v", rel.Version, err)
			case ours:
				found.Append(info)
			}
		}
	}
	return found
}

// owns reads the object and says whether it bears the marks that Helm gives a release's objects: one of that name may be somebody else's.
func (v *verb) owns(info *resource.Info) (bool, error) {
	if err := info.Get(); apierrors.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("reading %s: %w", info.ObjectName(), err)
	}
	object, err := meta.Accessor(info.Object)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", info.ObjectName(), err)
	}
	marks := object.GetAnnotations()
	return object.GetLabels()["app.kubernetes.io/managed-by"] == "Helm" && marks["meta.helm.sh/release-name"] == v.req.ReleaseName &&
		marks["meta.helm.sh/release-namespace"] == v.req.Namespace, nil
}
