package kube_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/swell-sh/swell/shared/kube"
)

// An answer that breaks off has an error of HTTP/2's own, without a type; client-go says where it came from.
func TestAnswerThatBreaksOff(t *testing.T) {
	for what, text := range map[string]string{
		"the connection is closed": "unexpected error when reading response body. Please retry. Original error: %w",
		"the stream is reset":      "stream error when reading response body, may be caused by closed connection. Please retry. Original error: %w",
	} {
		t.Run(what, func(t *testing.T) {
			err := fmt.Errorf("getting web: "+text, errors.New("http2: client connection force closed via ClientConn.Close"))
			if got := name(kube.Classify(err)); got != "ClusterUnreachable" {
				t.Errorf("%q, want ClusterUnreachable", got)
			}
		})
	}
}
