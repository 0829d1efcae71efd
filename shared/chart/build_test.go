package chart_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"testing"
)

const metadata = "apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: \"7\"\ndescription: A chart.\n"

// entry is one entry of a tar file, which need not be a decent one.
type entry struct {
	name   string
	body   string
	flag   byte // 0 is a regular file
	link   string
	claims int64 // a size other than the body's, if not 0
}

// header is written by hand, since archive/tar refuses to write most of what is tested here.
func (e entry) header() []byte {
	b := make([]byte, 512)
	size := int64(len(e.body))
	if e.claims != 0 {
		size = e.claims
	}
	flag := e.flag
	if flag == 0 {
		flag = tar.TypeReg
	}
	copy(b[0:100], e.name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00")
	b[156] = flag
	copy(b[157:257], e.link)
	copy(b[257:], "ustar\x0000")
	return sum(b)
}

// sum writes a header's checksum.
func sum(b []byte) []byte {
	copy(b[148:], "        ")
	total := 0
	for _, c := range b {
		total += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", total))
	return b
}

func tarOf(entries ...entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		b.Write(e.header())
		b.WriteString(e.body)
		if rest := len(e.body) % 512; rest > 0 {
			b.Write(make([]byte, 512-rest))
		}
	}
	b.Write(make([]byte, 1024))
	return b.Bytes()
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// packed is an archive of a good chart with more entries.
func packed(more ...entry) []byte {
	return zip(tarOf(append([]entry{{name: "web/Chart.yaml", body: metadata}}, more...)...))
}

// packedIn is an archive of a good chart with another archive as a subchart.
func packedIn(sub []byte) []byte {
	return packed(entry{name: "web/charts/sub-1.0.0.tgz", body: string(sub)})
}

func withMetadata(metadata string) []byte {
	return zip(tarOf(entry{name: "web/Chart.yaml", body: metadata}))
}

func withSchema(schema string) []byte {
	return packed(entry{name: "web/values.schema.json", body: schema})
}

// pax is an archive with one file that has PAX records.
func pax(t *testing.T, name string, records map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "web/Chart.yaml", Size: int64(len(metadata)), Mode: 0o644},
		{Name: name, Size: 0, Mode: 0o644, PAXRecords: records, Format: tar.FormatPAX},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = w.Write([]byte(metadata))
		}
	}
	_ = w.Close()
	return zip(b.Bytes())
}
