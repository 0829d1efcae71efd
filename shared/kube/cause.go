package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/swell-sh/swell/shared/netguard"
)

// UnreachableError is a cluster that gave no usable answer: no route, no trust, a timeout, an overload. Trying later may help.
type UnreachableError struct {
	Cause error
}

func (e *UnreachableError) Error() string {
	return "cluster unreachable: " + e.Cause.Error()
}

// Unwrap is for errors.Is and errors.As.
func (e *UnreachableError) Unwrap() error { return e.Cause }

// ErrorName is the error's name in state machines.
func (*UnreachableError) ErrorName() string { return "ClusterUnreachable" }

// UnauthorizedError is a cluster that answers, but does not accept the credential or does not let it do what was asked.
type UnauthorizedError struct {
	Cause error
}

func (e *UnauthorizedError) Error() string {
	return "cluster refused the credential: " + e.Cause.Error()
}

// Unwrap is for errors.Is and errors.As.
func (e *UnauthorizedError) Unwrap() error { return e.Cause }

// ErrorName is the error's name in state machines.
func (*UnauthorizedError) ErrorName() string { return "ClusterUnauthorized" }

// Classify wraps err as an UnauthorizedError or an UnreachableError where it is one, and returns any other error as it is.
// It understands whatever client-go or Helm return for a request that was made with a config of this package, as long as
// they wrap it. The caller's own cancellation is neither.
func Classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, done := errors.AsType[*UnreachableError](err); done {
		return err
	}
	if _, done := errors.AsType[*UnauthorizedError](err); done {
		return err
	}
	switch {
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return &UnauthorizedError{Cause: err}
	case unreachable(err):
		return &UnreachableError{Cause: err}
	}
	return err
}

func unreachable(err error) bool {
	var status apierrors.APIStatus // an interface without Error, so that AsType does not take it
	if errors.As(err, &status) {
		code := status.Status().Code
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
	}
	if _, ok := errors.AsType[net.Error](err); ok { // timeouts, refused and reset connections, names that do not resolve
		return true
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return true
	}
	if strings.Contains(err.Error(), " error when reading response body") { // client-go's words for an answer that broke off
		return true
	}
	_, noTrust := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknownCA := errors.AsType[x509.UnknownAuthorityError](err)
	return noTrust || unknownCA || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) || netguard.Refused(err)
}
