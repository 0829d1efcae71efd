package dynamo

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/run"
)

// All keys are built in this file and nowhere else. O is ORG#<org>.
//
//	item              PK                     SK
//	name → id         O                      NAME#cluster#<name>, NAME#group#<name>, NAME#deployment#<group>#<release name>
//	cluster           O                      CLUSTER#<id>
//	identity          IDENTITY               <kube-system uid>
//	group             O                      GROUP#<id>
//	membership        O                      MEMBER#<cluster>
//	chart repository  O                      REPOSITORY#<name>
//	receiver          O                      RECEIVER#<name>
//	source            O                      SOURCE#<name>
//	deployment        O                      DEPLOYMENT#<id>
//	generation        O#DEPLOYMENT#<id>      GEN#<n>
//	release           O#CLUSTER#<id>         RELEASE#<namespace>#<name>
//	watch             O#CLUSTER#<id>         WATCH#<namespace>#<name>
//	wait              O#CLUSTER#<id>         WAIT#<namespace>#<name>
//	next look         O#CLUSTER#<id>         LOOK
//	lease of a relay  O#CLUSTER#<id>         RELAYLEASE
//	plan              O#PLAN#<planHash>      PLAN
//	plan entry        O#PLAN#<planHash>      TARGET#<cluster>
//	run               O#RUN#<id>             RUN
//	run's counter     O#RUN#<id>             RUN#VERSION
//	draft of a plan   O#RUN#<id>             DRAFT
//	a run's turn      O#RUN#<id>             TURN
//	gate of a run     O#RUN#<id>             GATE#<wave>
//	step of a run     O#RUN#<id>             STEP#<cluster>#<state>#<attempt>, …#R<remedy>-<attempt>
//	target of a run   O#RUN#<id>             TARGET#<cluster>
//	idempotency key   O#DEDUP#idempotency    <hash of principal and key>
//	delivery          O#DEDUP#source         <source>#<id>
//	rule of a source  O#SOURCE#<name>        RULE#<group>/<release name>/<path>
//	comment           O#SOURCE#<name>        PULL#<number>#<group>/<release name>
//	notification      O#DEDUP#notification   <event>#<receiver>
//	API key           KEY                    <hash>
//
//	access pattern                            how
//	an entity by id                           Get PK, SK
//	an entity by name                         Get NAME#, then Get by id
//	an org's clusters, groups, deployments    Query O, prefix of SK
//	clusters and groups by name               Query O, NAME#cluster#, NAME#group#, then BatchGet
//	a group's deployments                     Query O, NAME#deployment#<group>#, then BatchGet
//	a cluster with its group                  BatchGet CLUSTER#, MEMBER#
//	whom a selector chooses                   Query O, CLUSTER#: all of them
//	a cluster's releases                      Query O#CLUSTER#<id>, RELEASE#
//	what a relay reported of a release        Get WATCH#
//	who waits for a cluster's relay           Query O#CLUSTER#<id>, WAIT#
//	a deployment's generations, newest first  Query O#DEPLOYMENT#<id>, backwards
//	an owner's releases                       Query GSI1: O#OWNER#<kind>#<id> by cluster (not consistent)
//	a run with targets and steps              Query O#RUN#<id>
//	an org's runs, newest first               Query GSI2: O#RUNS by time (not consistent)
//	a deployment's runs, newest first         Query GSI1: O#RUNSOF#deployment#<id> by time (not consistent)
//	a source's deliveries, newest first       Query GSI1: O#DELIVERIES#<source> by time (not consistent)
//	who follows an ECR repository             Query GSI2: ECR#<registry> (not consistent)
//	clusters that are due                     Query DUE: DUE#CLUSTER#<shard> up to now, then a conditional claim
//	groups to review                          Query DUE: DUE#GROUP#<shard> up to now, then a conditional claim
//	runs to sweep                             Query DUE: DUE#RUN#<shard> up to now, then Get
//
// The org is in every key but four: an identity is claimed once per installation, an API key says which org it is for, a push to an ECR registry is told to
// all orgs that follow it, and the DUE index is read by the tick alone, for all orgs, and projects keys only.

// The names of the indexes. GSI1 and GSI2 project everything, DUE its keys only.
const (
	indexGSI1 = "GSI1"
	indexGSI2 = "GSI2"
	indexDue  = "DUE"
)

// dueShards spreads the due index over partitions. To change it, raise it only: readers read all shards.
const dueShards = 4

type key struct{ PK, SK string }

func (k key) attributes() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: k.PK},
		"SK": &types.AttributeValueMemberS{Value: k.SK},
	}
}

// join makes one key of its parts. A part can hold no separator, so that no name reaches into another's keys.
func join(parts ...string) string {
	for i, p := range parts {
		if strings.ContainsAny(p, "#%") {
			parts[i] = url.QueryEscape(p)
		}
	}
	return strings.Join(parts, "#")
}

func orgPK(org string) string { return join("ORG", org) }

func nameKey(org string, kindAndName ...string) key {
	return key{orgPK(org), join(append([]string{"NAME"}, kindAndName...)...)}
}

func clusterNameKey(org, name string) key { return nameKey(org, "cluster", name) }
func groupNameKey(org, name string) key   { return nameKey(org, "group", name) }
func deploymentNameKey(org, groupID, releaseName string) key {
	return nameKey(org, "deployment", groupID, releaseName)
}
func deploymentNamePrefix(groupID string) string { return join("NAME", "deployment", groupID, "") }

func clusterKey(org, id string) key       { return key{orgPK(org), join("CLUSTER", id)} }
func identityKey(uid string) key          { return key{"IDENTITY", uid} }
func groupKey(org, id string) key         { return key{orgPK(org), join("GROUP", id)} }
func memberKey(org, clusterID string) key { return key{orgPK(org), join("MEMBER", clusterID)} }
func repositoryKey(org, name string) key  { return key{orgPK(org), join("REPOSITORY", name)} }
func receiverKey(org, name string) key    { return key{orgPK(org), join("RECEIVER", name)} }
func deploymentKey(org, id string) key    { return key{orgPK(org), join("DEPLOYMENT", id)} }

func generationPK(org, deploymentID string) string {
	return join("ORG", org, "DEPLOYMENT", deploymentID)
}
func generationKey(org, deploymentID string, n int) key {
	return key{generationPK(org, deploymentID), fmt.Sprintf("GEN#%08d", n)}
}

func releasePK(org, clusterID string) string { return join("ORG", org, "CLUSTER", clusterID) }
func releaseKey(org, clusterID, namespace, name string) key {
	return key{releasePK(org, clusterID), join("RELEASE", namespace, name)}
}
func watchKey(org, clusterID, namespace, name string) key {
	return key{releasePK(org, clusterID), join("WATCH", namespace, name)}
}
func waitKey(org, clusterID, namespace, name string) key {
	return key{releasePK(org, clusterID), join("WAIT", namespace, name)}
}
func lookKey(org, clusterID string) key { return key{releasePK(org, clusterID), "LOOK"} }
func relayLeaseKey(org, clusterID string) key {
	return key{releasePK(org, clusterID), "RELAYLEASE"}
}
func ownerPK(org, kind, id string) string { return join("ORG", org, "OWNER", kind, id) }

func planKey(org, planHash, clusterID string) key {
	return key{join("ORG", org, "PLAN", planHash), join("TARGET", clusterID)}
}

func planHeadKey(org, planHash string) key { return key{planKey(org, planHash, "").PK, "PLAN"} }

func runPK(org, id string) string      { return join("ORG", org, "RUN", id) }
func runKey(org, id string) key        { return key{runPK(org, id), "RUN"} }
func runVersionKey(org, id string) key { return key{runPK(org, id), "RUN#VERSION"} }
func turnKey(org, id string) key       { return key{runPK(org, id), "TURN"} }
func gateKey(org, id, wave string) key { return key{runPK(org, id), join("GATE", wave)} }
func draftKey(org, id string) key      { return key{runPK(org, id), "DRAFT"} }
func runsPK(org string) string         { return join("ORG", org, "RUNS") }
func runsOfPK(org, deploymentID string) string {
	return join("ORG", org, "RUNSOF", "deployment", deploymentID)
}
func runTimeSK(created time.Time, id string) string { return sortable(created) + "#" + id }
func targetKey(org, runID, clusterID string) key {
	return key{runPK(org, runID), join("TARGET", clusterID)}
}
func stepKey(org, runID string, s run.Step) key {
	attempt := fmt.Sprintf("%04d", s.Attempt)
	if s.Remedy > 0 {
		attempt = fmt.Sprintf("R%04d-%04d", s.Remedy, s.Attempt)
	}
	return key{runPK(org, runID), join("STEP", s.ClusterID, s.State, attempt)}
}

func idempotencyKey(org, id string) key {
	return key{join("ORG", org, "DEDUP", "idempotency"), id}
}

func sourceKey(org, name string) key { return key{orgPK(org), join("SOURCE", name)} }
func deliveryKey(org, source, id string) key {
	return key{join("ORG", org, "DEDUP", "source"), join(source, id)}
}
func deliveriesPK(org, source string) string { return join("ORG", org, "DELIVERIES", source) }
func ruleKey(org, source, rule string) key {
	return key{join("ORG", org, "SOURCE", source), join("RULE", rule)}
}
func commentKey(org, source string, pullRequest int, deployment string) key {
	return key{join("ORG", org, "SOURCE", source), join("PULL", strconv.Itoa(pullRequest), deployment)}
}

func notificationKey(org, event, receiver string) key {
	return key{join("ORG", org, "DEDUP", "notification"), join(event, receiver)}
}

func apiKeyKey(hash string) key { return key{"KEY", hash} }

func dueClustersPK(shard int) string { return "DUE#CLUSTER#" + strconv.Itoa(shard) }
func dueGroupsPK(shard int) string   { return "DUE#GROUP#" + strconv.Itoa(shard) }
func dueRunsPK(shard int) string     { return "DUE#RUN#" + strconv.Itoa(shard) }

func shardOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // it never fails
	return int(h.Sum32() % dueShards)
}

// orgAndID takes apart the key of an item found by the due index, which projects nothing else: O, CLUSTER#<id>; O, GROUP#<id>; or O#RUN#<id>, RUN.
func (k key) orgAndID() (org, id string, err error) {
	parts := strings.Split(k.PK, "#")
	switch {
	case len(parts) == 2 && strings.HasPrefix(k.SK, "CLUSTER#"):
		org, id = parts[1], strings.TrimPrefix(k.SK, "CLUSTER#")
	case len(parts) == 2 && strings.HasPrefix(k.SK, "GROUP#"):
		org, id = parts[1], strings.TrimPrefix(k.SK, "GROUP#")
	case len(parts) == 4 && parts[2] == "RUN":
		org, id = parts[1], parts[3]
	default:
		return "", "", fmt.Errorf("reading key %s %s: not one of a due item", k.PK, k.SK)
	}
	if org, err = url.QueryUnescape(org); err == nil {
		id, err = url.QueryUnescape(id)
	}
	return org, id, err
}

// parts takes a key apart into what join made it of.
func (k key) parts() (pk, sk []string, err error) {
	pk, sk = strings.Split(k.PK, "#"), strings.Split(k.SK, "#")
	for _, parts := range [][]string{pk, sk} {
		for i, p := range parts {
			if parts[i], err = url.QueryUnescape(p); err != nil {
				return nil, nil, fmt.Errorf("reading key %s %s: %w", k.PK, k.SK, err)
			}
		}
	}
	return pk, sk, nil
}

// sortable is a time whose text sorts as the time does.
func sortable(t time.Time) string { return t.UTC().Format(sortableLayout) }

const sortableLayout = "2006-01-02T15:04:05.000000000Z"
