package kube_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
)

const (
	token  = "t0k3n-that-must-not-leak"
	remedy = "service account"
)

// pair is a self-signed certificate and its key, as PEM.
func pair(tb testing.TB) (cert, key []byte) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// config is a kubeconfig with the given extra lines in its cluster and user (flow mappings) and at its top.
func config(cluster, user, top string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {server: "https://kube.example.com:6443"%s}
users:
- name: u
  user: {token: %s%s}
contexts:
- name: x
  context: {cluster: c, user: u, namespace: team}
current-context: x
%s`, cluster, token, user, top)
}

func TestParseKubeconfig(t *testing.T) {
	cert, key := pair(t)
	cert64, key64 := base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key)
	want := kube.Credential{Server: "https://kube.example.com:6443", Token: token}
	withCA := want
	withCA.CAData, withCA.TLSServerName = cert, "kubernetes"
	var asJSON bytes.Buffer
	_ = json.NewEncoder(&asJSON).Encode(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": want.Server}}},
		"users":    []any{map[string]any{"name": "u", "user": map[string]any{"token": token}}},
		"contexts": []any{map[string]any{"name": "x", "context": map[string]any{"cluster": "c", "user": "u"}}},
	})
	cases := map[string]struct {
		in   string
		want kube.Credential
	}{
		"Token":       {in: config("", "", ""), want: want},
		"JSON":        {in: asJSON.String(), want: want},
		"CA":          {in: config(", tls-server-name: kubernetes, certificate-authority-data: "+cert64, "", ""), want: withCA},
		"OnlyContext": {in: strings.Replace(config("", "", ""), "current-context: x", "", 1), want: want},
		"Harmless": {in: config(`, disable-compression: true, extensions: [{name: a, extension: {exec: 1}}]`, ", extensions: []",
			"preferences: {colors: true}\nextensions: null"), want: want},
		"ClientCertificate": {
			in:   strings.Replace(config("", "", ""), "token: "+token, "client-certificate-data: "+cert64+", client-key-data: "+key64, 1),
			want: kube.Credential{Server: want.Server, ClientCertData: cert, ClientKeyData: key},
		},
		"Password": {
			in:   strings.Replace(config("", "", ""), "token: "+token, "username: admin, password: hunter2", 1),
			want: kube.Credential{Server: want.Server, Username: "admin", Password: "hunter2"},
		},
		"OtherContexts": {in: strings.Replace(config("", "", ""), "- name: x", "- name: y\n  context: {cluster: none, user: none}\n- name: x", 1), want: want},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := kube.ParseKubeconfig([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(clear(t, tc.want), clear(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func clear(tb testing.TB, c kube.Credential) string {
	tb.Helper()
	raw, err := c.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

// rejected generates every forbidden field in every place and every disguise.
func rejected() map[string]struct{ in, code string } {
	cases := map[string]struct{ in, code string }{}
	places := map[string][]string{
		"cluster": {"certificate-authority", "proxy-url", "insecure-skip-tls-verify"},
		"user":    {"exec", "auth-provider", "tokenFile", "client-certificate", "client-key", "as", "as-uid", "as-groups", "as-user-extra"},
	}
	values := map[string]string{
		"exec": `{apiVersion: client.authentication.k8s.io/v1, command: sh, args: ["-c", "id"]}`, "auth-provider": `{name: gcp, config: {cmd-path: sh}}`,
		"insecure-skip-tls-verify": "true", "as-groups": `["system:masters"]`, "as-user-extra": `{a: [b]}`, "proxy-url": "http://127.0.0.1:1",
	}
	in := func(place, extra, top string) string {
		if place == "cluster" {
			return config(", "+extra, "", top)
		}
		return config("", ", "+extra, top)
	}
	for place, names := range places {
		for _, name := range names {
			value := values[name]
			if value == "" {
				value = "/etc/passwd"
			}
			add := func(how, doc, code string) {
				cases[place+"/"+name+"/"+how] = struct{ in, code string }{doc, code}
			}
			add("YAML", in(place, name+": "+value, ""), "kubeconfig-forbidden-field")
			add("JSON", asJSON(place, name), "kubeconfig-forbidden-field")
			add("Null", in(place, name+": null", ""), "kubeconfig-forbidden-field")
			add("Quoted", in(place, fmt.Sprintf("%q: %s", name, value), ""), "kubeconfig-forbidden-field")
			add("UpperCase", in(place, strings.ToUpper(name)+": "+value, ""), "kubeconfig-forbidden-field")
			add("MergeKey", in(place, "<<: {"+name+": "+value+"}", ""), "kubeconfig-unreadable")
			add("Anchor", in(place, name+": &a "+value, ""), "kubeconfig-unreadable")
			add("AliasMerge", in(place, "<<: *a", "extensions: [{name: z, extension: &a {"+name+": "+value+"}}]"), "kubeconfig-unreadable")
			add("Twice", in(place, name+": null, "+name+": "+value, ""), "kubeconfig-unreadable")
			add("Tag", in(place, name+": !!str x", ""), "kubeconfig-unreadable")
			add("UnusedEntry", strings.Replace(config("", "", ""), place+"s:\n",
				fmt.Sprintf("%ss:\n- name: unused\n  %s: {%s: %s}\n", place, place, name, value), 1), "kubeconfig-forbidden-field")
		}
	}
	return cases
}

func asJSON(place, name string) string {
	cluster := map[string]any{"server": "https://kube.example.com"}
	user := map[string]any{"token": token}
	map[string]map[string]any{"cluster": cluster, "user": user}[place][name] = "x"
	raw, _ := json.Marshal(map[string]any{
		"clusters": []any{map[string]any{"name": "c", "cluster": cluster}}, "users": []any{map[string]any{"name": "u", "user": user}},
		"contexts": []any{map[string]any{"name": "x", "context": map[string]any{"cluster": "c", "user": "u"}}}, "current-context": "x",
	})
	return string(raw)
}

func TestParseKubeconfigRejectsForbiddenFields(t *testing.T) {
	cases := rejected()
	if len(cases) < 80 {
		t.Fatalf("only %d cases", len(cases))
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			reject(t, tc.in, tc.code)
		})
	}
}

func reject(t *testing.T, in, code string) {
	t.Helper()
	got, err := kube.ParseKubeconfig([]byte(in))
	p, ok := problem.From(err)
	if !ok {
		t.Fatalf("was accepted or has no problem: %v\n%s", err, in)
	}
	if p.Status != 422 || p.Code != code || p.Field != "kubeconfig" || !strings.Contains(p.Remedy, remedy) {
		t.Errorf("problem %d %s at %q, remedy %q; want 422 %s", p.Status, p.Code, p.Field, p.Remedy, code)
	}
	if strings.Contains(err.Error(), token) || strings.Contains(fmt.Sprintf("%+v", p), token) {
		t.Errorf("the problem shows a secret: %v", err)
	}
	_ = got
}

func TestParseKubeconfigRejects(t *testing.T) {
	good := config("", "", "")
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the kubeconfig", old)
		}
		return strings.ReplaceAll(good, old, with)
	}
	cert, _ := pair(t)
	_, otherKey := pair(t)
	user := func(s string) string { return swap("token: "+token, s) }
	b64 := base64.StdEncoding.EncodeToString
	cases := map[string]struct{ in, code string }{
		"Empty":             {"", "kubeconfig-unreadable"},
		"Null":              {"null", "kubeconfig-no-context"},
		"Scalar":            {"hello", "kubeconfig-unreadable"},
		"List":              {"[]", "kubeconfig-unreadable"},
		"NotYAML":           {"a: b: c", "kubeconfig-unreadable"},
		"TwoDocuments":      {good + "---\n" + good, "kubeconfig-unreadable"},
		"TooLarge":          {good + strings.Repeat("#", 64<<10), "kubeconfig-too-large"},
		"TooDeep":           {swap("current-context: x", "extensions: "+strings.Repeat("[", 100)+strings.Repeat("]", 100)), "kubeconfig-unreadable"},
		"AliasBomb":         {"a: &a [x,x]\nb: &b [*a,*a]\n" + good, "kubeconfig-unreadable"},
		"OtherKind":         {swap("kind: Config", "kind: Secret"), "kubeconfig-unreadable"},
		"OtherVersion":      {swap("apiVersion: v1", "apiVersion: v2"), "kubeconfig-unreadable"},
		"UnknownTop":        {good + "\nsurprise: 1", "kubeconfig-unknown-field"},
		"UnknownUserField":  {user("token: " + token + ", impersonate: root"), "kubeconfig-unknown-field"},
		"CaseOfKnown":       {swap("server:", "Server:"), "kubeconfig-unknown-field"},
		"DuplicateTop":      {good + "\ncurrent-context: x", "kubeconfig-unreadable"},
		"DuplicateName":     {swap("users:\n", "users:\n- name: u\n  user: {token: other}\n"), "kubeconfig-unreadable"},
		"NoName":            {swap("- name: u\n  user", "- user"), "kubeconfig-unreadable"},
		"NoSuchContext":     {swap("current-context: x", "current-context: y"), "kubeconfig-no-context"},
		"TwoContexts":       {strings.Replace(swap("current-context: x", ""), "contexts:\n", "contexts:\n- name: y\n  context: {cluster: c, user: u}\n", 1), "kubeconfig-no-context"},
		"NoSuchCluster":     {swap("cluster: c,", "cluster: d,"), "kubeconfig-no-context"},
		"NoSuchUser":        {swap("user: u,", "user: v,"), "kubeconfig-no-context"},
		"HTTP":              {swap("https://", "http://"), "kubeconfig-server"},
		"HTTPUpperCase":     {swap("https://", "HTTP://"), "kubeconfig-server"},
		"NoServer":          {swap(`server: "https://kube.example.com:6443"`, ""), "kubeconfig-server"},
		"NoScheme":          {swap("https://kube.example.com:6443", "kube.example.com:6443"), "kubeconfig-server"},
		"NoHost":            {swap("https://kube.example.com:6443", "https:///x"), "kubeconfig-server"},
		"Userinfo":          {swap("https://", "https://a:b@"), "kubeconfig-server"},
		"Query":             {swap(":6443", ":6443/?a=b"), "kubeconfig-server"},
		"Newline":           {swap(":6443", `:6443\nx`), "kubeconfig-unreadable"},
		"ServerIsMap":       {swap(`"https://kube.example.com:6443"`, "{a: b}"), "kubeconfig-unreadable"},
		"TokenIsNumber":     {user("token: 5"), "kubeconfig-unreadable"},
		"TokenWithNewline":  {user(`token: "a\r\nX-Evil: b"`), "kubeconfig-unreadable"},
		"NoCredential":      {user("username: ''"), "kubeconfig-no-credential"},
		"TwoCredentials":    {user("token: " + token + ", username: a, password: b"), "kubeconfig-no-credential"},
		"CANotBase64":       {swap(`:6443"`, `:6443", certificate-authority-data: "%"`), "kubeconfig-unreadable"},
		"CANoCertificate":   {swap(`:6443"`, `:6443", certificate-authority-data: "YQ=="`), "kubeconfig-unreadable"},
		"CertWithoutKey":    {user("client-certificate-data: " + b64(cert)), "kubeconfig-unreadable"},
		"KeyOfAnother":      {user("client-certificate-data: " + b64(cert) + ", client-key-data: " + b64(otherKey)), "kubeconfig-unreadable"},
		"KeyTooLong":        {user("client-certificate-data: " + b64(cert) + ", client-key-data: " + b64(make([]byte, 17<<10))), "kubeconfig-unreadable"},
		"Binary":            {user("token: !!binary aGk="), "kubeconfig-unreadable"},
		"ClustersIsMapping": {swap("clusters:\n- name: c\n  cluster:", "clusters:\n  c:"), "kubeconfig-unreadable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { reject(t, tc.in, tc.code) })
	}
}

func FuzzParseKubeconfig(f *testing.F) {
	f.Add([]byte(config("", "", "")))
	f.Add([]byte(asJSON("user", "exec")))
	n := 0
	for _, tc := range rejected() {
		if n++; n%10 == 0 {
			f.Add([]byte(tc.in))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := kube.ParseKubeconfig(raw)
		if err != nil {
			if _, ok := problem.From(err); !ok {
				t.Errorf("%T is no problem", err)
			}
			return
		}
		if !strings.HasPrefix(strings.ToLower(c.Server), "https://") || len(raw) > 64<<10 {
			t.Errorf("accepted the server %q", c.Server)
		}
	})
}

func TestCredentialPrintsRedacted(t *testing.T) {
	c := kube.Credential{Server: "https://h", Token: token, Password: token, ClientKeyData: []byte(token), CAData: []byte(token)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T|%v"} {
		for _, v := range []any{c, &c, []kube.Credential{c}, map[string]kube.Credential{"a": c}, struct{ C kube.Credential }{c}} {
			args := []any{v}
			if strings.Contains(verb, "|") {
				args = append(args, v)
			}
			secret(t, fmt.Sprintf(verb, args...))
		}
	}
	for _, v := range []any{c, &c, struct{ C kube.Credential }{c}} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		secret(t, string(raw))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "c", c, "p", &c, "s", []kube.Credential{c})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", c, "p", &c, "g", struct{ C *kube.Credential }{&c})
	secret(t, log.String())

	back, err := kube.UnmarshalCredential([]byte(clear(t, c)))
	if err != nil || back.Token != token || !bytes.Equal(back.ClientKeyData, c.ClientKeyData) {
		t.Errorf("Marshal and back: %v", err)
	}
	if _, err := kube.UnmarshalCredential([]byte(token)); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("UnmarshalCredential of rubbish: %v", err)
	}
}

func secret(t *testing.T, text string) {
	t.Helper()
	for _, form := range []string{token, fmt.Sprintf("%x", token), fmt.Sprintf("%X", token), base64.StdEncoding.EncodeToString([]byte(token))} {
		if strings.Contains(text, form) {
			t.Errorf("the secret is in %s", text)
		}
	}
}
