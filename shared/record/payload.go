package record

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/swell-sh/swell/shared/problem"
)

// maxPayload bounds a record's JSON. A Secret holds a megabyte, which a hostile one could make a gigabyte of.
const maxPayload = 16 << 20

// Record is what Swell needs of a revision. It may hold secrets (values, manifest): it is not for logs.
type Record struct {
	Name          string
	Namespace     string
	Version       int // the revision
	Status        string
	Description   string
	FirstDeployed time.Time
	LastDeployed  time.Time
	ChartName     string
	ChartVersion  string
	Config        map[string]any // the values that the user gave, without the chart's own
	Manifest      string
	Labels        map[string]string // without Helm's own
}

// String tells which revision, and no content.
func (r Record) String() string { return fmt.Sprintf("%s/%s.v%d", r.Namespace, r.Name, r.Version) }

// GoString is %#v.
func (r Record) GoString() string { return r.String() }

var rollback = regexp.MustCompile(`^Rollback to ([1-9][0-9]{0,8})$`)

// RolledBackTo is the revision that a `helm rollback` made this one from; 0: it was made otherwise. Helm says so in words alone.
func (r Record) RolledBackTo() int {
	words := rollback.FindStringSubmatch(r.Description)
	if words == nil {
		return 0
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return 0
	}
	return n
}

// Get reads one record. That it is not there is the problem record-not-found.
func Get(ctx context.Context, client typedcorev1.SecretsGetter, namespace, secretName string) (Record, error) {
	secret, err := read(ctx, client, namespace, secretName)
	if err != nil {
		return Record{}, err
	}
	return Decode(secret)
}

func read(ctx context.Context, client typedcorev1.SecretsGetter, namespace, secretName string) (*corev1.Secret, error) {
	secret, err := client.Secrets(namespace).Get(ctx, secretName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, problem.NotFound("record-not-found", "release record %s is not in namespace %s", secretName, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading release record %s: %w", secretName, err)
	}
	return secret, nil
}

// Decode reads a record's payload; whatever it holds, it answers with a Record or a problem.
func Decode(secret *corev1.Secret) (Record, error) {
	name, revision, ok := parseName(secret.Name)
	if !ok || secret.Type != recordType {
		return Record{}, unreadable(secret.Name, "it is not of the type "+recordType)
	}
	raw, err := unpack(secret)
	if err != nil {
		return Record{}, err
	}
	var p struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Version   int    `json:"version"`
		Manifest  string `json:"manifest"`
		Info      struct {
			Status        string  `json:"status"`
			Description   string  `json:"description"`
			FirstDeployed instant `json:"first_deployed"`
			LastDeployed  instant `json:"last_deployed"`
		} `json:"info"`
		Chart struct {
			Metadata struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"metadata"`
		} `json:"chart"`
		Config map[string]any `json:"config"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return Record{}, unreadable(secret.Name, "its JSON is not a release")
	}
	// A record that tells another story than its Secret's name would be taken for another revision's.
	if p.Name != name || p.Version != revision || (p.Namespace != "" && p.Namespace != secret.Namespace) {
		return Record{}, unreadable(secret.Name, "its payload is of another release or revision")
	}
	return Record{
		Name: name, Namespace: secret.Namespace, Version: revision, Status: p.Info.Status, Description: p.Info.Description,
		FirstDeployed: time.Time(p.Info.FirstDeployed), LastDeployed: time.Time(p.Info.LastDeployed),
		ChartName: p.Chart.Metadata.Name, ChartVersion: p.Chart.Metadata.Version, Config: p.Config, Manifest: p.Manifest,
		Labels: userLabels(secret.Labels),
	}, nil
}

// instant is Helm's time: RFC 3339, or empty.
type instant time.Time

// UnmarshalJSON takes anything else for empty: a wrong time is no reason not to read a release.
func (i *instant) UnmarshalJSON(raw []byte) error {
	var t time.Time
	if json.Unmarshal(raw, &t) == nil {
		*i = instant(t)
	}
	return nil
}

var gzipMagic = []byte{0x1f, 0x8b, 0x08}

// unpack undoes Helm's base64 and gzip; records of early versions are not compressed.
func unpack(secret *corev1.Secret) ([]byte, error) {
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(secret.Data["release"])))
	n, err := base64.StdEncoding.Decode(packed, secret.Data["release"])
	if err != nil || n == 0 {
		return nil, unreadable(secret.Name, "its data is not base64")
	}
	if packed = packed[:n]; !bytes.HasPrefix(packed, gzipMagic) {
		return packed, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, unreadable(secret.Name, "its data is not gzip")
	}
	raw, err := io.ReadAll(io.LimitReader(reader, maxPayload+1))
	if len(raw) > maxPayload {
		return nil, problem.Invalid("record-too-large", "release record %s is longer than %d bytes when unpacked", secret.Name, maxPayload)
	}
	if err != nil {
		return nil, unreadable(secret.Name, "its data is not gzip")
	}
	return raw, nil
}

func pack(raw []byte) ([]byte, error) {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = writer.Write(raw)
	if err := errors.Join(err, writer.Close()); err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, packed.Bytes()), nil
}

func unreadable(secretName, why string) *problem.Problem {
	return problem.Invalid("record-unreadable", "release record %s cannot be read: %s", secretName, why)
}
