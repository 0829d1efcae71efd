package deployment

import (
	"reflect"
	"slices"
)

// DifferingPaths names, by path and without their contents, the values in which has is not want: "values.replicaCount".
func DifferingPaths(want, has map[string]any) []string {
	paths := differing("values", want, has)
	slices.Sort(paths)
	return paths
}

func differing(prefix string, want, has map[string]any) []string {
	var paths []string
	keys := map[string]bool{}
	for k := range want {
		keys[k] = true
	}
	for k := range has {
		keys[k] = true
	}
	for k := range keys {
		path := prefix + "." + k
		a, aMap := want[k].(map[string]any)
		b, bMap := has[k].(map[string]any)
		switch {
		case aMap && bMap:
			paths = append(paths, differing(path, a, b)...)
		case !reflect.DeepEqual(want[k], has[k]):
			paths = append(paths, path)
		}
	}
	return paths
}
