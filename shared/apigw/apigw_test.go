package apigw_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/apigw"
	"github.com/swell-sh/swell/shared/openapi"
)

func event(method, stage, path, query string) events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: path, RawQueryString: query,
		Headers: map[string]string{"content-type": "application/json", "authorization": "Bearer k"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RequestID: "id-1", Stage: stage, DomainName: "api.example.com",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, SourceIP: "192.0.2.1"},
		},
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	type seen struct{ Method, Path, Escaped, Query, Host, ContentType, ID, Body string }
	cases := map[string]struct {
		event events.APIGatewayV2HTTPRequest
		body  string
		in64  bool
		want  seen
	}{
		"TheDefaultStageIsNotInThePath": {
			event: event("GET", "$default", "/api/v1/orgs/default/runs", "type=deploy&limit=2"),
			want:  seen{"GET", "/api/v1/orgs/default/runs", "/api/v1/orgs/default/runs", "type=deploy&limit=2", "api.example.com", "application/json", "id-1", ""},
		},
		"AnotherStageIsTakenOff": {
			event: event("GET", "dev", "/dev/api/version", ""),
			want:  seen{"GET", "/api/version", "/api/version", "", "api.example.com", "application/json", "id-1", ""},
		},
		"AStageThatThePathOnlyBeginsLikeStays": {
			event: event("GET", "api", "/apis/x", ""),
			want:  seen{"GET", "/apis/x", "/apis/x", "", "api.example.com", "application/json", "id-1", ""},
		},
		"TheStageAlone": {
			event: event("GET", "dev", "/dev", ""),
			want:  seen{"GET", "/", "/", "", "api.example.com", "application/json", "id-1", ""},
		},
		"AnEscapedSlashStaysInItsSegment": {
			event: event("GET", "$default", "/a%2Fb/c", ""),
			want:  seen{"GET", "/a/b/c", "/a%2Fb/c", "", "api.example.com", "application/json", "id-1", ""},
		},
		"APercentThatEscapesNothing": {
			event: event("GET", "$default", "/a%zz", ""),
			want:  seen{"GET", "/a%zz", "/a%25zz", "", "api.example.com", "application/json", "id-1", ""},
		},
		"TextBody": {
			event: event("POST", "$default", "/x", ""), body: `{"a":1}`,
			want: seen{"POST", "/x", "/x", "", "api.example.com", "application/json", "id-1", `{"a":1}`},
		},
		"BinaryBody": {
			event: event("POST", "$default", "/x", ""), body: "\x1f\x8b\x00", in64: true,
			want: seen{"POST", "/x", "/x", "", "api.example.com", "application/json", "id-1", "\x1f\x8b\x00"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.event.Body = c.body
			if c.in64 {
				c.event.Body, c.event.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(c.body)), true
			}
			r, err := apigw.Request(t.Context(), c.event)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := seen{r.Method, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.Header.Get("Content-Type"), openapi.RequestID(r.Context()), string(body)}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if r.ContentLength != int64(len(c.body)) {
				t.Errorf("content length %d, want %d", r.ContentLength, len(c.body))
			}
		})
	}
}

func TestRequestWithBrokenBase64IsAnError(t *testing.T) {
	t.Parallel()
	e := event("POST", "$default", "/x", "")
	e.Body, e.IsBase64Encoded = "%", true
	if _, err := apigw.Handle(http.NotFoundHandler())(t.Context(), e); err == nil {
		t.Error("no error")
	}
}

func TestResponse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		handle http.HandlerFunc
		want   events.APIGatewayV2HTTPResponse
	}{
		"Text": {
			handle: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/x")
				w.WriteHeader(http.StatusAccepted)
				w.Header().Set("Too", "late")
				_, _ = io.WriteString(w, "grüß")
			},
			want: events.APIGatewayV2HTTPResponse{StatusCode: 202, Headers: map[string]string{"Location": "/x"}, Body: "grüß"},
		},
		"Binary": {
			handle: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0x1f, 0x8b, 0xff}) },
			want:   events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{}, Body: "H4v/", IsBase64Encoded: true},
		},
		"Nothing": {
			handle: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
			want:   events.APIGatewayV2HTTPResponse{StatusCode: 204, Headers: map[string]string{}},
		},
		"NotEvenAStatus": {
			handle: func(http.ResponseWriter, *http.Request) {},
			want:   events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{}},
		},
		"AHeaderTwice": {
			handle: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Add("Allow", "GET")
				w.Header().Add("Allow", "PUT")
				w.WriteHeader(http.StatusMethodNotAllowed)
			},
			want: events.APIGatewayV2HTTPResponse{StatusCode: 405, Headers: map[string]string{"Allow": "GET, PUT"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := apigw.Handle(c.handle)(t.Context(), event("GET", "$default", "/", ""))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}
