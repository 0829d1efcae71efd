package sfn

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// Tasks are the tasks of machines that wait for somebody to answer their token.
type Tasks struct {
	succeed   func(context.Context, *sfn.SendTaskSuccessInput, ...func(*sfn.Options)) (*sfn.SendTaskSuccessOutput, error)
	heartbeat func(context.Context, *sfn.SendTaskHeartbeatInput, ...func(*sfn.Options)) (*sfn.SendTaskHeartbeatOutput, error)
}

// OpenTasks makes Tasks of a configuration. It links two methods of the SDK's client, as calls does.
func OpenTasks(cfg aws.Config) *Tasks {
	client := sfn.NewFromConfig(cfg)
	return &Tasks{client.SendTaskSuccess, client.SendTaskHeartbeat}
}

// Wake ends the wait of the task that has the token. One that was woken before, or gave up, is a success: it goes on already.
func (t *Tasks) Wake(ctx context.Context, token string) error {
	_, err := t.succeed(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String("{}")})
	if err != nil && !awake(err) {
		return fmt.Errorf("waking a task: %w", err)
	}
	return nil
}

// Heartbeat says to a task's machine that somebody still is at it. It is false if the task does not wait any more.
func (t *Tasks) Heartbeat(ctx context.Context, token string) (waits bool, err error) {
	_, err = t.heartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &token})
	if err != nil && !awake(err) {
		return false, fmt.Errorf("sending a task's heartbeat: %w", err)
	}
	return err == nil, nil
}

// awake says that the task does not wait: it was answered, or its time was over, or there never was one.
func awake(err error) bool {
	var gone *types.TaskDoesNotExist
	var late *types.TaskTimedOut
	var never *types.InvalidToken
	return errors.As(err, &gone) || errors.As(err, &late) || errors.As(err, &never)
}
