package catalog

import (
	"bytes"
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxIndex   = 20 << 20
	maxSection = 4 << 20
	maxMarks   = 1 << 20 // signs that may each begin a node of YAML, of some 200 bytes in memory
)

// listed is one version of a chart in a repository's index.
type listed struct {
	Version string   `json:"version" yaml:"version"`
	URLs    []string `json:"urls" yaml:"urls"`
	Digest  string   `json:"digest" yaml:"digest"`
}

type indexError string

func (e indexError) Error() string { return string(e) }

// versionsIn reads one chart's versions from an index.yaml. An index of 20 MiB takes two seconds and 330 MB to parse as YAML, so only the lines
// about that chart are, where the index is laid out as Helm writes it; any other layout must be small. No versions means: not listed.
func versionsIn(index []byte, chart string) ([]listed, error) {
	if trimmed := bytes.TrimSpace(index); len(trimmed) > 0 && trimmed[0] == '{' {
		return fromJSON(trimmed, chart)
	}
	if part, regular := section(index, chart); regular {
		if part == nil {
			return nil, nil
		}
		var only map[string][]listed
		if err := parseSmall(part, &only); err == nil && len(only) == 1 {
			return only[chart], nil
		}
	}
	var whole struct {
		Entries map[string][]listed `yaml:"entries"`
	}
	if err := parseSmall(index, &whole); err != nil {
		return nil, err
	}
	if whole.Entries == nil {
		return nil, indexError("it has no entries")
	}
	return whole.Entries[chart], nil
}

func fromJSON(index []byte, chart string) ([]listed, error) {
	var whole struct {
		Entries map[string]json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(index, &whole); err != nil {
		return nil, indexError("it is not JSON")
	}
	if whole.Entries == nil {
		return nil, indexError("it has no entries")
	}
	raw, ok := whole.Entries[chart]
	if !ok {
		return nil, nil
	}
	var versions []listed
	if err := json.Unmarshal(raw, &versions); err != nil {
		return nil, indexError("its versions cannot be read")
	}
	return versions, nil
}

// parseSmall keeps the memory of a YAML document within about 250 MB. The parser itself refuses bombs of aliases.
func parseSmall(document []byte, into any) error {
	marks := 0
	for _, c := range []byte("\n,[{") {
		marks += bytes.Count(document, []byte{c})
	}
	if len(document) > maxSection || marks > maxMarks {
		return indexError("it is too large to read, and not laid out as Helm writes it")
	}
	if err := yaml.Unmarshal(document, into); err != nil {
		return indexError("it is not the index of a repository")
	}
	return nil
}

// section cuts the lines of one chart from an index whose entries stand one below the other, each on a line of its own. It says false of any
// other layout.
func section(index []byte, chart string) (part []byte, regular bool) {
	regular = sections(index, func(name string, lines []byte) (enough bool) {
		if name == chart {
			part = lines
		}
		return part != nil
	})
	return part, regular
}

// sections hands on the lines of each chart in turn, until that is enough.
func sections(index []byte, with func(chart string, lines []byte) (enough bool)) (regular bool) {
	entries, ok := after(index, "entries:")
	if !ok {
		return false
	}
	chart, start, offset, indent := "", -1, 0, -1
	for line := range bytes.Lines(entries) {
		begin := offset
		offset += len(line)
		depth, text := outline(line)
		item := strings.HasPrefix(text, "-") // a list may stand as deep as the key that it belongs to
		if indent < 0 && text != "" {
			if indent = depth; indent == 0 || item {
				return false
			}
		}
		if text == "" || depth > indent || depth == indent && item {
			continue
		}
		if start >= 0 && with(chart, entries[start:begin]) || depth < indent {
			return true
		}
		key, ok := strings.CutSuffix(text, ":")
		if !ok {
			return false
		}
		chart, start = strings.Trim(key, `"'`), begin
	}
	if start >= 0 {
		with(chart, entries[start:])
	}
	return indent > 0
}

// after is what follows the one line that says text.
func after(document []byte, text string) ([]byte, bool) {
	offset := 0
	for line := range bytes.Lines(document) {
		offset += len(line)
		if depth, got := outline(line); depth == 0 && got == text {
			return document[offset:], true
		}
	}
	return nil, false
}

// outline is how deep a line begins and what it says; a comment says nothing.
func outline(line []byte) (depth int, text string) {
	line = bytes.TrimRight(line, " \r\n")
	content := bytes.TrimLeft(line, " ")
	if len(content) == 0 || content[0] == '#' {
		return 0, ""
	}
	return len(line) - len(content), string(content)
}
