package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	helmdriver "helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/release"
)

// relistAfter is how long the first look at the records counts. A verb frozen for longer looks again before its first write.
const relistAfter = 10 * time.Second

// records is Helm's storage driver for one release and one verb. It stores what Helm's own `secrets` driver stores, so that Helm's CLI
// works on it, and differs in three ways: it reads metadata first and a payload only where one is used; it writes with the
// resourceVersion it read, and not at all once a later holder of the lease has written; and it remembers what was stored, which is what
// a verb reports (Helm's return value may never have been stored).
type records struct {
	ctx       context.Context //nolint:containedctx // Helm's driver interface has none, and a verb is one call
	secrets   typedcorev1.SecretInterface
	metas     metadata.ResourceInterface
	name      string
	namespace string
	stamp     map[string]string // the operation's labels
	fence     int64
	action    release.Action
	halt      func(*Error) // refuses every later mutation of this process

	mu       sync.Mutex
	listedAt time.Time
	order    []string // keys, newest revision first
	seen     map[string]*metav1.ObjectMeta
	loaded   map[string]*helmrelease.Release
	created  string // the key of this operation's own record
	stopped  *Error
	failure  error                // the last write that failed
	stored   *helmrelease.Release // the last state that the cluster took of the newest record
	storedAs *metav1.ObjectMeta
}

var _ helmdriver.Driver = (*records)(nil)

// Name is the name of Helm's driver that this stands in for.
func (*records) Name() string { return helmdriver.SecretsDriverName }

// List is part of the driver interface; no verb of ours uses it.
func (*records) List(func(*helmrelease.Release) bool) ([]*helmrelease.Release, error) {
	return nil, errors.New("listing every release: this driver reads one")
}

// Get reads one record.
func (r *records) Get(key string) (*helmrelease.Release, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.load(key)
}

// Query answers with the newest record that matches in full and the others as stubs: of those Helm uses name and revision only. But a rollback
// stores each that says it is deployed again.
func (r *records) Query(want map[string]string) ([]*helmrelease.Release, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name, ok := want["name"]; ok && name != r.name {
		return nil, helmdriver.ErrReleaseNotFound
	}
	if err := r.list(); err != nil {
		return nil, err
	}
	var found []*helmrelease.Release
	for _, key := range r.order {
		status := r.seen[key].Labels["status"]
		if s, ok := want["status"]; ok && s != status {
			continue
		}
		if whole := r.action == release.Rollback && want["status"] != ""; len(found) > 0 && !whole {
			found = append(found, r.stub(key, status))
			continue
		}
		rel, err := r.load(key)
		if err != nil {
			return nil, err
		}
		found = append(found, rel)
	}
	if len(found) == 0 {
		return nil, helmdriver.ErrReleaseNotFound
	}
	return found, nil
}

func (r *records) stub(key, status string) *helmrelease.Release {
	return &helmrelease.Release{
		Name: r.name, Namespace: r.namespace, Version: revisionOf(key, r.name),
		Info: &helmrelease.Info{Status: helmrelease.Status(status)},
	}
}

// newest is the latest record's revision and status, 0 if there is none.
func (r *records) newest() (int, helmrelease.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.list(); err != nil {
		return 0, "", err
	}
	if len(r.order) == 0 {
		return 0, "", nil
	}
	key := r.order[0]
	return revisionOf(key, r.name), helmrelease.Status(r.seen[key].Labels["status"]), nil
}

// list looks at the records' metadata, once.
func (r *records) list() error {
	if r.seen != nil {
		return nil
	}
	order, seen, err := r.look()
	if err != nil {
		return err
	}
	if len(order) > 0 {
		if theirs := fenceOf(seen[order[0]]); theirs > r.fence {
			return r.stop(errorf(CodeFenced, "revision %d was written under fence %d, this verb has %d",
				revisionOf(order[0], r.name), theirs, r.fence))
		}
	}
	r.order, r.seen, r.listedAt = order, seen, time.Now().Round(0)
	r.loaded = map[string]*helmrelease.Release{}
	return nil
}

func (r *records) look() ([]string, map[string]*metav1.ObjectMeta, error) {
	selector := labels.Set{"owner": "helm", "name": r.name}.AsSelector().String()
	list, err := r.metas.List(r.ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the records of release %s: %w", r.name, err)
	}
	seen := make(map[string]*metav1.ObjectMeta, len(list.Items))
	for i := range list.Items {
		if meta := &list.Items[i].ObjectMeta; revisionOf(meta.Name, r.name) > 0 {
			seen[meta.Name] = meta
		}
	}
	order := slices.SortedFunc(maps.Keys(seen), func(a, b string) int {
		return cmp.Compare(revisionOf(b, r.name), revisionOf(a, r.name))
	})
	return order, seen, nil
}

// lookAgain is for a verb that slept between its first look and its first write.
func (r *records) lookAgain() error {
	if r.seen == nil || time.Now().Round(0).Sub(r.listedAt) < relistAfter {
		return r.list()
	}
	order, seen, err := r.look()
	if err != nil {
		return err
	}
	same := len(order) == len(r.order)
	if same && len(order) > 0 {
		same = order[0] == r.order[0] && seen[order[0]].ResourceVersion == r.seen[order[0]].ResourceVersion
	}
	if !same {
		return r.stop(errorf(CodeReleaseConflict, "the records changed while this verb was about to write"))
	}
	r.listedAt = time.Now().Round(0)
	return nil
}

func (r *records) load(key string) (*helmrelease.Release, error) {
	if rel, ok := r.loaded[key]; ok {
		return rel, nil
	}
	secret, err := r.secrets.Get(r.ctx, key, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, helmdriver.ErrReleaseNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading release record %s: %w", key, err)
	}
	if before, ok := r.seen[key]; ok && before.ResourceVersion != secret.ResourceVersion {
		return nil, r.stop(errorf(CodeReleaseConflict, "record %s changed while it was read", key))
	}
	rel, err := decodeRecord(secret.Data["release"])
	if err != nil {
		return nil, fmt.Errorf("reading release record %s: %w", key, err)
	}
	if rel.Name != r.name || rel.Version != revisionOf(key, r.name) || rel.Namespace != r.namespace {
		return nil, fmt.Errorf("reading release record %s: it says it is %s/%s revision %d", key, rel.Namespace, rel.Name, rel.Version)
	}
	rel.Labels = userLabels(secret.Labels)
	if r.action == release.Upgrade {
		asBase(rel)
	}
	if r.seen == nil {
		r.seen, r.loaded = map[string]*metav1.ObjectMeta{}, map[string]*helmrelease.Release{}
	}
	r.seen[key], r.loaded[key] = &secret.ObjectMeta, rel
	return rel, nil
}

// asBase: Helm upgrades from a failed record and refuses one that an interrupted uninstall left, though it is as good a base: what is
// gone is made again.
func asBase(rel *helmrelease.Release) {
	if s := rel.Info.Status; s == helmrelease.StatusUninstalling || s == helmrelease.StatusUnknown {
		rel.Info.Status = helmrelease.StatusFailed
	}
}

// Create stores a new record. It is the first write of a verb: what must not happen at all is found here.
func (r *records) Create(key string, rel *helmrelease.Release) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.remember(r.create(key, rel))
}

func (r *records) create(key string, rel *helmrelease.Release) error {
	if r.stopped != nil {
		return r.stopped
	}
	if err := r.lookAgain(); err != nil {
		return err
	}
	data, err := r.encode(rel, maxRecord)
	if err != nil {
		return err
	}
	marks := userLabels(rel.Labels)
	marks["createdAt"] = strconv.FormatInt(time.Now().Unix(), 10)
	r.mark(marks, rel, true)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: key, Labels: marks},
		Type:       recordType,
		Data:       map[string][]byte{"release": data},
	}
	created, err := r.secrets.Create(r.ctx, secret, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return r.stop(r.lost(key, "revision %d was written by somebody else", rel.Version))
	case err != nil:
		return fmt.Errorf("storing release record %s: %w", key, err)
	}
	r.created = key
	r.order = append([]string{key}, r.order...)
	r.took(key, rel, &created.ObjectMeta)
	return nil
}

// Update stores a record again, if nobody else did.
func (r *records) Update(key string, rel *helmrelease.Release) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.remember(r.update(key, rel))
}

// remember: Helm logs errors of its storage and goes on.
func (r *records) remember(err error) error {
	if err != nil {
		r.failure = err
	}
	return err
}

func (r *records) update(key string, rel *helmrelease.Release) error {
	if r.stopped != nil {
		return r.stopped
	}
	before, ok := r.seen[key]
	if !ok || r.loaded[key] == nil {
		return fmt.Errorf("storing release record %s: it was not read before", key)
	}
	data, err := r.encode(rel, corev1.MaxSecretSize)
	if err != nil {
		return err
	}
	meta := before.DeepCopy()
	meta.ManagedFields = nil
	if meta.Labels == nil {
		meta.Labels = map[string]string{}
	}
	meta.Labels["modifiedAt"] = strconv.FormatInt(time.Now().Unix(), 10)
	if made := r.loaded[r.created]; r.action == release.Rollback && key != r.created && made != nil && made.Info.Status == helmrelease.StatusFailed {
		return nil // Helm calls superseded what a failed rollback came from. It stays what it was: the next verb deletes what it made
	}
	own := key == r.created || (r.action == release.Uninstall && key == r.order[0])
	r.mark(meta.Labels, rel, own)
	secret := &corev1.Secret{ObjectMeta: *meta, Type: recordType, Data: map[string][]byte{"release": data}}
	updated, err := r.secrets.Update(r.ctx, secret, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return r.stop(r.lost(key, "revision %d was changed or removed by somebody else", rel.Version))
	case err != nil:
		return fmt.Errorf("storing release record %s: %w", key, err)
	}
	r.took(key, rel, &updated.ObjectMeta)
	return nil
}

// Delete removes a record, as uninstalling does with all of them.
func (r *records) Delete(key string) (*helmrelease.Release, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped != nil {
		return nil, r.stopped
	}
	before, ok := r.seen[key]
	if !ok {
		return nil, helmdriver.ErrReleaseNotFound
	}
	opts := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &before.UID, ResourceVersion: &before.ResourceVersion}}
	err := r.secrets.Delete(r.ctx, key, opts)
	switch {
	case apierrors.IsConflict(err):
		return nil, r.stop(r.lost(key, "revision %d was changed by somebody else", revisionOf(key, r.name)))
	case err != nil && !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("removing release record %s: %w", key, err)
	}
	rel := r.loaded[key]
	if rel == nil {
		rel = r.stub(key, before.Labels["status"])
	}
	if key == r.order[0] {
		gone := *rel
		info := *rel.Info
		info.Status = helmrelease.StatusUninstalled
		gone.Info = &info
		r.stored, r.storedAs = &gone, before
	}
	return rel, nil
}

func (r *records) encode(rel *helmrelease.Release, limit int) ([]byte, error) {
	rel.Info.Description = excerpt.Of(rel.Info.Description, maxDescription)
	data, err := encodeRecord(rel)
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, r.stop(errorf(CodeRecordTooLarge, "the release record takes %d bytes, a Secret holds %d: the chart's files and manifest are too large",
			len(data), limit))
	}
	return data, nil
}

// mark sets Helm's labels, and on the operation's own record Swell's.
func (r *records) mark(marks map[string]string, rel *helmrelease.Release, own bool) {
	if own {
		maps.Copy(marks, r.stamp)
		marks[release.LabelFence] = strconv.FormatInt(r.fence, 10)
		marks[release.LabelRevision] = strconv.Itoa(rel.Version)
	}
	marks["name"] = rel.Name
	marks["owner"] = "helm"
	marks["status"] = rel.Info.Status.String()
	marks["version"] = strconv.Itoa(rel.Version)
}

func (r *records) took(key string, rel *helmrelease.Release, meta *metav1.ObjectMeta) {
	r.seen[key], r.loaded[key] = meta, rel
	if key == r.order[0] {
		stored := *rel
		info := *rel.Info
		stored.Info = &info
		r.stored, r.storedAs = &stored, meta
	}
}

// lost says who was faster: a later holder of the lease, or somebody who has none.
func (r *records) lost(key, format string, args ...any) *Error {
	if meta, err := r.metas.Get(r.ctx, key, metav1.GetOptions{}); err == nil {
		if theirs := fenceOf(&meta.ObjectMeta); theirs > r.fence {
			return errorf(CodeFenced, "record %s was written under fence %d, this verb has %d", key, theirs, r.fence)
		}
	}
	return errorf(CodeReleaseConflict, format, args...)
}

// stop ends all writing: Helm swallows errors of its storage and would go on.
func (r *records) stop(err *Error) error {
	r.stopped = err
	r.halt(err)
	return err
}

func fenceOf(meta *metav1.ObjectMeta) int64 {
	n, err := strconv.ParseInt(meta.Labels[release.LabelFence], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// userLabels are the labels that a person gave a release. Helm hands them on from revision to revision; its own and ours are written anew.
func userLabels(all map[string]string) map[string]string {
	users := map[string]string{}
	for name, value := range all {
		if !slices.Contains(helmdriver.GetSystemLabels(), name) && !strings.HasPrefix(name, "swell-") {
			users[name] = value
		}
	}
	return users
}
