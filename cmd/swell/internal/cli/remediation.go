package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

// remediationFlags say what a run does about a target on which it fails.
type remediationFlags struct {
	policy openapi.Remediation
	atomic bool
}

func (f *remediationFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar((*string)(&f.policy.Strategy), "remediation", "", "what happens to a target that fails: none, rollback to the last healthy revision, or uninstall of a first install")
	flags.IntVar(&f.policy.Retries, "retries", 0, "how often a target that fails is tried again before that, at most 10")
	flags.BoolVar(&f.policy.RetryOnFailure, "retry-on-failure", false, "try the same again at once, without going back in between")
	flags.BoolVar(&f.policy.AcrossHandMade, "across-hand-made", false, "a rollback may go across a revision that a person made by hand")
	flags.BoolVar(&f.atomic, "atomic", false, "where one target fails, all return to what they were")
}

// set puts into request what the flags say; the parts of the policy that none names stay as they were.
func (f remediationFlags) set(cmd *cobra.Command, request *openapi.DeploymentRequest, was *openapi.Remediation) {
	changed := cmd.Flags().Changed
	if changed("atomic") {
		request.Atomic = &f.atomic
	}
	if !changed("remediation") && !changed("retries") && !changed("retry-on-failure") && !changed("across-hand-made") {
		return
	}
	policy := openapi.Remediation{}
	if was != nil {
		policy = *was
	}
	if changed("remediation") {
		policy.Strategy = f.policy.Strategy
	}
	if changed("retries") {
		policy.Retries = f.policy.Retries
	}
	if changed("retry-on-failure") {
		policy.RetryOnFailure = f.policy.RetryOnFailure
	}
	if changed("across-hand-made") {
		policy.AcrossHandMade = f.policy.AcrossHandMade
	}
	request.Remediation = &policy
}

// onFailure tells a policy in one line; empty: a target that fails stays as it is.
func onFailure(policy *openapi.Remediation, atomic bool) string {
	var words []string
	if policy != nil {
		words = notEmpty(string(policy.Strategy))
		if policy.Retries > 0 {
			tries := "tried again " + many(policy.Retries, "time")
			if policy.RetryOnFailure {
				tries += " at once"
			}
			words = append(words, tries)
		}
		if policy.AcrossHandMade {
			words = append(words, "also across what was made by hand")
		}
	}
	if atomic {
		words = append(words, "atomic")
	}
	return strings.Join(words, ", ")
}

// remedied tells what was done about a target's failure; empty: nothing.
func remedied(r *openapi.Remedy) string {
	if r == nil {
		return ""
	}
	back := "uninstall"
	if r.Action == openapi.RemedyActionRollback {
		back = fmt.Sprintf("rollback to revision %d", r.Revision)
	}
	switch why := because(r.Code, r.Cause); {
	case r.Status == openapi.RemedyStatusRefused, r.Action == "": // nothing was tried
		return "not remedied: " + why
	case r.Action == openapi.RemedyActionRetry:
		return "tried again after it had failed " + many(r.Tries, "time")
	case r.Status == openapi.RemedyStatusRunning:
		return back + " under way"
	case r.Status == openapi.RemedyStatusFailed:
		return strings.TrimSpace(back + " failed: " + why)
	case r.Action == openapi.RemedyActionRollback:
		return strings.Join(notEmpty(fmt.Sprintf("rolled back to revision %d, healthy", r.Revision), why), "; ")
	}
	return "uninstalled again"
}
