// Package event is what Swell tells others: one event for each change that somebody may want to act on. Their schemas are in events/schemas.
package event

import (
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// SchemaVersion rises when a field changes its meaning or goes. A field that is added raises nothing: its schema is published before it is sent.
const SchemaVersion = 1

// Source is what the bus has as the source of all events.
const Source = "swell"

// Event is one change. Its parts are there as its type says; nothing of it is a secret, and causes are redacted where they arise.
type Event struct {
	ID            string      `json:"id" doc:"The same for the same change, however often it is sent: what was seen before can be left."`
	Type          Type        `json:"type" doc:"What happened."`
	Org           string      `json:"org" doc:"The organization it happened in."`
	Time          time.Time   `json:"time" doc:"When it happened."`
	SchemaVersion int         `json:"schemaVersion" doc:"It rises when a field changes its meaning or goes, not when one is added."`
	Run           *Run        `json:"run,omitempty" doc:"The run it belongs to."`
	Outcome       *Outcome    `json:"outcome,omitempty" doc:"What the run's targets came to."`
	Target        *Target     `json:"target,omitempty" doc:"What the target came to."`
	Deployment    *Deployment `json:"deployment,omitempty" doc:"The deployment it is about; absent if there is none."`
	Generation    *Generation `json:"generation,omitempty" doc:"The generation that was accepted."`
	Release       *Release    `json:"release,omitempty" doc:"The release as Swell has it recorded."`
	Cluster       *Cluster    `json:"cluster,omitempty" doc:"The cluster it is about."`
	Group         *Group      `json:"group,omitempty" doc:"The cluster group it is about; absent if there is none."`
	Change        *GroupDelta `json:"change,omitempty" doc:"What became of the group."`
}

// Run says which one, and how far it is.
type Run struct {
	ID         string    `json:"id" doc:"The run's id: swell run get <id>."`
	Type       string    `json:"type" doc:"What it does: deploy, sync, remove, leave, check, plan, rollback, join."`
	Trigger    string    `json:"trigger" doc:"What started it: api, reconcile, source."`
	Actor      string    `json:"actor" doc:"Who started it."`
	Generation int       `json:"generation,omitempty" doc:"The generation of the deployment that it brings to the targets."`
	Status     string    `json:"status,omitempty" doc:"How far it is; absent where the event is about one target."`
	CreatedAt  time.Time `json:"createdAt,omitzero" doc:"When it was accepted."`
	StartedAt  time.Time `json:"startedAt,omitzero" doc:"When it began."`
	EndedAt    time.Time `json:"endedAt,omitzero" doc:"When it ended."`
	Code       string    `json:"code,omitempty" doc:"Why the run as a whole failed; absent if single targets did."`
	Cause      string    `json:"cause,omitempty" doc:"The raw cause that goes with code."`
}

// Outcome counts targets by their last status, and names the first that did not succeed.
type Outcome struct {
	Targets     int       `json:"targets" doc:"How many targets the run had."`
	Succeeded   int       `json:"succeeded" doc:"How many succeeded."`
	Failed      int       `json:"failed" doc:"How many failed."`
	Unreachable int       `json:"unreachable" doc:"How many were left for later, since their cluster did not answer."`
	Reverted    int       `json:"reverted" doc:"How many were changed, did not fail, and were taken back, since another failed or somebody asked for it."`
	Canceled    int       `json:"canceled" doc:"How many nobody came to before the run was canceled."`
	Superseded  int       `json:"superseded" doc:"How many a newer run took over."`
	Failures    []Failure `json:"failures" doc:"The targets that failed or were unreachable, by cluster: the first 20."`
}

// Failure is one target that did not succeed.
type Failure struct {
	Cluster Cluster `json:"cluster" doc:"Where."`
	Code    string  `json:"code" doc:"Why, stable: docs/problems.md."`
	Cause   string  `json:"cause" doc:"The raw cause, in the words of Helm, Kubernetes or the provider."`
	Remedy  *Remedy `json:"remedy,omitempty" doc:"What was done about it; absent if nothing was."`
}

// Remedy is what was done about a failure.
type Remedy struct {
	Action   string `json:"action" doc:"What was done: rollback, uninstall, or the same again."`
	Revision int    `json:"revision,omitempty" doc:"The revision of Helm's that it went back to."`
	Status   string `json:"status" doc:"What it came to: Succeeded, Failed, Refused; Running where the run ended over it."`
}

// Target is the outcome on one cluster.
type Target struct {
	Action     string    `json:"action" doc:"What was done: install, upgrade, rollback, repair, uninstall, none; empty if it never came to it."`
	Status     string    `json:"status" doc:"What it came to."`
	Code       string    `json:"code,omitempty" doc:"Why it did not succeed, stable: docs/problems.md."`
	Cause      string    `json:"cause,omitempty" doc:"The raw cause that goes with code."`
	Revision   int       `json:"revision,omitempty" doc:"Helm's revision after the run."`
	Remedy     *Remedy   `json:"remedy,omitempty" doc:"What was done about a failure; absent if nothing was."`
	LeftBehind bool      `json:"leftBehind" doc:"Something of the release stays on the cluster that nobody asked for."`
	StartedAt  time.Time `json:"startedAt,omitzero" doc:"When the run came to it; absent if it never did."`
	EndedAt    time.Time `json:"endedAt,omitzero" doc:"When it ended."`
}

// Deployment says which one.
type Deployment struct {
	ID          string `json:"id" doc:"The deployment's id."`
	ReleaseName string `json:"releaseName" doc:"Its name in the group, and of its release on every cluster; empty if it is gone by now."`
}

// Generation is an accepted version of a deployment's intent.
type Generation struct {
	Number       int    `json:"number" doc:"Its number."`
	ChartName    string `json:"chartName" doc:"The chart's name."`
	ChartVersion string `json:"chartVersion" doc:"The chart's version."`
	ChartDigest  string `json:"chartDigest" doc:"The digest of the chart's archive."`
	CreatedBy    string `json:"createdBy" doc:"Who asked for it."`
	RunID        string `json:"runId" doc:"The run that brings it to the targets."`
}

// Release is one release of Helm's on one cluster.
type Release struct {
	Namespace     string    `json:"namespace" doc:"Its namespace."`
	Name          string    `json:"name" doc:"Its name."`
	Revision      int       `json:"revision,omitempty" doc:"Helm's revision that was last seen."`
	Health        string    `json:"health,omitempty" doc:"Whether its workloads run: HEALTHY, UNHEALTHY, PROGRESSING, UNKNOWN."`
	HealthMessage string    `json:"healthMessage,omitempty" doc:"Why it is not healthy, in the cluster's words."`
	Drift         *Drift    `json:"drift,omitempty" doc:"In what it differs from its manifest."`
	At            time.Time `json:"at,omitzero" doc:"When it was seen so."`
}

// Drift counts what differs; what exactly is answered by the API.
type Drift struct {
	Objects int       `json:"objects" doc:"How many objects differ or are missing."`
	Fields  int       `json:"fields" doc:"How many fields differ, over all objects."`
	Since   time.Time `json:"since" doc:"Since when something differs."`
}

// Cluster says which one, and why it could not be reached.
type Cluster struct {
	ID    string    `json:"id" doc:"The cluster's id."`
	Name  string    `json:"name" doc:"Its name; empty if it is gone by now."`
	Cause string    `json:"cause,omitempty" doc:"Why it could not be reached."`
	Since time.Time `json:"since,omitzero" doc:"Since when that is so."`
}

// Group says which one.
type Group struct {
	ID   string `json:"id" doc:"The cluster group's id."`
	Name string `json:"name" doc:"Its name; empty if it is gone by now."`
}

// GroupDelta is what became of a group.
type GroupDelta struct {
	Kind    string `json:"kind" doc:"created, changed or removed."`
	Members int    `json:"members" doc:"How many members it names; 0 for one with a selector."`
	Version int64  `json:"version" doc:"Of the group; it rises with every change."`
}

// Type says what happened.
type Type string

// The types of events.
const (
	RunStarted         Type = "run.started"
	RunPaused          Type = "run.paused"
	RunResumed         Type = "run.resumed"
	RunSucceeded       Type = "run.succeeded"
	RunPartial         Type = "run.partial"
	RunFailed          Type = "run.failed"
	RunCanceled        Type = "run.canceled"
	RunSuperseded      Type = "run.superseded"
	TargetSucceeded    Type = "target.succeeded"
	TargetFailed       Type = "target.failed"
	TargetUnreachable  Type = "target.unreachable"
	TargetReverted     Type = "target.reverted"
	TargetCanceled     Type = "target.canceled"
	TargetSuperseded   Type = "target.superseded"
	ReleaseDrifted     Type = "release.drifted"
	ReleaseUndrifted   Type = "release.undrifted"
	ReleaseHealthy     Type = "release.healthy"
	ReleaseUnhealthy   Type = "release.unhealthy"
	ClusterImported    Type = "cluster.imported"
	ClusterUnreachable Type = "cluster.unreachable"
	ClusterReachable   Type = "cluster.reachable"
	ClusterRemoved     Type = "cluster.removed"
	DeploymentAccepted Type = "deployment.accepted"
	DeploymentRemoved  Type = "deployment.removed"
	GroupChanged       Type = "group.changed"
)

// Kind is what one type of event is about.
type Kind struct {
	Type  Type
	About string
	Parts []string // of Event, by their JSON names; one that ends in '?' may be absent
}

// Kinds are all types of events there are.
var Kinds = []Kind{
	{RunStarted, "A run began.", ofRun},
	{RunPaused, "A run was paused: it begins no further target.", ofRun},
	{RunResumed, "A paused run goes on.", ofRun},
	{RunSucceeded, "A run ended, and all its targets succeeded.", ofRunsEnd},
	{RunPartial, "A run ended, and some of its targets did not succeed.", ofRunsEnd},
	{RunFailed, "A run ended, and none of its targets succeeded; or it failed as a whole.", ofRunsEnd},
	{RunCanceled, "A run was canceled before it came to all its targets.", ofRunsEnd},
	{RunSuperseded, "A run ended since a newer one took its targets over.", ofRunsEnd},
	{TargetSucceeded, "A run succeeded on a cluster.", ofTarget},
	{TargetFailed, "A run failed on a cluster.", ofTarget},
	{TargetUnreachable, "A cluster did not answer a run, which left it for later.", ofTarget},
	{TargetReverted, "A run succeeded on a cluster and took it back, since it failed on another.", ofTarget},
	{TargetCanceled, "A run was canceled before it came to a cluster.", ofTarget},
	{TargetSuperseded, "A newer run took a cluster over.", ofTarget},
	{ReleaseDrifted, "The live objects of a release began to differ from its manifest.", ofRelease},
	{ReleaseUndrifted, "The live objects of a release are as its manifest says again.", ofRelease},
	{ReleaseHealthy, "The workloads of a release run, and did not before.", ofRelease},
	{ReleaseUnhealthy, "The workloads of a release do not run, and did before or had just been deployed.", ofRelease},
	{ClusterImported, "A cluster was imported.", ofCluster},
	{ClusterUnreachable, "A cluster stopped answering. What is recorded of it may be out of date.", ofCluster},
	{ClusterReachable, "A cluster answers again.", ofCluster},
	{ClusterRemoved, "A cluster was forgotten; nothing on it was touched.", ofCluster},
	{DeploymentAccepted, "A new generation of a deployment was accepted; a run brings it to the targets.", []string{"deployment", "group?", "generation"}},
	{DeploymentRemoved, "A deployment is gone: its releases were uninstalled or given up.", []string{"deployment", "group?"}},
	{GroupChanged, "A cluster group was created, changed or removed.", []string{"group", "change"}},
}

var (
	ofRun     = []string{"run", "deployment?", "group?"}
	ofRunsEnd = []string{"run", "outcome", "deployment?", "group?"}
	ofTarget  = []string{"run", "target", "cluster", "deployment?", "group?"}
	ofRelease = []string{"release", "cluster", "deployment?", "group?"}
	ofCluster = []string{"cluster"}
)

// Matches says whether a pattern is the type's: its name, its first part as in run.*, or * for all.
func (t Type) Matches(pattern string) bool {
	family, wild := strings.CutSuffix(pattern, "*")
	return string(t) == pattern || wild && (family == "" || strings.HasSuffix(family, ".") && strings.HasPrefix(string(t), family))
}

// ValidatePattern refuses a pattern that is no event's.
func ValidatePattern(pattern string) error {
	if slices.ContainsFunc(Kinds, func(k Kind) bool { return k.Type.Matches(pattern) }) {
		return nil
	}
	return problem.Invalid("event-unknown", "no event is called %q", pattern).At("events").
		Try("use the name of an event, such as run.failed; all of a family, such as run.*; or * (docs/events.md lists them)")
}
