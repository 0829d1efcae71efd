package openapi

import (
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
)

// GroupOf describes a group; members has its clusters by id.
func GroupOf(g group.Group, members map[string]cluster.Cluster) ClusterGroup {
	doc := ClusterGroup{ID: g.ID, Name: g.Name, CreatedAt: g.CreatedAt, CreatorName: g.CreatedBy, Selector: selectorOf(g.Selector), Reconcile: reconcileOf(g.Reconcile)}
	for _, id := range g.Members {
		c := members[id]
		doc.Members = append(doc.Members, Member{
			ID: id, Name: c.Name, Cloud: c.Cloud, Distribution: c.Distribution, Status: ClusterStatus(c.Status), StatusMessage: c.StatusMessage,
		})
	}
	return doc
}

func selectorOf(s *cluster.Selector) *Selector {
	if s == nil {
		return nil
	}
	doc := &Selector{MatchLabels: s.MatchLabels}
	for _, r := range s.MatchExpressions {
		doc.MatchExpressions = append(doc.MatchExpressions, SelectorRequirement{Key: r.Key, Operator: SelectorOperator(r.Operator), Values: r.Values})
	}
	return doc
}

func reconcileOf(r group.Reconcile) *Reconcile {
	doc := &Reconcile{IntervalSeconds: int(r.Interval() / time.Second)}
	for _, w := range r.Windows {
		window := Window{Effect: WindowEffectAllow, From: w.From, To: w.To, TimeZone: w.Zone}
		if w.Deny {
			window.Effect = WindowEffectDeny
		}
		for _, d := range w.Days {
			window.Days = append(window.Days, Day(strings.ToLower(d.String()[:3])))
		}
		doc.Windows = append(doc.Windows, window)
	}
	return doc
}

// ApplyTo returns the group as the request wants it. The members that a selector chooses are still to be found.
func (b ClusterGroupRequest) ApplyTo(g group.Group) (group.Group, error) {
	switch {
	case b.Selector != nil && b.Members != nil:
		return g, problem.Invalid("members-and-selector", "members and a selector are given").At("selector").Try("name the members, or choose them by a selector")
	case b.Selector == nil && b.Members == nil:
		return g, problem.Invalid("missing-field", "members is missing, and so is a selector").At("members").Try("name the members, or choose them by a selector")
	}
	g.Name, g.Members, g.Selector = b.Name, slices.Sorted(slices.Values(b.Members)), b.Selector.selector()
	g.Reconcile = b.Reconcile.reconcile()
	return g, nil
}

func (s *Selector) selector() *cluster.Selector {
	if s == nil {
		return nil
	}
	out := &cluster.Selector{MatchLabels: s.MatchLabels}
	for _, r := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, cluster.Requirement{Key: r.Key, Operator: cluster.Operator(r.Operator), Values: r.Values})
	}
	return out
}

func (r *Reconcile) reconcile() group.Reconcile {
	if r == nil {
		return group.Reconcile{}
	}
	out := group.Reconcile{Every: time.Duration(r.IntervalSeconds) * time.Second}
	for _, w := range r.Windows {
		window := group.Window{Deny: w.Effect == WindowEffectDeny, From: w.From, To: w.To, Zone: w.TimeZone}
		for _, d := range w.Days {
			window.Days = append(window.Days, weekdays[d])
		}
		out.Windows = append(out.Windows, window)
	}
	return out
}

var weekdays = map[Day]time.Weekday{
	DayMon: time.Monday, DayTue: time.Tuesday, DayWed: time.Wednesday, DayThu: time.Thursday, DayFri: time.Friday, DaySat: time.Saturday, DaySun: time.Sunday,
}
