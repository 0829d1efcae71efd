// Package mask hides the secret ones among values where they are read, and puts them back where what was read is written.
package mask

import (
	"fmt"
	"strings"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/problem"
)

// Text stands where a secret value was. Written back at the same path it means unchanged.
const Text = "[masked]"

// MaxPaths bounds what a request may mark.
const MaxPaths = 200

// Paths say which values are secret, and all beneath them: auth.password, users[*].password.
type Paths []diff.Pattern

// Accept reads the paths of a request.
func Accept(paths []string) (Paths, error) {
	if len(paths) > MaxPaths {
		return nil, problem.Invalid("secret-path-invalid", "there are %d secret paths", len(paths)).At("secretPaths").Try("mark at most %d; a path takes all beneath it", MaxPaths)
	}
	return Parse(paths)
}

// Parse reads paths as a deployment has them. Items of a list move, so a path takes all of them.
func Parse(paths []string) (Paths, error) {
	secret := make(Paths, 0, len(paths))
	for i, path := range paths {
		pattern, err := diff.Parse(path)
		if err == nil {
			err = movable(pattern)
		}
		if err != nil {
			return nil, problem.Invalid("secret-path-invalid", "%s", err).At(fmt.Sprintf("secretPaths[%d]", i)).
				Try("write it as in auth.password, users[*].password or annotations[\"example.com/token\"]")
		}
		secret = append(secret, pattern)
	}
	return secret, nil
}

func movable(p diff.Pattern) error {
	for _, step := range p {
		if step.Key != "" || (step.Field == "" && step.Index != diff.AnyItem) {
			return fmt.Errorf("path %s names one item of a list, and items move", p)
		}
	}
	return nil
}

// Has says whether the value at path is secret.
func (secret Paths) Has(path diff.Path) bool {
	for _, pattern := range secret {
		if pattern.Matches(path) {
			return true
		}
	}
	return false
}

// Mask returns values with Text for every secret. Null and the empty string stay: that nothing is set is no secret.
func (secret Paths) Mask(values map[string]any) map[string]any {
	if values == nil {
		return nil
	}
	masked, _ := secret.At(nil, values).(map[string]any)
	return masked
}

// MaskEach is Mask for the values of each cluster.
func (secret Paths) MaskEach(overrides map[string]map[string]any) map[string]map[string]any {
	masked := make(map[string]map[string]any, len(overrides))
	for name, values := range overrides {
		masked[name] = secret.Mask(values)
	}
	return masked
}

// At is Mask for a part of values that lies at path.
func (secret Paths) At(path diff.Path, value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = secret.At(path.Field(key), item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = secret.At(path.To(diff.Step{Index: i}), item)
		}
		return out
	}
	if value == nil || value == "" || !secret.Has(path) {
		return value
	}
	return Text
}

// Changes masks what differs between two versions of values.
func (secret Paths) Changes(changes []diff.Change) []diff.Change {
	out := make([]diff.Change, len(changes))
	for i, c := range changes {
		c.Before, c.After = secret.At(c.Path, c.Before), secret.At(c.Path, c.After)
		out[i] = c
	}
	return out
}

// String says which paths are secret: that is none.
func (secret Paths) String() string { return strings.Join(secret.Strings(), ", ") }

// Strings are the paths as Parse reads them.
func (secret Paths) Strings() []string {
	paths := make([]string, 0, len(secret))
	for _, p := range secret {
		paths = append(paths, p.String())
	}
	return paths
}
