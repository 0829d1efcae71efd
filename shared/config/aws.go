package config

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
)

// awsSettings are the variables that Lambda sets, and what the local stack adds.
type awsSettings struct {
	Region       string `env:"AWS_REGION,required"`
	KeyID        string `env:"AWS_ACCESS_KEY_ID,required"`
	Key          string `env:"AWS_SECRET_ACCESS_KEY,required"`
	SessionToken string `env:"AWS_SESSION_TOKEN"`
	Endpoint     string `env:"AWS_ENDPOINT_URL"`
	LogCalls     bool   `env:"LOG_AWS_CALLS"`
	Function     string `env:"AWS_LAMBDA_FUNCTION_NAME"`
}

// AWS says how AWS is reached. It takes region and credentials from the environment and from nowhere else: the SDK's own loader also
// knows profiles, single sign-on and instance roles, which no function has, and they would add 3 MB and some of a cold start.
func AWS(ctx context.Context) (aws.Config, error) {
	var s awsSettings
	if err := Load(ctx, &s); err != nil {
		return aws.Config{}, err
	}
	credentials := aws.Credentials{AccessKeyID: s.KeyID, SecretAccessKey: s.Key, SessionToken: s.SessionToken, Source: "environment"}
	cfg := aws.Config{
		Region:      s.Region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		HTTPClient:  client(),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 5, 2*time.Second })
		},
	}
	if s.Endpoint != "" {
		cfg.BaseEndpoint = &s.Endpoint
	}
	if s.LogCalls {
		cfg.APIOptions = append(cfg.APIOptions, logCalls(s.Function))
	}
	return cfg, nil
}

// client gives up on a call that a service of AWS would long have answered, so that a retry still fits into the function's time.
func client() aws.HTTPClient {
	return awshttp.NewBuildableClient().WithTimeout(20 * time.Second).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 2 * time.Second }).
		WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost, t.ResponseHeaderTimeout = 32, 10*time.Second })
}

// logCalls logs the service and operation of every call, and the index read or what a transaction consists of: that is what its permission is for. The test of
// the functions' permissions compares them with the template's.
func logCalls(function string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("LogCalls",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				slog.InfoContext(ctx, "aws call", "function", function, "service", awsmiddleware.GetServiceID(ctx),
					"operation", awsmiddleware.GetOperationName(ctx), "parts", parts(in.Parameters))
				return next.HandleInitialize(ctx, in)
			}), middleware.After)
	}
}

// parts names the operations in a transaction of DynamoDB (Put, Update, Delete, ConditionCheck), or the index that a query reads. By reflection, since this package is linked
// where DynamoDB is not.
func parts(input any) []string {
	items := reflect.Indirect(reflect.ValueOf(input))
	if items.Kind() != reflect.Struct {
		return nil
	}
	if index := items.FieldByName("IndexName"); index.Kind() == reflect.Pointer && !index.IsNil() {
		return []string{"index " + index.Elem().String()}
	}
	if items = items.FieldByName("TransactItems"); items.Kind() != reflect.Slice {
		return nil
	}
	var names []string
	for i := range items.Len() {
		item := items.Index(i)
		for f := range item.NumField() {
			name := item.Type().Field(f).Name
			if item.Field(f).Kind() == reflect.Pointer && !item.Field(f).IsNil() && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
