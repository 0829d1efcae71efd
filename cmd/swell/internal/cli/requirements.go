package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/openapi"
)

// maxHealthChecks is more than the API takes.
const maxHealthChecks = 64 << 10

// requirementFlags say what a target must pass.
type requirementFlags struct {
	dependsOn    []string
	healthChecks string
	tests        bool
	testTimeout  time.Duration
}

func (f *requirementFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.dependsOn, "depends-on", nil, "releases of the group that must be in sync and healthy on a target first, such as database,cache; empty for none")
	flags.StringVar(&f.healthChecks, "health-checks", "", "a YAML file that lists rules in CEL for when objects are healthy; they replace those it has")
	flags.BoolVar(&f.tests, "tests", false, "run the chart's own tests on each target once its workloads are ready")
	flags.DurationVar(&f.testTimeout, "test-timeout", 0, "how long all of the chart's tests may take, such as 5m")
}

// set puts into request what the flags say.
func (f requirementFlags) set(a *app, cmd *cobra.Command, request *openapi.DeploymentRequest) error {
	changed := cmd.Flags().Changed
	if changed("depends-on") {
		names := append([]string{}, f.dependsOn...)
		request.DependsOn = &names
	}
	if changed("tests") || changed("test-timeout") {
		request.Tests = &openapi.ChartTests{Enabled: f.tests || !changed("tests"), TimeoutSeconds: int(f.testTimeout / time.Second)}
	}
	if !changed("health-checks") {
		return nil
	}
	raw, err := a.readFile(f.healthChecks, maxHealthChecks)
	if err != nil {
		return fmt.Errorf("reading the health checks: %w", err)
	}
	var rules []openapi.HealthCheck
	if err := yaml.UnmarshalStrict(raw, &rules); err != nil {
		return fmt.Errorf("reading the health checks of %s: %w", f.healthChecks, err)
	}
	request.HealthChecks = &rules
	return nil
}

// requirementsOf tells in a line each what a target must pass beside its workloads.
func requirementsOf(d openapi.Deployment) []string {
	var lines []string
	if len(d.DependsOn) > 0 {
		lines = append(lines, "depends on: "+strings.Join(d.DependsOn, ", "))
	}
	if len(d.HealthChecks) > 0 {
		kinds := make([]string, len(d.HealthChecks))
		for i, c := range d.HealthChecks {
			kinds[i] = strings.TrimSpace(c.Kind + " " + c.Name)
		}
		lines = append(lines, "health checks of: "+strings.Join(kinds, ", "))
	}
	if d.Tests != nil && d.Tests.Enabled {
		lines = append(lines, fmt.Sprintf("chart's tests: at most %d s", d.Tests.TimeoutSeconds))
	}
	return lines
}
