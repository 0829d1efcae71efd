package kube

import (
	"bytes"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// patch is what an upgrade sends for one object. Empty, it is not sent.
type patch struct {
	kind types.PatchType
	body []byte
}

// helmPatch is the patch of `helm upgrade`, version 3: strategic, three-way between the old manifest, the new one and the live object, for
// the types that Kubernetes has; for all others a JSON merge of the difference between the two manifests, whatever the live object has.
func helmPatch(original, target, live *unstructured.Unstructured) (patch, error) {
	was, err := original.MarshalJSON()
	if err != nil {
		return patch{}, fmt.Errorf("encoding the old manifest: %w", err)
	}
	will, err := target.MarshalJSON()
	if err != nil {
		return patch{}, fmt.Errorf("encoding the new manifest: %w", err)
	}
	typed, err := known(target.GroupVersionKind())
	if err != nil { // not one of Kubernetes' own
		body, err := jsonpatch.CreateMergePatch(was, will)
		return patch{kind: types.MergePatchType, body: body}, err
	}
	is, err := live.MarshalJSON()
	if err != nil {
		return patch{}, fmt.Errorf("encoding the live object: %w", err)
	}
	fields, err := strategicpatch.NewPatchMetaFromStruct(typed)
	if err != nil {
		return patch{}, fmt.Errorf("reading the type %s: %w", target.GetKind(), err)
	}
	body, err := strategicpatch.CreateThreeWayMergePatch(was, will, is, fields, true)
	return patch{kind: types.StrategicMergePatchType, body: body}, err
}

// known makes an object of one of the types that Helm knows.
func known(gvk schema.GroupVersionKind) (runtime.Object, error) {
	if gvk == apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition") {
		return &apiextensionsv1.CustomResourceDefinition{}, nil
	}
	return scheme.Scheme.New(gvk)
}

func (p patch) empty() bool { return len(p.body) == 0 || bytes.Equal(p.body, []byte("{}")) }
