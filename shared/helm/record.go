package helm

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
)

const (
	recordType   = "helm.sh/release.v1"
	recordPrefix = "sh.helm.release.v1."

	maxRecord      = corev1.MaxSecretSize - 16<<10 // room for what Helm adds later: hook times and a failure's description
	maxDecoded     = 64 << 20                      // a record is read from a cluster that is not ours
	maxDescription = 4 << 10
)

// encodeRecord is Helm's own encoding.
func encodeRecord(rel *helmrelease.Release) ([]byte, error) {
	raw, err := json.Marshal(rel)
	if err != nil {
		return nil, fmt.Errorf("encoding release record %s: %w", rel.Name, err)
	}
	var buf bytes.Buffer
	zip, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("encoding release record %s: %w", rel.Name, err)
	}
	if _, err := zip.Write(raw); err != nil {
		return nil, fmt.Errorf("compressing release record %s: %w", rel.Name, err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compressing release record %s: %w", rel.Name, err)
	}
	return base64.StdEncoding.AppendEncode(nil, buf.Bytes()), nil
}

var errRecordTooLong = errors.New("the record is longer than any that Helm writes")

// decodeRecord reads what encodeRecord, or any Helm since 3.0, wrote.
func decodeRecord(data []byte) (*helmrelease.Release, error) {
	raw, err := base64.StdEncoding.AppendDecode(nil, data)
	if err != nil {
		return nil, fmt.Errorf("decoding a release record: %w", err)
	}
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b, 0x08}) {
		zip, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("decompressing a release record: %w", err)
		}
		raw, err = io.ReadAll(io.LimitReader(zip, maxDecoded+1))
		if err != nil {
			return nil, fmt.Errorf("decompressing a release record: %w", err)
		}
		if len(raw) > maxDecoded {
			return nil, errRecordTooLong
		}
	}
	var rel helmrelease.Release
	if err := json.Unmarshal(raw, &rel); err != nil {
		return nil, fmt.Errorf("decoding a release record: %w", err)
	}
	if rel.Info == nil {
		return nil, errors.New("decoding a release record: it has no info")
	}
	return &rel, nil
}

// revisionOf reads the revision from a record's name, 0 if it is not a record of that release.
func revisionOf(key, name string) int {
	rest, ok := strings.CutPrefix(key, recordPrefix+name+".v")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 1 || strconv.Itoa(n) != rest {
		return 0
	}
	return n
}
