package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// objects makes the two calls of S3 that there are, of the SDK's own parts: its retries, signatures, HTTP client and middleware. The SDK's
// client for S3 knows a hundred more, which stay in every binary that also links text/template (it may call any method by name), and
// would put the functions that link Helm over their 60 MB.
type objects struct {
	cfg    aws.Config
	bucket string
}

// put keeps an object.
func (o objects) put(ctx context.Context, key, contentType string, body []byte) error {
	_, err := o.call(ctx, operation{name: "PutObject", method: http.MethodPut, key: key, contentType: contentType, body: body})
	return err
}

// get reads at most one byte more than most.
func (o objects) get(ctx context.Context, key string, most int64) ([]byte, error) {
	return o.call(ctx, operation{name: "GetObject", method: http.MethodGet, key: key, most: most})
}

// operation is one call, and the middleware that makes a request of it.
type operation struct {
	name, method, key, contentType string
	body                           []byte
	most                           int64
}

func (o objects) call(ctx context.Context, op operation) ([]byte, error) {
	stack := middleware.NewStack(op.name, smithyhttp.NewStackRequest)
	for _, add := range append([]func(*middleware.Stack) error{
		func(s *middleware.Stack) error {
			return s.Initialize.Add(&awsmiddleware.RegisterServiceMetadata{ServiceID: "S3", SigningName: "s3", Region: o.cfg.Region, OperationName: op.name}, middleware.Before)
		},
		func(s *middleware.Stack) error {
			return s.Serialize.Add(middleware.SerializeMiddlewareFunc("Serialize", op.serialize(o.url(op.key))), middleware.After)
		},
		func(s *middleware.Stack) error {
			return s.Finalize.Add(retry.NewAttemptMiddleware(o.retryer(), smithyhttp.RequestCloner), middleware.After)
		},
		func(s *middleware.Stack) error {
			return s.Finalize.Add(middleware.FinalizeMiddlewareFunc("Sign", o.sign(op)), middleware.After)
		},
		func(s *middleware.Stack) error {
			return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("Deserialize", op.deserialize), middleware.After)
		},
	}, o.cfg.APIOptions...) {
		if err := add(stack); err != nil {
			return nil, err
		}
	}
	out, _, err := middleware.DecorateHandler(smithyhttp.NewClientHandlerWithOptions(o.client()), stack).Handle(ctx, nil)
	if err != nil {
		return nil, err
	}
	raw, _ := out.([]byte)
	return raw, nil
}

func (o objects) retryer() aws.RetryerV2 {
	if o.cfg.Retryer != nil {
		if r, ok := o.cfg.Retryer().(aws.RetryerV2); ok {
			return r
		}
	}
	return retry.NewStandard()
}

func (o objects) client() aws.HTTPClient {
	if o.cfg.HTTPClient != nil {
		return o.cfg.HTTPClient
	}
	return awshttp.NewBuildableClient()
}

// url is where an object is. An endpoint of one's own has no host name per bucket.
func (o objects) url(key string) *url.URL {
	if o.cfg.BaseEndpoint != nil {
		base, err := url.Parse(*o.cfg.BaseEndpoint)
		if err == nil {
			at := base.JoinPath(o.bucket, key)
			at.Path = "/" + strings.TrimPrefix(at.Path, "/") // JoinPath leaves a path relative that began with nothing
			return at
		}
	}
	suffix := "amazonaws.com"
	if strings.HasPrefix(o.cfg.Region, "cn-") {
		suffix += ".cn"
	}
	return &url.URL{Scheme: "https", Host: o.bucket + ".s3." + o.cfg.Region + "." + suffix, Path: "/" + key}
}

func (op operation) serialize(at *url.URL) func(context.Context, middleware.SerializeInput, middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
	return func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("making a request: %T is none", in.Request)
		}
		req.Method, req.URL, req.Host = op.method, at, at.Host
		if op.body != nil {
			req.Header.Set("Content-Type", op.contentType)
			req.ContentLength = int64(len(op.body))
			var err error
			if req, err = req.SetStream(bytes.NewReader(op.body)); err != nil {
				return middleware.SerializeOutput{}, middleware.Metadata{}, err
			}
		}
		in.Request = req
		return next.HandleSerialize(ctx, in)
	}
}

func (o objects) sign(op operation) func(context.Context, middleware.FinalizeInput, middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	sum := sha256.Sum256(op.body)
	hash := hex.EncodeToString(sum[:])
	signer := v4.NewSigner(func(s *v4.SignerOptions) { s.DisableURIPathEscaping = true })
	return func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("signing a request: %T is none", in.Request)
		}
		credentials, err := o.cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("signing a request: %w", err)
		}
		req.Header.Set("X-Amz-Content-Sha256", hash)
		if err := signer.SignHTTP(ctx, credentials, req.Request, hash, "s3", o.cfg.Region, time.Now()); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("signing a request: %w", err)
		}
		return next.HandleFinalize(ctx, in)
	}
}

// deserialize reads the answer whole, so that one that breaks off is asked for again.
func (op operation) deserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	if err != nil {
		return out, metadata, err
	}
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if !ok {
		return out, metadata, fmt.Errorf("reading an answer: %T is none", out.RawResponse)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return out, metadata, refusal(resp)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, op.most+1))
	if err != nil {
		return out, metadata, &smithyhttp.RequestSendError{Err: err}
	}
	out.Result = raw
	return out, metadata, nil
}

// refusal is an answer that is none, in the shape that the retries and errors.As know.
func refusal(resp *smithyhttp.Response) error {
	said := struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}{Code: http.StatusText(resp.StatusCode)}
	_ = xml.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said) // some answers have no body
	return &awshttp.ResponseError{
		RequestID: resp.Header.Get("X-Amz-Request-Id"),
		ResponseError: &smithyhttp.ResponseError{
			Response: resp, Err: &smithy.GenericAPIError{Code: said.Code, Message: said.Message},
		},
	}
}
