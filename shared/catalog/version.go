package catalog

import (
	"regexp"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
)

// pick chooses from versions as Helm does: the very string that is wanted, else the newest that meets it as a constraint; the newest stable one if
// nothing is wanted. It returns -1 where there is none. Versions that are not semantic are only found by their very string.
func pick(versions []string, want string) (int, error) {
	if i := slices.Index(versions, want); want != "" && i >= 0 {
		return i, nil
	}
	if len(want) > maxVersion {
		return -1, versionProblem("the version is longer than %d characters", maxVersion)
	}
	constraint := want
	if want == "" {
		constraint = "*"
	}
	meets, err := semver.NewConstraint(constraint)
	if err != nil {
		return -1, versionProblem("%s is neither a version nor a range of versions", chart.Quoted(want))
	}
	best, newest := -1, (*semver.Version)(nil)
	for i, s := range versions {
		v, err := semver.NewVersion(s)
		if err != nil || !meets.Check(v) {
			continue
		}
		if newest == nil || v.GreaterThan(newest) {
			best, newest = i, v
		}
	}
	return best, nil
}

// exact says whether a version names one version rather than a range.
func exact(version string) bool { return exactForm.MatchString(version) }

var exactForm = regexp.MustCompile(`^v?\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$`)

func versionProblem(format string, args ...any) *problem.Problem {
	return problem.Invalid(CodeVersion, format, args...).At("version").Try("Give a version such as 1.2.3, a range such as ^1.2, or none.")
}

func versionNotFound(ref Ref, want string) *problem.Problem {
	if want == "" {
		return problem.Invalid(CodeVersionNotFound, "chart %s has no stable version", ref).At("version").Try("Name a pre-release by its full version.")
	}
	return problem.Invalid(CodeVersionNotFound, "chart %s has no version %s", ref, chart.Quoted(want)).At("version").Try("Give a version that was published, a range such as ^1.2, or none.")
}
