// Package sfn starts the state machines and looks at their executions.
package sfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// API is what is called of Step Functions: *sfn.Client.
type API interface {
	StartExecution(context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error)
	DescribeExecution(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
}

var _ API = (*sfn.Client)(nil)

// Machines are the installation's state machines, by name: that of their file in statemachines/.
type Machines struct {
	api    API
	prefix string
}

// New knows the machines whose ARN is arnPrefix and their name: "arn:aws:states:…:stateMachine:<stack>-".
func New(api API, arnPrefix string) *Machines { return &Machines{api: api, prefix: arnPrefix} }

// Open makes Machines of a configuration.
func Open(cfg aws.Config, arnPrefix string) *Machines {
	client := sfn.NewFromConfig(cfg)
	return New(calls{client.StartExecution, client.DescribeExecution}, arnPrefix)
}

// calls links two methods of the SDK's client. As an API itself the client would keep all its forty in a binary that also links
// text/template, which may call any method by its name: a megabyte of admit-deployment.
type calls struct {
	start    func(context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error)
	describe func(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
}

func (c calls) StartExecution(ctx context.Context, in *sfn.StartExecutionInput, opts ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error) {
	return c.start(ctx, in, opts...)
}

func (c calls) DescribeExecution(ctx context.Context, in *sfn.DescribeExecutionInput, opts ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error) {
	return c.describe(ctx, in, opts...)
}

// Start starts an execution of that name. One that exists already is a success: the name is the run's id.
func (m *Machines) Start(ctx context.Context, machine, name string, input any) error {
	raw, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("starting %s of machine %s: %w", name, machine, err)
	}
	_, err = m.api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(m.prefix + machine), Name: &name, Input: aws.String(string(raw))})
	var exists *types.ExecutionAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("starting %s of machine %s: %w", name, machine, err)
	}
	return nil
}

// Execution is how an execution stands.
type Execution struct {
	Status string // RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED, PENDING_REDRIVE
	Error  string
	Cause  string
}

// Describe looks at the execution of that name; found is false if it was never started, or is older than Step Functions remembers.
func (m *Machines) Describe(ctx context.Context, machine, name string) (e Execution, found bool, err error) {
	arn := strings.Replace(m.prefix, ":stateMachine:", ":execution:", 1) + machine + ":" + name
	out, err := m.api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	var unknown *types.ExecutionDoesNotExist
	if errors.As(err, &unknown) {
		return Execution{}, false, nil
	}
	if err != nil {
		return Execution{}, false, fmt.Errorf("looking at %s of machine %s: %w", name, machine, err)
	}
	return Execution{Status: string(out.Status), Error: aws.ToString(out.Error), Cause: aws.ToString(out.Cause)}, true, nil
}

// Alive says whether the execution of that name still runs, and whether there is one.
func (m *Machines) Alive(ctx context.Context, machine, name string) (alive, known bool, err error) {
	e, known, err := m.Describe(ctx, machine, name)
	return e.Status == string(types.ExecutionStatusRunning), known, err
}
