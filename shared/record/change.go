package record

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/swell-sh/swell/shared/problem"
)

const (
	fieldManager = "swell"
	maxCause     = 1 << 10
)

// MarkFailed makes a revision failed, with its cause as Helm's description, so that nobody takes it for good and Helm
// upgrades it again: one whose pods never got ready, or whose verb died and left it pending. It writes only if the record is
// still the one that meta describes (else the problem record-changed); every other field of the payload stays as it was. One
// that is failed already is left alone.
func MarkFailed(ctx context.Context, client typedcorev1.SecretsGetter, meta Meta, cause string) error {
	secret, err := read(ctx, client, meta.Namespace, meta.SecretName)
	if err != nil {
		return err
	}
	status := secret.Labels["status"]
	switch {
	case status == StatusFailed:
		return nil
	case secret.ResourceVersion != meta.ResourceVersion:
		return changed(meta)
	case status == StatusSuperseded || status == StatusUninstalled:
		return problem.Conflict("record-changed", "release record %s is %s and cannot fail any more", meta.SecretName, status)
	}
	if err := setFailed(secret, cause); err != nil {
		return err
	}
	_, err = client.Secrets(meta.Namespace).Update(ctx, secret, metav1.UpdateOptions{FieldManager: fieldManager})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return changed(meta)
	case err != nil:
		return fmt.Errorf("marking release record %s failed: %w", meta.SecretName, err)
	}
	return nil
}

func changed(meta Meta) *problem.Problem {
	return problem.Conflict("record-changed", "release record %s was changed by another", meta.SecretName)
}

func setFailed(secret *corev1.Secret, cause string) error {
	raw, err := unpack(secret)
	if err != nil {
		return err
	}
	release, info := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if json.Unmarshal(raw, &release) != nil || json.Unmarshal(release["info"], &info) != nil || info == nil {
		return unreadable(secret.Name, "its JSON is not a release")
	}
	info["status"] = json.RawMessage(`"` + StatusFailed + `"`)
	info["description"], _ = json.Marshal(clip(cause)) // a string always encodes
	if release["info"], err = encode(info); err != nil {
		return fmt.Errorf("encoding release record %s: %w", secret.Name, err)
	}
	if raw, err = encode(release); err != nil {
		return fmt.Errorf("encoding release record %s: %w", secret.Name, err)
	}
	if secret.Data["release"], err = pack(raw); err != nil {
		return fmt.Errorf("compressing release record %s: %w", secret.Name, err)
	}
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	secret.Labels["status"] = StatusFailed
	secret.Labels["modifiedAt"] = strconv.FormatInt(time.Now().Unix(), 10)
	return nil
}

// encode leaves the raw fields' bytes alone: no escaping of <, > and & that were written plainly.
func encode(fields map[string]json.RawMessage) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(fields)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

func clip(cause string) string {
	if len(cause) > maxCause {
		cause = cause[:maxCause] + "…"
	}
	return strings.ToValidUTF8(cause, "")
}

// Prune deletes the old revisions of one release beyond the newest keep. It never deletes the newest, one that is deployed
// (Helm upgrades from it), or one of alsoKeep: the last healthy one, to roll back to. A revision that somebody changed or
// deleted meanwhile is left to them.
func Prune(ctx context.Context, client typedcorev1.SecretsGetter, metas []Meta, keep int, alsoKeep ...int) error {
	if len(metas) == 0 {
		return nil
	}
	history := History(metas, metas[0].Key())
	if len(history) != len(metas) {
		return fmt.Errorf("pruning release %s: the records are of several releases", metas[0].Name)
	}
	for _, m := range history[min(max(keep, 1), len(history)):] {
		if m.Status == StatusDeployed || slices.Contains(alsoKeep, m.Revision) {
			continue
		}
		precondition := &metav1.Preconditions{ResourceVersion: &m.ResourceVersion}
		err := client.Secrets(m.Namespace).Delete(ctx, m.SecretName, metav1.DeleteOptions{Preconditions: precondition})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting release record %s: %w", m.SecretName, err)
		}
	}
	return nil
}
