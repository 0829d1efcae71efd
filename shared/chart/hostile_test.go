package chart_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/provenance"
)

// hostile is an archive that Check must refuse.
type hostile struct {
	name    string
	archive []byte
}

func TestCheckRefusesHostileArchives(t *testing.T) {
	families := map[string]struct {
		archives []hostile
		codes    []string
	}{
		"Traversal": {traversal(t), []string{chart.CodeArchive}},
		"Links":     {links(), []string{chart.CodeArchive}},
		"Bombs":     {bombs(), []string{chart.CodeTooLarge, chart.CodeArchive}},
		"Malformed": {malformed(), []string{chart.CodeArchive}},
		"Metadata":  {badMetadata(), []string{chart.CodeMetadata, chart.CodeNotInstallable, chart.CodeTooLarge}},
		"Schemas":   {badSchemas(), []string{chart.CodeSchemaRef, chart.CodeSchema}},
	}
	total := 0
	for name, family := range families {
		total += len(family.archives)
		if len(family.archives) < 29 {
			t.Errorf("family %s has only %d", name, len(family.archives))
		}
		for _, h := range family.archives {
			t.Run(name+"/"+h.name, func(t *testing.T) {
				_, err := chart.Check(h.archive)
				p, ok := problem.From(err)
				if !ok || !slices.Contains(family.codes, p.Code) || p.Status < 400 || p.Status > 499 || p.Field != "chart" {
					t.Errorf("got %v, want a problem with one of %v", err, family.codes)
				}
				if strings.ContainsFunc(fmt.Sprint(err), func(r rune) bool { return r < ' ' }) {
					t.Errorf("the error carries control characters: %q", err)
				}
			})
		}
	}
	if total < 200 {
		t.Errorf("only %d archives", total)
	}
}

// alsoPacked doubles archives: each again as a subchart of a good chart.
func alsoPacked(archives []hostile) []hostile {
	for _, h := range slices.Clone(archives) {
		archives = append(archives, hostile{h.name + ", packed", packedIn(h.archive)})
	}
	return archives
}

func traversal(t *testing.T) []hostile {
	t.Helper()
	names := []string{
		"../evil", "..", ".", "/etc/passwd", "//etc/passwd", "web/../evil", "web/../../evil", "web/..", "web//evil", "./web/evil", "web/./evil",
		"web/templates/../../../evil", `web\..\evil`, `web/..\evil`, `\\host\evil`, "C:/evil", "web/C:/evil", "web/c:evil", "web/evil\n", "web/\x1b[2Jevil",
		"web/\xff\xfe", "other/evil", "evil", "web/Chart.yaml", "web/evil/", "web",
	}
	var all []hostile
	for _, name := range names {
		all = append(all, hostile{fmt.Sprintf("%q", name), packed(entry{name: name, body: "evil"})})
	}
	all = append(all,
		hostile{"first", zip(tarOf(entry{name: "../evil"}, entry{name: "web/Chart.yaml", body: metadata}))},
		hostile{"directory", packed(entry{name: "web/../../evil/", flag: '5'})},
		hostile{"absolute directory", packed(entry{name: "/", flag: '5'})},
		hostile{"long", pax(t, "web/"+strings.Repeat("long/", 300)+"evil", nil)},
	)
	return alsoPacked(all)
}

func links() []hostile {
	var all []hostile
	for flag, name := range map[byte]string{
		'1': "hard link", '2': "symbolic link", '3': "character device", '4': "block device", '6': "fifo", '7': "contiguous", 'S': "sparse", 'D': "dump", 'M': "volume", 'Z': "vendor's",
	} {
		for _, target := range []string{"/proc/self/environ", "../../../evil", "web/Chart.yaml"} {
			all = append(all, hostile{name + " to " + target, packed(entry{name: "web/values.yaml", flag: flag, link: target})})
		}
	}
	return alsoPacked(all)
}

func bombs() []hostile {
	noise := noise()
	var all []hostile
	add := func(name string, archive []byte) { all = append(all, hostile{name, archive}) }

	for _, mib := range []int{2, 3, 4, 5} {
		add(fmt.Sprintf("%d MiB of zeros", mib), packed(entry{name: "web/zeros", body: strings.Repeat("\x00", mib<<20)}))
		add(fmt.Sprintf("%d MiB of text", mib), packed(entry{name: "web/text", body: strings.Repeat("swell", mib<<20/5)}))
		add(fmt.Sprintf("%d MiB of padding", mib), zip(append(tarOf(entry{name: "web/Chart.yaml", body: metadata}), make([]byte, mib<<20)...)))
		add(fmt.Sprintf("%d MiB in a global header", mib), packed(entry{name: "g", flag: 'g', body: strings.Repeat("x", mib<<20)}))
	}
	for _, files := range []int{5, 6, 8} { // each file is fine, and so is the ratio
		var entries []entry
		for i := range files {
			entries = append(entries, entry{name: fmt.Sprintf("web/%d", i), body: string(noise[:len(noise)/10]) + strings.Repeat("s", 4<<20)})
		}
		add(fmt.Sprintf("%d files", files), packed(entries...))
	}
	for _, archives := range []int{3, 4, 6} { // each archive is fine
		var entries []entry
		for i := range archives {
			sub := packed(entry{name: "web/x", body: string(noise[:200<<10]) + strings.Repeat("s", 4<<20)}, entry{name: "web/y", body: strings.Repeat("s", 4<<20)})
			entries = append(entries, entry{name: fmt.Sprintf("web/charts/%d.tgz", i), body: string(sub)})
		}
		add(fmt.Sprintf("%d archives in one", archives), packed(entries...))
	}
	for _, claims := range []int64{5<<20 + 1, 1 << 30, 1 << 32} {
		add(fmt.Sprintf("claims %d bytes", claims), packed(entry{name: "web/x", claims: claims}))
	}
	for _, n := range []int{10_000, 20_000, 30_000} {
		entries := make([]entry, n)
		for i := range entries {
			entries[i] = entry{name: fmt.Sprintf("web/%x/%d", noise[i*8:i*8+8], i)} // names that do not shrink
		}
		add(fmt.Sprintf("%d entries", n), packed(entries...))
	}
	for _, depth := range []int{9, 12, 50} {
		archive := packed()
		for range depth {
			archive = packedIn(archive)
		}
		add(fmt.Sprintf("%d deep", depth), archive)
	}
	for _, size := range []int{8<<20 + 1, 9 << 20} {
		add(fmt.Sprintf("%d packed bytes", size), append(packed(), make([]byte, size)...))
		add(fmt.Sprintf("%d bytes of noise", size), append(packed(entry{name: "web/x", body: string(noise)}), make([]byte, size)...))
	}
	members := packed()
	for range 100 {
		members = append(members, zip(make([]byte, 1<<20))...)
	}
	add("many members", members)
	add("metadata", withMetadata(metadata+strings.Repeat("# x\n", 100<<10)))
	for _, claims := range []string{"1000", "1000000", "1000000000000"} {
		add("sparse file of "+claims, sparse(map[string]string{
			"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "web/x", "GNU.sparse.realsize": claims,
		}))
	}
	return all
}

// sparse writes PAX records that archive/tar reads but does not write: a file of nothing but a hole.
func sparse(records map[string]string) []byte {
	var body strings.Builder
	for key, value := range records {
		length := len(key) + len(value) + 3
		length += len(fmt.Sprint(length + 2))
		fmt.Fprintf(&body, "%d %s=%s\n", length, key, value)
	}
	return packed(entry{name: "PaxHeaders.0/x", flag: 'x', body: body.String()}, entry{name: "web/x", body: "0\n" + strings.Repeat("\x00", 510)})
}

func noise() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 4<<20)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

func malformed() []hostile {
	good := packed(entry{name: "web/values.yaml", body: string(noise()[:4096])})
	unpacked := tarOf(entry{name: "web/Chart.yaml", body: metadata})
	all := []hostile{
		{"empty", nil},
		{"text", []byte("apiVersion: v2")},
		{"unpacked", unpacked},
		{"zip", []byte("PK\x03\x04" + strings.Repeat("\x00", 100))},
		{"web page", []byte("<!doctype html><title>404</title>")},
		{"noise in gzip", zip(noise()[:4096])},
		{"text in gzip", zip([]byte("apiVersion: v2"))},
		{"archive in gzip in gzip", zip(good)},
		{"behind gzip", append(bytes.Clone(good), "more"...)},
		{"behind the end", zip(append(bytes.Clone(unpacked), "more"...))},
		{"second archive", zip(append(bytes.Clone(unpacked), unpacked...))},
		{"second member", append(bytes.Clone(good), good...)},
	}
	for i := range 24 {
		cut := len(good) * (i + 1) / 25
		all = append(all, hostile{fmt.Sprintf("cut at %d", cut), good[:cut]})
	}
	for _, at := range []int{0, 1, 2, 60, len(good) / 2, len(good) - 8, len(good) - 7, len(good) - 4, len(good) - 1} {
		flipped := bytes.Clone(good)
		flipped[at] ^= 0xff
		all = append(all, hostile{fmt.Sprintf("flipped at %d", at), flipped})
	}
	for name, at := range map[string]int{"checksum": 148, "size": 124, "magic and checksum": 150} {
		broken := bytes.Clone(unpacked)
		broken[at] = 'x'
		all = append(all, hostile{"broken " + name, zip(broken)})
	}
	negative := bytes.Clone(unpacked)
	copy(negative[124:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0")
	sum(negative[:512])
	return append(all, hostile{"negative size", zip(negative)})
}

func badMetadata() []hostile {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	all := map[string]string{
		"empty": "", "list": "- a\n", "scalar": "x", "tab": "\tname: x", "binary": "\x00\x01", "half": "name: {", "alias bomb": bomb + metadata,
		"deep": strings.Repeat("[", 20_000), "deep object": strings.Repeat("{a: ", 20_000), "unknown alias": "name: *x",
		"self alias": "name: &x [*x]", "no name": "apiVersion: v2\nversion: 1.0.0", "no version": "apiVersion: v2\nname: web",
		"no API version": "name: web\nversion: 1.0.0", "API version 3": "apiVersion: v3\nname: web\nversion: 1.0.0",
		"name of a path": "apiVersion: v2\nname: ../web\nversion: 1.0.0", "name of two": "apiVersion: v2\nname: a/b\nversion: 1.0.0",
		"name of a list": "apiVersion: v2\nname: [web]\nversion: 1.0.0", "name of spaces": "apiVersion: v2\nname: \"a b\"\nversion: 1.0.0",
		"long name":        "apiVersion: v2\nname: " + strings.Repeat("a", 300) + "\nversion: 1.0.0",
		"name of controls": "apiVersion: v2\nname: \"a\\e[2J\"\nversion: 1.0.0",
		"bad version":      "apiVersion: v2\nname: web\nversion: latest", "long version": "apiVersion: v2\nname: web\nversion: 1.0.0-" + strings.Repeat("a", 300),
		"other type": metadata + "type: plugin", "library": metadata + "type: library",
	}
	var archives []hostile
	for name, metadata := range all {
		archives = append(archives, hostile{name, withMetadata(metadata)})
	}
	archives = append(archives,
		hostile{"none", zip(tarOf(entry{name: "web/values.yaml", body: "a: 1"}))},
		hostile{"elsewhere", zip(tarOf(entry{name: "web/templates/Chart.yaml", body: metadata}))},
		hostile{"a subchart's", zip(tarOf(entry{name: "web/charts/sub/Chart.yaml", body: metadata}))},
		hostile{"no entries", zip(tarOf())},
	)
	return archives
}

func badSchemas() []hostile {
	all := map[string]string{
		"http":           `{"$ref": "http://127.0.0.1/x"}`,
		"https":          `{"$ref": "https://example.com/x#/definitions/y"}`,
		"file":           `{"$ref": "file:///etc/passwd"}`,
		"relative":       `{"$ref": "other.json"}`,
		"relative up":    `{"$ref": "../../other.json"}`,
		"absolute":       `{"$ref": "/etc/passwd"}`,
		"host":           `{"$ref": "//example.com/x"}`,
		"urn":            `{"$ref": "urn:x:y"}`,
		"by id":          `{"$id": "http://127.0.0.1/a/", "properties": {"x": {"$ref": "b"}}}`,
		"by inner id":    `{"properties": {"x": {"$id": "http://127.0.0.1/a/", "allOf": [{"$ref": "b"}]}}}`,
		"dynamic":        `{"$dynamicRef": "http://127.0.0.1/x#y"}`,
		"recursive":      `{"$recursiveRef": "http://127.0.0.1/x"}`,
		"metaschema":     `{"$schema": "http://127.0.0.1/meta"}`,
		"file as meta":   `{"$schema": "file:///etc/passwd"}`,
		"inner meta":     `{"$defs": {"x": {"$id": "y", "$schema": "http://127.0.0.1/meta"}}}`,
		"lookalike meta": `{"$schema": "http://json-schema.org.example.com/draft-07/schema#"}`,
		"twice":          `{"$ref": "#", "x": {"$ref": "http://127.0.0.1/", "$ref": "#"}}`,
		"escaped":        `{"\u0024ref": "http://127.0.0.1/"}`,
		"in a default":   `{"default": {"$ref": "http://127.0.0.1/"}, "properties": {"x": {"$ref": "#/default"}}}`,
		"in a list":      `{"anyOf": [{}, {"allOf": [[{"$ref": "http://127.0.0.1/"}]]}]}`,
		"behind a mark":  "\xef\xbb\xbf" + `{"$ref": "http://127.0.0.1/"}`,
		"deep":           strings.Repeat(`{"not":`, 300) + "{}" + strings.Repeat("}", 300),
		"very deep":      strings.Repeat("[", 100_000),
		"empty":          "",
		"no JSON":        "type: object",
		"half":           `{"type": `,
		"two":            `{} {"$ref": "http://127.0.0.1/"}`,
		"UTF-16":         "\xff\xfe{\x00}\x00",
	}
	var archives []hostile
	for name, schema := range all {
		archives = append(archives, hostile{name, withSchema(schema)})
	}
	remote := `{"$ref": "http://127.0.0.1/"}`
	sub := entry{name: "web/values.schema.json", body: remote}
	return append(archives,
		hostile{"of a subchart", packed(entry{name: "web/charts/sub/values.schema.json", body: remote})},
		hostile{"of a subchart's subchart", packed(entry{name: "web/charts/sub/charts/subsub/values.schema.json", body: remote})},
		hostile{"of a packed subchart", packedIn(packed(sub))},
		hostile{"of a packed subchart's packed subchart", packedIn(packedIn(packed(sub)))},
		hostile{"of a packed subchart of a subchart", packed(entry{name: "web/charts/sub/charts/subsub-1.tgz", body: string(packed(sub))})},
		hostile{"elsewhere", packed(entry{name: "web/files/values.schema.json", body: remote})},
	)
}

func FuzzCheck(f *testing.F) {
	f.Add(packed())
	f.Add(packedIn(packed()))
	f.Add(withSchema(`{"type": "object"}`))
	for _, h := range slices.Concat(links(), malformed(), badMetadata(), badSchemas()) {
		f.Add(h.archive)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		meta, err := chart.Check(archive)
		if _, ok := problem.From(err); err != nil && !ok {
			t.Errorf("an error that is no problem: %v", err)
		}
		if err == nil && (meta.Name == "" || meta.Version == "") {
			t.Errorf("accepted without a name or a version: %+v", meta)
		}
		if _, err := chart.Schemas(archive); err != nil && meta.Name != "" {
			t.Errorf("checked, but its schemas cannot be read: %v", err)
		}
		defaults, err := chart.Defaults(archive)
		if _, ok := problem.From(err); err != nil && !ok {
			t.Errorf("an error that is no problem: %v", err)
		}
		if err == nil {
			_, _ = provenance.Explain(defaults, provenance.Values{Values: map[string]any{"a": map[string]any{"b": nil}, "web": "x"}}) // it may refuse, not panic
		}
	})
}
