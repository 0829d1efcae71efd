package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/dynamotest"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/workflow"
)

const org = "bench"

// scene is a table, a bucket and secrets of the bench's own on the local AWS, so that the stack's ticks leave its releases alone.
type scene struct {
	cfg     aws.Config
	root    aws.Credentials
	name    string // of table and bucket
	store   *dynamo.Store
	objects *bucket.Store
	keep    *secrets.Store
	secrets []string
}

func (b *bench) newScene(ctx context.Context) (*scene, error) {
	cfg, err := config.AWS(ctx)
	if err != nil {
		return nil, fmt.Errorf("reaching the local AWS (make bench does it): %w", err)
	}
	if cfg.BaseEndpoint == nil {
		return nil, errors.New("reaching the local AWS: AWS_ENDPOINT_URL is not set, and the bench is not for a real one")
	}
	root, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	s := &scene{cfg: cfg, root: root, name: "swell-bench-" + id.New()}
	s.store, s.objects, s.keep = dynamo.Open(cfg, s.name), bucket.Open(cfg, s.name), secrets.Open(cfg)
	if err := dynamotest.CreateTable(ctx, dynamodb.NewFromConfig(cfg), s.name); err != nil {
		return nil, err
	}
	if _, err := s.s3().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &s.name}); err != nil {
		return nil, fmt.Errorf("creating bucket %s: %w", s.name, err)
	}
	return s, nil
}

func (s *scene) s3() *s3.Client {
	return s3.NewFromConfig(s.cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

// close takes everything away again, as well as it can.
func (s *scene) close(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	_, _ = dynamodb.NewFromConfig(s.cfg).DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &s.name})
	kept, err := s.s3().ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.name})
	if err == nil {
		for _, object := range kept.Contents {
			_, _ = s.s3().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.name, Key: object.Key})
		}
		_, _ = s.s3().DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &s.name})
	}
	for _, name := range s.secrets {
		_, _ = secretsmanager.NewFromConfig(s.cfg).DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	}
}

// environment is a function's.
func (s *scene) environment() []string {
	return append(functionEnvironment(s.name, s.name), "AWS_ENDPOINT_URL="+*s.cfg.BaseEndpoint, "AWS_REGION="+s.cfg.Region,
		"AWS_ACCESS_KEY_ID="+s.root.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+s.root.SecretAccessKey)
}

// functionEnvironment is what every function is started with; later entries win.
func functionEnvironment(table, bucket string) []string {
	return []string{
		"TABLE_NAME=" + table, "BUCKET_NAME=" + bucket, "API_KEY_SECRET=none", "ALLOWED_NETWORKS=127.0.0.0/8", "MACHINE_ARN_PREFIX=none",
		"CHECKS_QUEUE_URL=none", "DELIVERIES_QUEUE_URL=none",
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none",
	}
}

// addCluster keeps a cluster, its credential, and a group of it alone whose id is the cluster's.
func (s *scene) addCluster(ctx context.Context, name string, credential kube.Credential) (cluster.Cluster, error) {
	c := cluster.Cluster{
		Org: org, ID: id.New(), Name: name, UID: id.New(), Runner: cluster.RunnerLambda, Status: cluster.Running, CreatedAt: time.Now().UTC(),
		Access: cluster.Access{Mode: cluster.AccessPublic, Endpoint: credential.Server},
	}
	c.Access.CredentialRef = cluster.SecretName(org, c.ID)
	raw, err := credential.Marshal()
	if err != nil {
		return c, err
	}
	s.secrets = append(s.secrets, c.Access.CredentialRef)
	if err := s.keep.Put(ctx, c.Access.CredentialRef, raw); err != nil {
		return c, err
	}
	if err := s.store.CreateCluster(ctx, c); err != nil {
		return c, err
	}
	_, err = s.store.CreateGroup(ctx, group.Group{Org: org, ID: c.ID, Name: name, Members: []string{c.ID}, CreatedAt: time.Now().UTC()})
	return c, err
}

// admit writes what admit-deployment, resolve-targets and plan-targets would: a generation of a deployment, its run, the target and its plan
// entry. It returns deploy-release's event.
func (s *scene) admit(ctx context.Context, c cluster.Cluster, name string, archive []byte, values map[string]any) (workflow.TargetRef, error) {
	var none workflow.TargetRef
	d, err := s.store.FindDeploymentByName(ctx, org, c.ID, name)
	if err != nil {
		d = deployment.Deployment{Org: org, ID: id.New(), GroupID: c.ID, ReleaseName: name, Namespace: deployment.DefaultNamespace, Mode: deployment.Detect}
	}
	digest := bucket.DigestOf(archive)
	if err := s.objects.PutChart(ctx, org, digest, archive); err != nil {
		return none, err
	}
	ref, valuesDigest, err := s.objects.PutValues(ctx, org, values)
	if err != nil {
		return none, err
	}
	d, r, err := s.store.AdmitDeployment(ctx, dynamo.Admission{
		Deployment: d, ExpectedVersion: d.Version, Run: run.New(id.New(), run.Deploy, org, "api", "bench", time.Now().UTC()),
		Generation: deployment.Generation{Org: org, DeploymentID: d.ID, Number: d.Newest + 1, ValuesRef: ref, TimeoutSeconds: 60,
			Chart: deployment.Chart{Ref: digest, Name: "bench", Version: "1.0.0", Digest: digest}, CreatedAt: time.Now().UTC()},
	})
	if err != nil {
		return none, err
	}
	key := release.Key{Org: org, ClusterID: c.ID, Namespace: d.Namespace, Name: name}
	entry := release.PlanEntry{ClusterID: c.ID, ClusterName: c.Name, Key: key, Generation: d.Generation, Timeout: 60, ChartName: "bench",
		ChartVersion: "1.0.0", ChartDigest: digest, ValuesRef: ref, ValuesDigest: valuesDigest,
		InputHash: release.Input{ChartDigest: digest, ValuesDigest: valuesDigest, Name: name, Namespace: key.Namespace}.Hash()}
	entry.PlanHash = release.PlanHash(r.ID, []release.PlanEntry{entry})
	return workflow.TargetRef{Org: org, Run: r.ID, Plan: entry.PlanHash, Cluster: c.ID}, errors.Join(
		s.store.ClaimRelease(ctx, key, release.OwnedByDeployment(d.ID)),
		s.store.PutTargets(ctx, r, []run.Target{{ClusterID: c.ID, ClusterName: c.Name, Status: run.TargetWaiting}}),
		s.store.PutPlan(ctx, org, entry.PlanHash, []release.PlanEntry{entry}),
	)
}
