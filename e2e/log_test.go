//go:build stack

package e2e_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

const (
	logGroup = "/swell/swell"
	maxLines = 10_000 // that one call answers
)

// logLines are the messages that the functions logged between two times; pattern is CloudWatch's, empty for all.
func (i *installation) logLines(ctx context.Context, from, to time.Time, pattern string) ([]string, error) {
	in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(logGroup), StartTime: aws.Int64(from.UnixMilli()), EndTime: aws.Int64(to.UnixMilli())}
	if pattern != "" {
		in.FilterPattern = &pattern
	}
	var lines []string
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(cloudwatchlogs.NewFromConfig(i.aws), &in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			lines = append(lines, aws.ToString(e.Message))
		}
	}
	// The local AWS answers no more than a page has, and no token for the rest.
	if half := to.Sub(from) / 2; len(lines) >= maxLines && half > 100*time.Millisecond {
		before, err := i.logLines(ctx, from, from.Add(half), pattern)
		if err != nil {
			return nil, err
		}
		after, err := i.logLines(ctx, from.Add(half), to, pattern)
		return append(before, after...), err
	}
	return lines, nil
}

// awsCall is the line that a function logs of a call to AWS, where LOG_AWS_CALLS is true.
type awsCall struct {
	Message   string   `json:"msg"`
	Function  string   `json:"function"`
	Service   string   `json:"service"`
	Operation string   `json:"operation"`
	Parts     []string `json:"parts"`
}

func parseCall(line string) (awsCall, bool) {
	var c awsCall
	return c, json.Unmarshal([]byte(line), &c) == nil && c.Message == "aws call"
}
