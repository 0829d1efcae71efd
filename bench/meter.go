package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// meter stands between functions and the local AWS and counts what AWS would bill.
type meter struct {
	server *http.Server
	url    string

	mu    sync.Mutex
	calls map[string]int // by service and operation
	rru   float64        // DynamoDB's read and write request units, from the bytes on the wire: never less than the items'
	wru   float64
	bytes int64
}

func newMeter(ctx context.Context, endpoint string) (*meter, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &meter{url: "http://" + listener.Addr().String()}
	m.reset()
	proxy := &httputil.ReverseProxy{
		// The host stays what was signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		},
		ModifyResponse: m.answered,
	}
	m.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		m.asked(r, body)
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

func (m *meter) close() { _ = m.server.Close() }

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls, m.rru, m.wru, m.bytes = map[string]int{}, 0, 0, 0
}

func (m *meter) count(op string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[op]
}

// operation names a call: DynamoDB.GetItem, S3.GET.
func operation(r *http.Request) string {
	target := r.Header.Get("X-Amz-Target")
	_, name, ok := strings.Cut(target, ".")
	switch {
	case !ok:
		return "S3." + r.Method
	case strings.HasPrefix(target, "DynamoDB"):
		return "DynamoDB." + name
	case strings.HasPrefix(target, "secretsmanager"):
		return "SecretsManager." + name
	case strings.HasPrefix(target, "AWSStepFunctions"):
		return "StepFunctions." + name
	}
	return target
}

func (m *meter) asked(r *http.Request, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	op := operation(r)
	m.calls[op]++
	m.bytes += int64(len(body))
	switch op {
	case "DynamoDB.PutItem", "DynamoDB.UpdateItem", "DynamoDB.DeleteItem", "DynamoDB.BatchWriteItem":
		m.wru += math.Ceil(float64(len(body)) / 1024)
	case "DynamoDB.TransactWriteItems":
		m.wru += 2 * math.Ceil(float64(len(body))/1024)
	}
}

func (m *meter) answered(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += int64(len(body))
	switch operation(resp.Request) {
	case "DynamoDB.GetItem", "DynamoDB.Query", "DynamoDB.BatchGetItem":
		units := math.Ceil(float64(len(body)) / 4096)
		if !strongly(resp.Request) {
			units /= 2
		}
		m.rru += units
	}
	return nil
}

// strongly says whether a read asked for consistency: such a read costs double.
func strongly(r *http.Request) bool {
	if r.GetBody == nil {
		return true // not known: the dearer one
	}
	body, err := r.GetBody()
	if err != nil {
		return true
	}
	var asked struct{ ConsistentRead bool }
	return json.NewDecoder(body).Decode(&asked) != nil || asked.ConsistentRead
}

// The published prices of us-east-1, in dollars.
const (
	priceGBSecond   = 0.0000133334 // Lambda, arm64
	priceInvocation = 0.20 / 1e6
	priceRRU        = 0.125 / 1e6
	priceWRU        = 0.625 / 1e6
	priceS3Get      = 0.40 / 1e6
	priceS3Put      = 5.00 / 1e6
	priceSQS        = 3 * 0.40 / 1e6 // sent, received, deleted
	priceSecret     = 0.05 / 1e4
	priceRequest    = 1.00 / 1e6 // of API Gateway's HTTP API
	priceTransition = 0.025 / 1e3
)

// bill is the price of what was counted, without functions.
func (m *meter) bill() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.rru*priceRRU + m.wru*priceWRU
	for op, n := range m.calls {
		switch {
		case op == "S3.GET" || op == "S3.HEAD":
			sum += float64(n) * priceS3Get
		case strings.HasPrefix(op, "S3."):
			sum += float64(n) * priceS3Put
		case strings.HasPrefix(op, "SecretsManager."):
			sum += float64(n) * priceSecret
		}
	}
	return sum
}
