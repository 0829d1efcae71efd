package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const validity = 10 * 365 * 24 * time.Hour

// certificates names the PEM files of a cluster's own certificate authority and of what it signed.
type certificates struct {
	authority, authorityKey         string
	server, serverKey               string
	administrator, administratorKey string
	serviceAccountKey               string
}

// loadCertificates makes what is missing, once: a cluster keeps its authority for life, so handed-out kubeconfigs stay valid.
func loadCertificates(dir string) (certificates, error) {
	file := func(name string) string { return filepath.Join(dir, name) }
	c := certificates{
		authority: file("ca.crt"), authorityKey: file("ca.key"),
		server: file("server.crt"), serverKey: file("server.key"),
		administrator: file("admin.crt"), administratorKey: file("admin.key"),
		serviceAccountKey: file("service-account.key"),
	}
	// The folder is renamed into place when it is complete, so an interrupted start leaves no half of it.
	if _, err := os.Stat(dir); err == nil {
		return c, nil
	}
	draft := dir + ".new"
	if err := os.RemoveAll(draft); err != nil {
		return c, err
	}
	if err := os.MkdirAll(draft, 0o700); err != nil {
		return c, err
	}
	if err := issueAll(draft); err != nil {
		return c, fmt.Errorf("making certificates: %w", err)
	}
	return c, os.Rename(draft, dir)
}

func issueAll(dir string) error {
	authority := &x509.Certificate{
		Subject: pkix.Name{CommonName: "local-kubernetes"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	authorityKey, err := issue(dir, "ca", authority, authority, nil)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(apiServiceIP)},
	}
	administrator := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for name, template := range map[string]*x509.Certificate{"server": server, "admin": administrator} {
		if _, err := issue(dir, name, template, authority, authorityKey); err != nil {
			return err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, "service-account.key"), key)
}

// issue writes NAME.crt and NAME.key, signed by the parent, or by itself when the parent's key is nil.
func issue(dir, name string, template, parent *x509.Certificate, parentKey crypto.Signer) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(validity)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return key, writeKey(filepath.Join(dir, name+".key"), key)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(file, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// writeKubeconfig writes an administrator's kubeconfig that needs no other file.
func writeKubeconfig(file, name string, port int, c certificates) error {
	config := clientcmdapi.NewConfig()
	cluster, user := clientcmdapi.NewCluster(), clientcmdapi.NewAuthInfo()
	cluster.Server = fmt.Sprintf("https://127.0.0.1:%d", port)
	for from, to := range map[string]*[]byte{
		c.authority:        &cluster.CertificateAuthorityData,
		c.administrator:    &user.ClientCertificateData,
		c.administratorKey: &user.ClientKeyData,
	} {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		*to = b
	}
	config.Clusters[name], config.AuthInfos[name] = cluster, user
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	b, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
