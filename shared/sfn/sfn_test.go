package sfn_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	swellsfn "github.com/swell-sh/swell/shared/sfn"
)

const prefix = "arn:aws:states:eu-north-1:123456789012:stateMachine:swell-"

type client struct {
	start    func(*sfn.StartExecutionInput) error
	describe func(arn string) (*sfn.DescribeExecutionOutput, error)
}

var _ swellsfn.API = client{}

func (c client) StartExecution(_ context.Context, in *sfn.StartExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error) {
	return &sfn.StartExecutionOutput{}, c.start(in)
}

func (c client) DescribeExecution(_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error) {
	return c.describe(*in.ExecutionArn)
}

func TestStart(t *testing.T) {
	denied := errors.New("denied")
	for name, c := range map[string]struct{ answer, want error }{
		"new":          {nil, nil},
		"there is one": {&types.ExecutionAlreadyExists{}, nil},
		"denied":       {denied, denied},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			m := swellsfn.New(client{start: func(in *sfn.StartExecutionInput) error {
				got = []string{*in.StateMachineArn, *in.Name, *in.Input}
				return c.answer
			}}, prefix)
			err := m.Start(t.Context(), "deploy", "run-1", map[string]string{"org": "a", "run": "run-1"})
			if !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
			if diff := cmp.Diff([]string{prefix + "deploy", "run-1", `{"org":"a","run":"run-1"}`}, got); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlive(t *testing.T) {
	cases := map[string]struct {
		out          *sfn.DescribeExecutionOutput
		err          error
		alive, known bool
	}{
		"runs":  {out: &sfn.DescribeExecutionOutput{Status: types.ExecutionStatusRunning}, alive: true, known: true},
		"ended": {out: &sfn.DescribeExecutionOutput{Status: types.ExecutionStatusTimedOut, Cause: aws.String("x")}, known: true},
		"never": {err: &types.ExecutionDoesNotExist{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := swellsfn.New(client{describe: func(arn string) (*sfn.DescribeExecutionOutput, error) {
				if arn != "arn:aws:states:eu-north-1:123456789012:execution:swell-deploy:run-1" {
					t.Errorf("asked for %s", arn)
				}
				return c.out, c.err
			}}, prefix)
			alive, known, err := m.Alive(t.Context(), "deploy", "run-1")
			if err != nil || alive != c.alive || known != c.known {
				t.Errorf("got alive %t, known %t, error %v", alive, known, err)
			}
		})
	}
}
