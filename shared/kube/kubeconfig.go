package kube

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/swell-sh/swell/shared/problem"
)

const (
	maxKubeconfig = 64 << 10
	maxKey        = 16 << 10 // a longer private key would cost seconds to check
	maxDepth      = 32

	field  = "kubeconfig"
	remedy = "Make one for a service account with a token, or run kubectl config view --minify --flatten --raw, " +
		"so that it holds server, certificate-authority-data and a token or client certificate as data."
)

// forbidden are the fields that would run a program, read a file, change the route, skip a check or become another user.
// They are refused, never stripped: a kubeconfig without them would mean something else than its owner thinks.
var forbidden = []string{
	"exec", "auth-provider", "tokenFile", "client-certificate", "client-key", "certificate-authority", "proxy-url",
	"insecure-skip-tls-verify", "as", "as-uid", "as-groups", "as-user-extra",
}

// ParseKubeconfig takes a credential from a kubeconfig that a user gave, field by field, and refuses whatever it does not
// know. It looks at every cluster, user and context, not only at those in use. Its problems name fields, never values.
func ParseKubeconfig(raw []byte) (Credential, error) {
	if len(raw) > maxKubeconfig {
		return Credential{}, refuse("kubeconfig-too-large", "the kubeconfig is longer than %d bytes", maxKubeconfig)
	}
	root, err := readYAML(raw)
	if err != nil {
		return Credential{}, err
	}
	file, err := readFile(root)
	if err != nil {
		return Credential{}, err
	}
	return file.credential()
}

func refuse(code, format string, args ...any) *problem.Problem {
	return problem.Invalid(code, format, args...).At(field).Try(remedy)
}

var lineOf = regexp.MustCompile(`line \d+`)

func readYAML(raw []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		// The parser's own text may quote the input.
		return nil, refuse("kubeconfig-unreadable", "the kubeconfig is not YAML or JSON %s", lineOf.FindString(err.Error()))
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, refuse("kubeconfig-unreadable", "the kubeconfig is more than one document")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, refuse("kubeconfig-unreadable", "the kubeconfig is empty")
	}
	if err := plain(doc.Content[0], 0); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

// plain refuses what makes a document mean another thing than it seems to: anchors, aliases, merge keys, tags, duplicate keys.
func plain(n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return refuse("kubeconfig-unreadable", "the kubeconfig is nested more than %d deep in line %d", maxDepth, n.Line)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return refuse("kubeconfig-unreadable", "the kubeconfig has an anchor or alias in line %d", n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return refuse("kubeconfig-unreadable", "the kubeconfig has a YAML tag in line %d", n.Line)
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if child.Kind != yaml.ScalarNode || child.ShortTag() == "!!merge" || child.Value == "<<" {
				return refuse("kubeconfig-unreadable", "the kubeconfig has a merge key or a key that is no word in line %d", child.Line)
			}
			if seen[child.Value] {
				return refuse("kubeconfig-unreadable", "the kubeconfig has a key twice in line %d", child.Line)
			}
			seen[child.Value] = true
		}
		if err := plain(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// file is a kubeconfig's content, still by name.
type file struct {
	current  string
	clusters map[string]Credential
	users    map[string]Credential
	contexts map[string]link
}

type link struct{ cluster, user string }

// readers says which fields a mapping may have and what reads each; a nil reader ignores the field.
type readers map[string]func(n *yaml.Node, path string) error

func readFile(root *yaml.Node) (*file, error) {
	f := &file{}
	var apiVersion, kind string
	err := mapping(root, "", readers{
		"apiVersion": text(&apiVersion), "kind": text(&kind), "current-context": text(&f.current),
		"preferences": nil, "extensions": nil,
		"clusters": named("cluster", &f.clusters, readCluster),
		"users":    named("user", &f.users, readUser),
		"contexts": named("context", &f.contexts, readContext),
	})
	if err != nil {
		return nil, err
	}
	if (apiVersion != "" && apiVersion != "v1") || (kind != "" && kind != "Config") {
		return nil, refuse("kubeconfig-unreadable", "the document is not a Config of apiVersion v1")
	}
	return f, nil
}

func readCluster(n *yaml.Node, path string) (Credential, error) {
	var c Credential
	return c, mapping(n, path, readers{
		"server": text(&c.Server), "tls-server-name": text(&c.TLSServerName), "certificate-authority-data": data(&c.CAData),
		"disable-compression": nil, "extensions": nil,
	})
}

func readUser(n *yaml.Node, path string) (Credential, error) {
	var c Credential
	return c, mapping(n, path, readers{
		"client-certificate-data": data(&c.ClientCertData), "client-key-data": data(&c.ClientKeyData),
		"token": text(&c.Token), "username": text(&c.Username), "password": text(&c.Password), "extensions": nil,
	})
}

func readContext(n *yaml.Node, path string) (link, error) {
	var l link
	return l, mapping(n, path, readers{"cluster": text(&l.cluster), "user": text(&l.user), "namespace": nil, "extensions": nil})
}

func mapping(n *yaml.Node, path string, fields readers) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return refuse("kubeconfig-unreadable", "%s is not a mapping", orWhole(path))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		read, known := fields[name]
		at := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case !known && isForbidden(name):
			return refuse("kubeconfig-forbidden-field", "%s is not accepted", at)
		case !known:
			return refuse("kubeconfig-unknown-field", "%s has a field that is not known in line %d", orWhole(path), n.Content[i].Line)
		case read == nil:
			continue
		}
		if err := read(n.Content[i+1], at); err != nil {
			return err
		}
	}
	return nil
}

func isForbidden(name string) bool {
	for _, f := range forbidden {
		if strings.EqualFold(f, name) {
			return true
		}
	}
	return false
}

func orWhole(path string) string {
	if path == "" {
		return "the kubeconfig"
	}
	return path
}

// named reads a list of {name, <key>} into a map by name.
func named[T any](key string, into *map[string]T, read func(*yaml.Node, string) (T, error)) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		*into = map[string]T{}
		if n.ShortTag() == "!!null" {
			return nil
		}
		if n.Kind != yaml.SequenceNode {
			return refuse("kubeconfig-unreadable", "%s is not a list", path)
		}
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			var name string
			var value T
			err := mapping(item, at, readers{"name": text(&name), key: func(n *yaml.Node, path string) (err error) {
				value, err = read(n, path)
				return err
			}})
			if err != nil {
				return err
			}
			if _, twice := (*into)[name]; twice || name == "" {
				return refuse("kubeconfig-unreadable", "%s has no name, or one that another has", at)
			}
			(*into)[name] = value
		}
		return nil
	}
}

func text(into *string) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		if n.Kind != yaml.ScalarNode || (n.ShortTag() != "!!str" && n.ShortTag() != "!!null") {
			return refuse("kubeconfig-unreadable", "%s is not a string", path)
		}
		if n.ShortTag() == "!!null" {
			return nil
		}
		if strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' }) && !strings.HasSuffix(path, "-data") {
			return refuse("kubeconfig-unreadable", "%s has a control character", path)
		}
		*into = n.Value
		return nil
	}
}

func data(into *[]byte) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		var encoded string
		if err := text(&encoded)(n, path); err != nil {
			return err
		}
		decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil {
			return refuse("kubeconfig-unreadable", "%s is not base64", path)
		}
		*into = decoded
		return nil
	}
}

// credential joins the cluster and the user of the one context in use.
func (f *file) credential() (Credential, error) {
	context, err := f.context()
	if err != nil {
		return Credential{}, err
	}
	cluster, found := f.clusters[context.cluster]
	if !found {
		return Credential{}, refuse("kubeconfig-no-context", "the context's cluster is not in the kubeconfig")
	}
	c, found := f.users[context.user]
	if !found {
		return Credential{}, refuse("kubeconfig-no-context", "the context's user is not in the kubeconfig")
	}
	c.Server, c.CAData, c.TLSServerName = cluster.Server, cluster.CAData, cluster.TLSServerName
	if err := checkServer(c.Server); err != nil {
		return Credential{}, err
	}
	if len(c.CAData) > 0 && !x509.NewCertPool().AppendCertsFromPEM(c.CAData) {
		return Credential{}, refuse("kubeconfig-unreadable", "certificate-authority-data holds no certificate")
	}
	return c, checkUser(c)
}

func (f *file) context() (link, error) {
	if f.current != "" {
		if c, found := f.contexts[f.current]; found {
			return c, nil
		}
		return link{}, refuse("kubeconfig-no-context", "current-context is not in the kubeconfig")
	}
	if len(f.contexts) != 1 {
		return link{}, refuse("kubeconfig-no-context", "the kubeconfig has no current-context and %d contexts", len(f.contexts))
	}
	for _, c := range f.contexts {
		return c, nil
	}
	return link{}, nil
}

func checkServer(server string) error {
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return refuse("kubeconfig-server", "server is not a URL with a host")
	case u.Scheme != "https":
		return refuse("kubeconfig-server", "server is not an https URL")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return refuse("kubeconfig-server", "server holds more than a host and a path")
	}
	return nil
}

func checkUser(c Credential) error {
	hasCert := len(c.ClientCertData) > 0 || len(c.ClientKeyData) > 0
	if c.Token == "" && c.Username == "" && !hasCert {
		return refuse("kubeconfig-no-credential", "the context's user has no token, client certificate or password")
	}
	if c.Token != "" && (c.Username != "" || c.Password != "") {
		return refuse("kubeconfig-no-credential", "the context's user has a token and a password; one of them is meant")
	}
	if !hasCert {
		return nil
	}
	if len(c.ClientKeyData) > maxKey {
		return refuse("kubeconfig-unreadable", "client-key-data is longer than %d bytes", maxKey)
	}
	if _, err := tls.X509KeyPair(c.ClientCertData, c.ClientKeyData); err != nil {
		return refuse("kubeconfig-unreadable", "client-certificate-data and client-key-data are not a certificate and its key")
	}
	return nil
}
