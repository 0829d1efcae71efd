//go:build stack

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// The local AWS refuses what a role does not grant. This is the other half: what a role grants and its function never does in all the
// tests here is too much, unless it stands below with the reason.
var grantedUnused = map[string]string{
	"CheckCluster sqs:ReceiveMessage":             "Lambda itself polls the queue, with the function's role",
	"CheckCluster sqs:DeleteMessage":              "Lambda itself, as above",
	"CheckCluster sqs:GetQueueAttributes":         "Lambda itself, as above",
	"SendNotification sqs:ReceiveMessage":         "Lambda itself polls the queue, with the function's role",
	"SendNotification sqs:DeleteMessage":          "Lambda itself, as above",
	"SendNotification sqs:GetQueueAttributes":     "Lambda itself, as above",
	"CommentRun sqs:ReceiveMessage":               "Lambda itself polls the queue, with the function's role",
	"CommentRun sqs:DeleteMessage":                "Lambda itself, as above",
	"CommentRun sqs:GetQueueAttributes":           "Lambda itself, as above",
	"InstallRelay sqs:ReceiveMessage":             "Lambda itself polls the queue, with the function's role",
	"InstallRelay sqs:DeleteMessage":              "Lambda itself, as above",
	"InstallRelay sqs:GetQueueAttributes":         "Lambda itself, as above",
	"ProcessDelivery sqs:ReceiveMessage":          "Lambda itself polls the queue, with the function's role",
	"ProcessDelivery sqs:DeleteMessage":           "Lambda itself, as above",
	"ProcessDelivery sqs:GetQueueAttributes":      "Lambda itself, as above",
	"ReceiveWebhook states:SendTaskHeartbeat":     "a relay's heartbeat while a task waits, once a minute: no test here waits so long",
	"AwaitReport states:SendTaskSuccess":          "for a report that came before its task, or a task in another's place: a race that no test here can order",
	"AdmitDeployment s3:ListBucket":               "S3 says that an object is not there only to whom may list; without it a missing chart is a 403",
	"ImportCluster secretsmanager:PutSecretValue": "a creation whose answer was lost, and that is tried again, finds the secret there",
}

// checkPermissions compares what the functions called since the tests began with what template.yaml grants.
func (i *installation) checkPermissions(ctx context.Context) error {
	granted, err := grants(filepath.Join(i.root, "template.yaml"))
	if err != nil {
		return err
	}
	lines, err := i.logLines(ctx, i.began, time.Now().Add(time.Second), `"aws call"`)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, line := range lines {
		if call, ok := parseCall(line); ok {
			for _, action := range call.actions() {
				used[logicalName(call.Function)+" "+action] = true
			}
		}
	}
	if len(used) < 10 {
		return fmt.Errorf("the functions logged %d kinds of calls to AWS: is LogAwsCalls true in samconfig.toml's local?", len(used))
	}
	var faults []error
	for _, grant := range slices.Sorted(maps.Keys(granted)) {
		if !used[grant] && grantedUnused[grant] == "" {
			faults = append(faults, fmt.Errorf("granted, but never used: %s", grant))
		}
	}
	for grant := range grantedUnused {
		if !granted[grant] {
			faults = append(faults, fmt.Errorf("excused, but not granted: %s", grant))
		}
	}
	for _, action := range slices.Sorted(maps.Keys(used)) {
		if !granted[action] {
			faults = append(faults, fmt.Errorf("used, but not seen in the template: %s", action))
		}
	}
	return errors.Join(faults...)
}

// logicalName is that of a function: swell-CheckClusterFunction-0123 is CheckCluster.
func logicalName(function string) string {
	logical, _, _ := strings.Cut(strings.TrimPrefix(function, "swell-"), "Function-")
	return logical
}

var servicePrefix = map[string]string{"DynamoDB": "dynamodb", "Secrets Manager": "secretsmanager", "S3": "s3", "SFN": "states", "SQS": "sqs", "EventBridge": "events", "SNS": "sns", "ECR": "ecr"}

// actions are what IAM asks for the call.
func (c awsCall) actions() []string {
	prefix := servicePrefix[c.Service]
	if prefix == "" {
		prefix = c.Service
	}
	switch {
	case strings.HasPrefix(c.Operation, "Transact"):
		var actions []string
		for _, part := range c.Parts {
			if part != "ConditionCheck" {
				part += "Item"
			} else {
				part = "ConditionCheckItem"
			}
			actions = append(actions, prefix+":"+part)
		}
		return actions
	case c.Operation == "HeadObject":
		return []string{"s3:GetObject"}
	case len(c.Parts) == 1 && strings.HasPrefix(c.Parts[0], "index "):
		return []string{prefix + ":" + c.Operation + " " + c.Parts[0]}
	}
	return []string{prefix + ":" + c.Operation}
}

var indexName = regexp.MustCompile(`/index/(\w+)`)

// grants are "Function service:Action", and " index NAME" behind it where the resource is an index of the table.
func grants(template string) (map[string]bool, error) {
	raw, err := os.ReadFile(template)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Resources map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				Policies []yaml.Node `yaml:"Policies"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	all := map[string]bool{}
	for name, resource := range doc.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		for _, node := range resource.Properties.Policies {
			var policy struct {
				Statement []struct {
					Action   []string  `yaml:"Action"`
					Resource yaml.Node `yaml:"Resource"`
				} `yaml:"Statement"`
			}
			if err := node.Decode(&policy); err != nil {
				return nil, fmt.Errorf("reading the policies of %s: %w", name, err)
			}
			for _, statement := range policy.Statement {
				text, err := yaml.Marshal(&statement.Resource)
				if err != nil {
					return nil, err
				}
				suffixes := []string{""}
				if indexes := indexName.FindAllStringSubmatch(string(text), -1); indexes != nil {
					suffixes = nil
					for _, index := range indexes {
						suffixes = append(suffixes, " index "+index[1])
					}
				}
				for _, action := range statement.Action {
					for _, suffix := range suffixes {
						all[strings.TrimSuffix(name, "Function")+" "+action+suffix] = true
					}
				}
			}
		}
	}
	return all, nil
}
