package drift

import "github.com/swell-sh/swell/shared/release"

// Summary counts the objects and fields of findings.
func Summary(findings []Finding) release.Drift {
	type object struct{ apiVersion, kind, namespace, name string }
	var sum release.Drift
	seen := map[object]bool{}
	for _, f := range findings {
		seen[object{f.APIVersion, f.Kind, f.Namespace, f.Name}] = true
		if f.Op != Missing {
			sum.Fields++
		}
	}
	sum.Objects = len(seen)
	return sum
}
