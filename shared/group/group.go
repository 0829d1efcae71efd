// Package group is the named set of clusters that deployments target.
package group

import (
	"regexp"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
)

// MaxMembers bounds a group: one batch of a roll-out, and what fits a state's payload.
const MaxMembers = 500

// Group is a named set of clusters. A cluster is a member of at most one.
type Group struct {
	Org       string
	ID        string
	Name      string
	Members   []string          // cluster ids, sorted; of a group with a selector, those that matched when it was read
	Selector  *cluster.Selector // nil: members are named. Else whoever matches is a member, of any number of such groups
	Reconcile Reconcile
	Version   int64 // rises with every accepted change
	CreatedAt time.Time
	CreatedBy string
}

// Reconcile says how often the members are looked at, and when what is found may be corrected without a person.
type Reconcile struct {
	Every   time.Duration // 0: the installation's default
	Windows []Window      // none: at any time
}

// Window is a weekly time. Outside every allow window, where there is one, and inside any deny window nothing is corrected.
type Window struct {
	Deny     bool
	Days     []time.Weekday // on which it begins; none: every day
	From, To string         // 15:04 in Zone, empty: the day's begin and end; To before From ends on the next day
	Zone     string         // such as Europe/Budapest; empty: UTC
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)

// Validate finds what a user got wrong in a group.
func (g Group) Validate() error {
	if !nameRule.MatchString(g.Name) {
		return problem.Invalid("group-name-invalid", "cluster group name %q is not valid", g.Name).At("name").
			Try("use at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit")
	}
	if err := g.Fits(); err != nil {
		return err
	}
	if err := g.Reconcile.Validate(); err != nil {
		return err
	}
	if g.Selector != nil {
		return g.Selector.Validate("selector")
	}
	seen := map[string]bool{}
	for _, m := range g.Members {
		if seen[m] {
			return problem.Invalid("member-twice", "cluster %q is named twice", m).At("members").Try("name each cluster once")
		}
		seen[m] = true
	}
	return nil
}

// Fits refuses more members than a run can have targets. A selector may come to choose so many long after it was accepted.
func (g Group) Fits() error {
	switch {
	case len(g.Members) <= MaxMembers:
		return nil
	case g.Selector != nil:
		return problem.Invalid("too-many-members", "the selector of cluster group %q chooses %d clusters", g.Name, len(g.Members)).At("selector").
			Try("narrow it: a group has at most %d members", MaxMembers)
	default:
		return problem.Invalid("too-many-members", "%d members are given", len(g.Members)).At("members").Try("use at most %d", MaxMembers)
	}
}

// Has says whether the cluster is a member now.
func (g Group) Has(c cluster.Cluster) bool {
	if g.Selector != nil {
		return g.Selector.Matches(c.Labels)
	}
	return slices.Contains(g.Members, c.ID)
}

// Change says who joins and who leaves when a group's members become want.
func (g Group) Change(want []string) (join, leave []string) {
	has, wanted := map[string]bool{}, map[string]bool{}
	for _, m := range g.Members {
		has[m] = true
	}
	for _, m := range want {
		wanted[m] = true
		if !has[m] {
			join = append(join, m)
		}
	}
	for _, m := range g.Members {
		if !wanted[m] {
			leave = append(leave, m)
		}
	}
	return join, leave
}
