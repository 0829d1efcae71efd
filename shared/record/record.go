// Package record reads the release records that Helm keeps in a cluster, without Helm.
//
// What a release's latest revision is, and whether it changed, comes from the metadata alone (List); the payload, which may
// be a megabyte of someone else's making, is read for one revision at a time (Get). Records are created by shared/helm only.
package record

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"github.com/swell-sh/swell/shared/problem"
)

// The states of a release, in Helm's words.
const (
	StatusUnknown         = "unknown"
	StatusDeployed        = "deployed"
	StatusUninstalled     = "uninstalled"
	StatusSuperseded      = "superseded"
	StatusFailed          = "failed"
	StatusUninstalling    = "uninstalling"
	StatusPendingInstall  = "pending-install"
	StatusPendingUpgrade  = "pending-upgrade"
	StatusPendingRollback = "pending-rollback"
)

const (
	recordType   = "helm.sh/release.v1"
	recordPrefix = "sh.helm.release.v1."
	pageSize     = 500
	maxPages     = 100
)

var (
	secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

	// systemLabels are Helm's own; the others are the user's and Swell's.
	systemLabels = []string{"name", "owner", "status", "version", "createdAt", "modifiedAt"}
)

// Key names a release within a cluster.
type Key struct {
	Namespace, Name string
}

// Meta is a record without its payload: one revision of one release.
type Meta struct {
	Namespace       string
	Name            string // of the release
	Revision        int
	Status          string            // Helm's word, as the label says it
	Labels          map[string]string // all of the Secret's
	ResourceVersion string
	CreatedAt       time.Time
	ModifiedAt      time.Time // as its last writer's clock says
	SecretName      string
}

// Key is the release that the revision belongs to.
func (m Meta) Key() Key { return Key{m.Namespace, m.Name} }

// Pending says whether a Helm verb is under way, or was when it died.
func (m Meta) Pending() bool {
	return strings.HasPrefix(m.Status, "pending-") || m.Status == StatusUninstalling
}

// List reads the metadata of all records in a namespace, or in all if it is empty, in one request for each 500.
// Secrets that only look like records are left out.
func List(ctx context.Context, client metadata.Interface, namespace string) ([]Meta, error) {
	options := metav1.ListOptions{LabelSelector: "owner=helm", Limit: pageSize}
	var metas []Meta
	for range maxPages {
		page, err := client.Resource(secrets).Namespace(namespace).List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("listing release records: %w", err)
		}
		for i := range page.Items {
			if m, ok := metaOf(&page.Items[i].ObjectMeta); ok {
				metas = append(metas, m)
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return metas, nil
		}
	}
	return nil, problem.Conflict("too-many-records", "the cluster has more than %d release records", maxPages*pageSize)
}

func metaOf(o *metav1.ObjectMeta) (Meta, bool) {
	name, revision, ok := parseName(o.Name)
	if !ok || o.Labels["owner"] != "helm" || o.Labels["name"] != name || o.Labels["version"] != strconv.Itoa(revision) {
		return Meta{}, false
	}
	m := Meta{
		Namespace: o.Namespace, Name: name, Revision: revision, Status: o.Labels["status"], Labels: o.Labels,
		ResourceVersion: o.ResourceVersion, CreatedAt: o.CreationTimestamp.UTC(), SecretName: o.Name,
	}
	m.ModifiedAt = m.CreatedAt
	if seconds, err := strconv.ParseInt(o.Labels["modifiedAt"], 10, 64); err == nil && seconds > 0 {
		m.ModifiedAt = time.Unix(seconds, 0).UTC()
	}
	return m, true
}

// parseName reads sh.helm.release.v1.<name>.v<revision>; a release's name may hold dots itself.
func parseName(secret string) (name string, revision int, ok bool) {
	rest, ok := strings.CutPrefix(secret, recordPrefix)
	at := strings.LastIndex(rest, ".v")
	if !ok || at <= 0 {
		return "", 0, false
	}
	revision, err := strconv.Atoi(rest[at+2:])
	return rest[:at], revision, err == nil && revision > 0 && SecretName(rest[:at], revision) == secret
}

// SecretName is where a revision is kept.
func SecretName(release string, revision int) string {
	return recordPrefix + release + ".v" + strconv.Itoa(revision)
}

// Latest is the newest revision of every release.
func Latest(metas []Meta) map[Key]Meta {
	latest := map[Key]Meta{}
	for _, m := range metas {
		if m.Revision > latest[m.Key()].Revision {
			latest[m.Key()] = m
		}
	}
	return latest
}

// History is one release's revisions, the newest first.
func History(metas []Meta, key Key) []Meta {
	var history []Meta
	for _, m := range metas {
		if m.Key() == key {
			history = append(history, m)
		}
	}
	slices.SortFunc(history, func(a, b Meta) int { return cmp.Compare(b.Revision, a.Revision) })
	return history
}

// HistoryOf lists one release's revisions, the newest first.
func HistoryOf(ctx context.Context, client metadata.Interface, key Key) ([]Meta, error) {
	metas, err := List(ctx, client, key.Namespace)
	return History(metas, key), err
}

func userLabels(all map[string]string) map[string]string {
	labels := maps.Clone(all)
	for _, name := range systemLabels {
		delete(labels, name)
	}
	return labels
}
