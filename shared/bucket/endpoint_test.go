package bucket_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/bucket"
)

// An endpoint of one's own that holds requests to HTTP's rules is understood, with a slash at its end and without.
func TestEndpoint(t *testing.T) {
	kept := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			kept[r.URL.Path] = string(body)
			return
		}
		_, _ = io.WriteString(w, kept[r.URL.Path])
	}))
	defer server.Close()
	for _, end := range []string{"", "/"} {
		store := bucket.Open(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(server.URL + end),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
			})}, "b")
		ref, err := store.PutManifest(t.Context(), "o", []byte("kind: ConfigMap"))
		if err != nil {
			t.Fatalf("endpoint %s: %v", server.URL+end, err)
		}
		if got, err := store.GetManifest(t.Context(), "o", ref); err != nil || string(got) != "kind: ConfigMap" {
			t.Errorf("endpoint %s: read %q, %v", server.URL+end, got, err)
		}
	}
}
