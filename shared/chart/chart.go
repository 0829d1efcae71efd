// Package chart finds a chart, gets its archive, and says whether that archive is safe and installable, without Helm.
//
// A chart is a stranger's. Check reads the archive in memory, within a budget, before anybody unpacks or renders it; schemas that would
// make a validator fetch something are refused; what is fetched is fetched by the caller's guarded client.
// What Check cannot bound is the work that templates and schemas can cause: loading, validating and rendering belong in a child.
package chart

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/problem"
)

// MaxArchive is the largest archive, packed.
const MaxArchive = 8 << 20

// Codes of the problems about a chart itself.
const (
	CodeTooLarge       = "chart-too-large"
	CodeArchive        = "chart-archive-invalid"
	CodeMetadata       = "chart-metadata-invalid"
	CodeNotInstallable = "chart-not-installable"
	CodeSchemaRef      = "chart-schema-remote-ref"
	CodeSchema         = "chart-schema-invalid"
)

// Meta is what a chart says about itself in Chart.yaml.
type Meta struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	AppVersion  string `json:"appVersion,omitempty"`
	Type        string `json:"type,omitempty"`
	KubeVersion string `json:"kubeVersion,omitempty"`
	Description string `json:"description,omitempty"` // its first 1,000 characters
}

// Digest names an archive: "sha256:" and 64 hexadecimal digits.
func Digest(archive []byte) string {
	sum := sha256.Sum256(archive)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Check refuses an archive that is hostile, no chart, or not installable. It unpacks nothing to disk and renders nothing.
func Check(archive []byte) (Meta, error) {
	found, err := read(archive)
	if err != nil {
		return Meta{}, err
	}
	meta, err := parseMeta(found.root().metadata)
	if err != nil {
		return Meta{}, err
	}
	if meta.Type == "library" {
		return Meta{}, problem.Invalid(CodeNotInstallable, "chart %s is a library: other charts use it, nothing installs it", meta.Name).
			At("chart")
	}
	for _, schema := range found.schemas {
		if err := checkSchema(schema.name, schema.content); err != nil {
			return Meta{}, err
		}
	}
	return meta, nil
}

const (
	maxDescription = 1000
	maxVersion     = 256
)

// NameForm is stricter than Helm, which takes any file name: it becomes part of names in Kubernetes.
var NameForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$`)

// chartYAML has no embedded struct: only for fields of its own does the decoder take a number for a text, as Helm does (appVersion: 1.5).
type chartYAML struct {
	APIVersion  string `json:"apiVersion"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	AppVersion  string `json:"appVersion"`
	Type        string `json:"type"`
	KubeVersion string `json:"kubeVersion"`
	Description string `json:"description"`
}

func parseMeta(metadata []byte) (Meta, error) {
	if metadata == nil {
		return Meta{}, problem.Invalid(CodeMetadata, "the archive has no Chart.yaml in its top directory").At("chart")
	}
	var m chartYAML
	if err := yaml.Unmarshal(metadata, &m); err != nil {
		return Meta{}, problem.Invalid(CodeMetadata, "Chart.yaml cannot be read: %s", Printable(err.Error(), maxDescription)).At("chart")
	}
	switch {
	case m.APIVersion != "v1" && m.APIVersion != "v2":
		return Meta{}, problem.Invalid(CodeMetadata, "Chart.yaml has an apiVersion that is neither v1 nor v2").At("chart")
	case !NameForm.MatchString(m.Name):
		return Meta{}, problem.Invalid(CodeMetadata, "Chart.yaml has no name, or one with other characters than letters, digits, dots, dashes and underscores").At("chart")
	case m.Type != "" && m.Type != "application" && m.Type != "library":
		return Meta{}, problem.Invalid(CodeMetadata, "Chart.yaml has a type that is neither application nor library").At("chart")
	}
	if _, err := semver.NewVersion(m.Version); err != nil || len(m.Version) > maxVersion {
		return Meta{}, problem.Invalid(CodeMetadata, "Chart.yaml has no version, or one that is not a semantic version").At("chart")
	}
	return Meta{
		Name: m.Name, Version: m.Version, Type: m.Type,
		AppVersion:  Printable(m.AppVersion, maxVersion),
		KubeVersion: Printable(m.KubeVersion, maxVersion),
		Description: Printable(m.Description, maxDescription),
	}, nil
}

// Printable is the beginning of a stranger's text as far as it can be shown.
func Printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// DigestForm is that of the digest of an archive.
var DigestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Quoted is a stranger's name as it can be shown.
func Quoted(name string) string {
	return fmt.Sprintf("%q", Printable(name, 200))
}
