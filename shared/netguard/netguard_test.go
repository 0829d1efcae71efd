package netguard_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
)

// canary listens on loopback and counts what reaches it.
type canary struct {
	port        string
	connections atomic.Int64
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{}
	_, c.port, _ = net.SplitHostPort(listener.Addr().String())
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.connections.Add(1)
			_ = conn.Close()
		}
	}()
	return c
}

func (c *canary) silent(t *testing.T) {
	t.Helper()
	if n := c.connections.Load(); n != 0 {
		t.Errorf("%d connections reached the loopback canary", n)
	}
}

// resolver answers each name with its addresses in turn, the last one for ever; anything else does not exist.
func resolver(answers map[string][]string) *net.Resolver {
	asked := map[string]*atomic.Int64{}
	for name := range answers {
		asked[name] = &atomic.Int64{}
	}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			for answerOne(server, answers, asked) == nil {
			}
		}()
		return client, nil
	}}
}

func answerOne(conn net.Conn, answers map[string][]string, asked map[string]*atomic.Int64) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	raw := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, raw); err != nil {
		return err
	}
	var msg dnsmessage.Message
	if err := msg.Unpack(raw); err != nil {
		return err
	}
	msg.Response, msg.RecursionAvailable, msg.Additionals = true, true, nil
	question := msg.Questions[0]
	name := strings.TrimSuffix(question.Name.String(), ".")
	list, known := answers[name]
	if !known {
		msg.RCode = dnsmessage.RCodeNameError
	}
	if known && question.Type == dnsmessage.TypeA {
		i := min(int(asked[name].Add(1))-1, len(list)-1)
		if addr := netip.MustParseAddr(list[i]); addr.Is4() {
			msg.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class},
				Body:   &dnsmessage.AResource{A: addr.As4()},
			}}
		}
	}
	if known && question.Type == dnsmessage.TypeAAAA {
		if addr := netip.MustParseAddr(list[len(list)-1]); addr.Is6() {
			msg.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class},
				Body:   &dnsmessage.AAAAResource{AAAA: addr.As16()},
			}}
		}
	}
	out, err := msg.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
	return err
}

func mustParse(t *testing.T, csv string) netguard.Policy {
	t.Helper()
	p, err := netguard.Parse(csv)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	cases := map[string]struct {
		csv  string
		want []string
		bad  bool
	}{
		"Empty":        {csv: ""},
		"Blanks":       {csv: " , "},
		"Two":          {csv: "127.0.0.0/8, fd00::/8", want: []string{"127.0.0.0/8", "fd00::/8"}},
		"OneAddress":   {csv: "10.1.2.3", want: []string{"10.1.2.3/32"}},
		"OneIPv6":      {csv: "::1", want: []string{"::1/128"}},
		"Mapped":       {csv: "::ffff:10.0.0.1", want: []string{"10.0.0.1/32"}},
		"MappedPrefix": {csv: "::ffff:10.0.0.0/104", bad: true},
		"HostBits":     {csv: "10.1.2.3/8", bad: true},
		"Name":         {csv: "localhost", bad: true},
		"TooLong":      {csv: "10.0.0.0/33", bad: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := netguard.Parse(tc.csv)
			if (err != nil) != tc.bad {
				t.Fatalf("Parse(%q): %v", tc.csv, err)
			}
			var got []string
			for _, prefix := range p.Allowed {
				got = append(got, prefix.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	cases := map[string]bool{ // address → public
		"8.8.8.8": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.1": true, "172.15.0.1": true, "172.32.0.1": true,
		"2606:4700::1111": true, "2a00:1450:4001::1": true, "::ffff:8.8.8.8": true, "192.0.1.1": true, "223.255.255.255": true,

		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false,
		"100.64.0.1": false, "100.127.255.255": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.0.0.1": false, "192.0.0.170": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.1.1": false, "198.18.0.1": false,
		"198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false,
		"240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"::127.0.0.1": false, "::ffff:0:127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false,
		"2001::1": false, "2001:2::1": false, "2001:10::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "3fff::1": false,
		"5f00::1": false, "fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false,
		"ff02::1": false,
	}
	for text, public := range cases {
		t.Run(text, func(t *testing.T) {
			err := netguard.Policy{}.Check(netip.MustParseAddr(text))
			if (err == nil) != public {
				t.Errorf("Check: %v; want public: %v", err, public)
			}
			if err != nil && !netguard.Refused(err) {
				t.Errorf("%T is no refusal", err)
			}
			all := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
			if err := all.Check(netip.MustParseAddr(text)); err != nil {
				t.Errorf("Check with all networks allowed: %v", err)
			}
		})
	}
}

// spellings of loopback and its like, each with a place for the canary's port.
var spellings = []string{
	"127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0177.0.0.1", "0x7f.0x0.0x0.0x1",
	"127.0.0.1.", "127.000.000.001", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]",
	"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[::1%25lo]", "localhost", "localhost.", "LOCALHOST", "user@127.0.0.1",
	"user:pass@127.0.0.1", "example.com@127.0.0.1", "169.254.169.254", "127。0。0。1", "①②⑦.0.0.1", "loop.example", "loop.example.", "six.example",
	"mapped.example", "private.example",
}

func guarded(t *testing.T, csv string) netguard.Policy {
	t.Helper()
	p := mustParse(t, csv)
	p.Resolver = resolver(map[string][]string{
		"loop.example": {"127.0.0.1"}, "six.example": {"::1"}, "mapped.example": {"::ffff:127.0.0.1"}, "private.example": {"10.0.0.1"},
	})
	return p
}

// get is what becomes of a request.
func get(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

func TestNoSpellingReachesLoopback(t *testing.T) {
	canary := newCanary(t)
	for _, csv := range []string{"", "10.255.0.0/16"} {
		client := guarded(t, csv).HTTPClient(2 * time.Second)
		for _, scheme := range []string{"https", "http", "HTTPS", "ftp", "file", "gopher"} {
			for _, host := range spellings {
				if get(client, scheme+"://"+host+":"+canary.port+"/") == nil {
					t.Errorf("%s://%s: was answered", scheme, host)
				}
			}
		}
	}
	canary.silent(t)
}

func TestDialRefusesEverySpelling(t *testing.T) {
	canary := newCanary(t)
	p := guarded(t, "")
	for _, host := range spellings {
		host = strings.NewReplacer("[", "", "]", "", "%25", "%").Replace(host)
		conn, err := p.DialContext(t.Context(), "tcp", net.JoinHostPort(host, canary.port))
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s: was dialled", host)
		}
	}
	if _, err := p.DialContext(t.Context(), "tcp", "127.0.0.1:"+canary.port); !netguard.Refused(err) {
		t.Errorf("127.0.0.1: %v, want a refusal", err)
	}
	if _, err := mustParse(t, "127.0.0.0/8").DialContext(t.Context(), "udp", "127.0.0.1:"+canary.port); !netguard.Refused(err) {
		t.Errorf("udp: %v, want a refusal", err)
	}
	canary.silent(t)
}

func TestCheckURL(t *testing.T) {
	cases := map[string]struct {
		url, allowed string
		ok           bool
	}{
		"HTTPS":             {url: "https://charts.example.com/index.yaml", ok: true},
		"Port":              {url: "https://charts.example.com:8443/", ok: true},
		"TrailingDot":       {url: "https://charts.example.com./", ok: true},
		"PublicAddress":     {url: "https://8.8.8.8/", ok: true},
		"HTTP":              {url: "http://charts.example.com/"},
		"HTTPAllowed":       {url: "http://127.0.0.1:80/", allowed: "127.0.0.0/8", ok: true},
		"HTTPNameAllowed":   {url: "http://localhost/", allowed: "127.0.0.0/8", ok: true}, // decided on dialling
		"HTTPPublicAddress": {url: "http://8.8.8.8/", allowed: "127.0.0.0/8"},
		"Private":           {url: "https://10.0.0.1/"},
		"PrivateAllowed":    {url: "https://10.0.0.1/", allowed: "10.0.0.0/8", ok: true},
		"Decimal":           {url: "https://2130706433/"},
		"HexLabel":          {url: "https://127.0.0.0x1/"},
		"Userinfo":          {url: "https://a:b@example.com/"},
		"NoHost":            {url: "https:///x"},
		"Opaque":            {url: "https:example.com"},
		"Port0":             {url: "https://example.com:0/"},
		"Port65536":         {url: "https://example.com:65536/"},
		"File":              {url: "file:///etc/passwd"},
		"Zone":              {url: "https://[fe80::1%25eth0]/", allowed: "fe80::/10"},
		"OCI":               {url: "oci://example.com/x"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			err = mustParse(t, tc.allowed).CheckURL(u)
			if (err == nil) != tc.ok {
				t.Errorf("CheckURL(%s): %v", tc.url, err)
			}
			if err != nil && !problem.Is(err, "url-refused") {
				t.Errorf("CheckURL(%s): %v is not the problem url-refused", tc.url, err)
			}
		})
	}
}

// TestRedirects starts at an allowed server and is sent elsewhere. 0.0.0.0 leads to loopback too, but is not what was allowed.
func TestRedirects(t *testing.T) {
	canary := newCanary(t)
	hops := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/far":
			hops++
			http.Redirect(w, r, "/far", http.StatusFound)
		case "/three":
			http.Redirect(w, r, "/two", http.StatusFound)
		case "/two":
			http.Redirect(w, r, "/one", http.StatusMovedPermanently)
		case "/one":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		case "/to":
			http.Redirect(w, r, r.URL.Query().Get("url"), http.StatusFound)
		default:
			_, _ = io.WriteString(w, "here")
		}
	}))
	defer server.Close()
	client := guarded(t, "127.0.0.1/32").HTTPClient(5 * time.Second)

	for _, target := range []string{
		"http://0.0.0.0:" + canary.port, "http://[::1]:" + canary.port, "http://private.example:" + canary.port, "http://0:" + canary.port,
		"https://0.0.0.0:" + canary.port, "http://user:pass@127.0.0.1:" + canary.port, "file:///etc/hosts", "http://169.254.169.254/latest/meta-data",
		"http://2130706433:" + canary.port, "http://six.example:" + canary.port,
	} {
		if get(client, server.URL+"/to?url="+url.QueryEscape(target)) == nil {
			t.Errorf("redirect to %s: was followed", target)
		}
	}
	canary.silent(t)

	if err := get(client, server.URL+"/three"); err != nil {
		t.Errorf("three redirects: %v", err)
	}
	if err := get(client, server.URL+"/far"); !problem.Is(err, "url-refused") || hops != 4 {
		t.Errorf("endless redirects: %v after %d requests, want a refusal after 4", err, hops)
	}
}

func TestRebinding(t *testing.T) {
	canary := newCanary(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	p := mustParse(t, "127.0.0.1/32")
	p.Resolver = resolver(map[string][]string{"flip.example": {"127.0.0.1", "0.0.0.0"}})
	client := p.HTTPClient(5 * time.Second)

	if err := get(client, "http://flip.example:"+port); err != nil {
		t.Fatalf("the first answer is allowed: %v", err)
	}
	for _, at := range []string{port, canary.port} {
		if err := get(client, "http://flip.example:"+at); !netguard.Refused(err) {
			t.Errorf("the second answer: %v, want a refusal", err)
		}
	}
	canary.silent(t)
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	got := make(chan *http.Request, 8)
	second := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	defer second.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			got <- r
		case "/stay":
			http.Redirect(w, r, "/here", http.StatusFound)
		default:
			http.Redirect(w, r, second.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer first.Close()
	client := mustParse(t, "127.0.0.0/8").HTTPClient(5 * time.Second)

	send := func(method, path, body string) error {
		r, _ := http.NewRequestWithContext(t.Context(), method, first.URL+path, strings.NewReader(body))
		r.Header = http.Header{"Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "X-Api-Key": {"x"}, "Private-Token": {"x"}, "Accept": {"text/plain"}}
		resp, err := client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	for path, wantKey := range map[string]string{"/leave?X-Amz-Signature=s": "", "/stay": "x"} {
		if err := send(http.MethodGet, path, ""); err != nil {
			t.Fatal(err)
		}
		r := <-got
		for _, name := range []string{"X-Api-Key", "Private-Token"} {
			if r.Header.Get(name) != wantKey {
				t.Errorf("%s: %s is %q at the last host, want %q", path, name, r.Header.Get(name), wantKey)
			}
		}
		if wantKey == "" && (r.Header.Get("Authorization")+r.Header.Get("Cookie")) != "" {
			t.Errorf("%s: a credential crossed hosts", path)
		}
		if r.Header.Get("Referer") != "" || r.Header.Get("Accept") != "text/plain" {
			t.Errorf("%s: Referer %q, Accept %q", path, r.Header.Get("Referer"), r.Header.Get("Accept"))
		}
	}
	if err := send(http.MethodPost, "/leave", "a secret body"); !problem.Is(err, "url-refused") {
		t.Errorf("a POST sent elsewhere: %v, want a refusal", err)
	}
}

func TestNoProxyFromTheEnvironment(t *testing.T) {
	canary := newCanary(t)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+canary.port)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+canary.port)
	p := guarded(t, "")
	err := get(p.HTTPClient(2*time.Second), "https://private.example/")
	if !netguard.Refused(err) || strings.Contains(err.Error(), "10.0.0.1") {
		t.Errorf("%v, want a refusal that does not tell the address", err)
	}
	canary.silent(t)
}

func TestLimitBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, "0123456789")
	}))
	defer server.Close()
	for _, path := range []string{"/", "/chunked"} {
		for limit, want := range map[int64]string{9: "", 10: "0123456789", 11: "0123456789"} {
			resp, err := http.Get(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			netguard.LimitBody(resp, limit)
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want != "" && (err != nil || string(body) != want) {
				t.Errorf("%s, limit %d: %q, %v", path, limit, body, err)
			}
			if _, tooLarge := errors.AsType[*netguard.TooLargeError](err); want == "" && (!tooLarge || int64(len(body)) > limit) {
				t.Errorf("%s, limit %d: %q, %v, want too large", path, limit, body, err)
			}
		}
	}
}
