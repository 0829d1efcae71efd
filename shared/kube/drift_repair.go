package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/swell-sh/swell/shared/drift"
)

// ErrDriftMoved is an object that somebody wrote to between the look and the repair, or that is otherwise than it was found:
// nothing was overwritten. Look again, then repair.
var ErrDriftMoved = errors.New("drift-moved: the object has changed since it was looked at")

const maxTries = 5 // to write to an object before somebody else does

// Repair puts exactly the findings right, as Helm's field manager: a missing object is created from the manifest, and fields are set or
// removed by one patch for each object, which the server refuses if the object has changed. What is right already is left alone, so a
// repair may run twice. Release and namespace are the release's: a new object is marked with them as Helm does. Each write asks mayWrite
// first. An object that the server refuses does not stop the others; a write that mayWrite refuses, or a cluster that does not answer, does.
func (c *Client) Repair(ctx context.Context, findings []drift.Finding, manifest []byte, release, namespace string, mayWrite func() error) error {
	r, err := c.released(manifest, namespace, drift.Options{})
	if err != nil {
		return err
	}
	var failed []error
	of := map[drift.Finding][]drift.Finding{}
	for _, f := range findings {
		of[identity(f)] = append(of[identity(f)], f)
	}
	for _, o := range r.objects {
		id := identity(drift.Missed(o.want.Object))
		if len(of[id]) == 0 {
			continue
		}
		if err := o.repair(ctx, of[id], marks(release, namespace), mayWrite); err != nil {
			failed = append(failed, fmt.Errorf("repairing %s %s: %w", id.Kind, id.Name, unquoted(id.Kind, err)))
			if !errors.Is(err, ErrDriftMoved) && !refusedByServer(err) {
				return errors.Join(failed...)
			}
		}
		delete(of, id)
	}
	for id := range of {
		failed = append(failed, fmt.Errorf("repairing %s %s: the manifest does not have it: %w", id.Kind, id.Name, ErrDriftMoved))
	}
	return errors.Join(failed...)
}

// refusedByServer says whether the server answers others, and refused this object.
func refusedByServer(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && !unreachable(err) && !apierrors.IsUnauthorized(err)
}

// unquoted is err as Classify has it, without the values that a server quotes where it finds an object invalid: they may be secret.
func unquoted(kind string, err error) error {
	if apierrors.IsInvalid(err) {
		return errors.New(words(kind, err))
	}
	return Classify(err)
}

func identity(f drift.Finding) drift.Finding {
	return drift.Finding{APIVersion: f.APIVersion, Kind: f.Kind, Namespace: f.Namespace, Name: f.Name}
}

// marks are Helm's annotations on an object of a release.
func marks(release, namespace string) map[string]string {
	return map[string]string{annotationRelease: release, annotationNamespace: namespace}
}

// repair tries a few times: controllers write to an object all the time, and that is no reason to give up.
func (o releasedObject) repair(ctx context.Context, findings []drift.Finding, marks map[string]string, mayWrite func() error) error {
	for try := 1; ; try++ {
		live, err := o.live(ctx)
		if errors.Is(err, errGone) {
			return o.create(ctx, findings, marks, mayWrite)
		}
		if err != nil {
			return err
		}
		differences, err := o.still(live, findings)
		if err != nil || len(differences) == 0 {
			return err
		}
		if err := mayWrite(); err != nil {
			return err
		}
		patch := o.mend(live, differences)
		metadata, ok := patch["metadata"].(map[string]any)
		if !ok {
			metadata = map[string]any{}
			patch["metadata"] = metadata
		}
		metadata["resourceVersion"] = live.GetResourceVersion() // with it the server refuses if live is no longer what it has
		_, err = o.patch(ctx, patch)
		if !apierrors.IsConflict(err) || try == maxTries {
			return moved(err)
		}
	}
}

// still are the findings that are not right by now. One whose value is another than was found is refused.
func (o releasedObject) still(live *unstructured.Unstructured, findings []drift.Finding) (differences []drift.Difference, err error) {
	for _, f := range findings {
		d, there, same := f.In(o.want.Object, live.Object)
		switch {
		case !there:
		case !same:
			return nil, fmt.Errorf("%s: %w", f.Path, ErrDriftMoved)
		default:
			differences = append(differences, d)
		}
	}
	return differences, nil
}

// create makes an object that is missing. One whose deletion is not over is refused by the server.
func (o releasedObject) create(ctx context.Context, findings []drift.Finding, marks map[string]string, mayWrite func() error) error {
	if findings[0].Op != drift.Missing {
		return ErrDriftMoved
	}
	if o.client == nil {
		return fmt.Errorf("the cluster does not serve %s of %s", o.want.GetKind(), o.want.GetAPIVersion())
	}
	if err := mayWrite(); err != nil {
		return err
	}
	u := o.want.DeepCopy()
	annotations, labels := u.GetAnnotations(), u.GetLabels()
	if annotations == nil {
		annotations = map[string]string{}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(annotations, marks)
	labels[managedBy] = "Helm"
	u.SetAnnotations(annotations)
	u.SetLabels(labels)
	_, err := o.client.Create(ctx, u, metav1.CreateOptions{FieldManager: helmManager})
	return moved(err)
}

func moved(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%w: %w", ErrDriftMoved, err)
	}
	return err
}
