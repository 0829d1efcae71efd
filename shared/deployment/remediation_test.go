package deployment_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
)

func TestRemediationThatDoesNothingIsRefused(t *testing.T) {
	cases := map[string]struct {
		policy deployment.Remediation
		field  string // empty: it is taken
	}{
		"nothing asked":            {deployment.Remediation{}, ""},
		"none":                     {deployment.Remediation{Strategy: deployment.Leave}, ""},
		"rollback":                 {deployment.Remediation{Strategy: deployment.RollBack}, ""},
		"rollback after tries":     {deployment.Remediation{Strategy: deployment.RollBack, Retries: 10, RetryOnFailure: true}, ""},
		"uninstall between tries":  {deployment.Remediation{Strategy: deployment.UninstallBack, Retries: 1}, ""},
		"tries alone":              {deployment.Remediation{Retries: 3, RetryOnFailure: true}, ""},
		"across a person's work":   {deployment.Remediation{Strategy: deployment.RollBack, AcrossHandMade: true}, ""},
		"unknown strategy":         {deployment.Remediation{Strategy: "pray"}, "remediation.strategy"},
		"too many tries":           {deployment.Remediation{Strategy: deployment.RollBack, Retries: 11}, "remediation.retries"},
		"fewer than none":          {deployment.Remediation{Strategy: deployment.RollBack, Retries: -1}, "remediation.retries"},
		"at once, but never":       {deployment.Remediation{Strategy: deployment.RollBack, RetryOnFailure: true}, "remediation.retryOnFailure"},
		"no way back between":      {deployment.Remediation{Retries: 2}, "remediation.retries"},
		"across without rollback":  {deployment.Remediation{AcrossHandMade: true}, "remediation.acrossHandMade"},
		"across with an uninstall": {deployment.Remediation{Strategy: deployment.UninstallBack, AcrossHandMade: true}, "remediation.acrossHandMade"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.policy.Checked()
			if c.field == "" {
				if err != nil || got.Strategy == "" {
					t.Fatal(got, err)
				}
				return
			}
			p, ok := problem.From(err)
			if !ok || p.Code != "remediation-invalid" || p.Field != c.field || p.Remedy == "" {
				t.Errorf("got %+v, want the field %s", p, c.field)
			}
		})
	}
}
