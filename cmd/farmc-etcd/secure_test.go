package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestRoles: over TLS with client certificates, a machine whose role reads its prefix mirrors and reports, and can
// change no farm.
func TestRoles(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	server, client := ca.certificate("server"), ca.certificate("client")
	of := config{CACert: ca.file, Cert: client + ".crt", Key: client + ".key"}
	s := newStoreWith(t, of, "--cert-file", server+".crt", "--key-file", server+".key", "--client-cert-auth",
		"--trusted-ca-file", ca.file)
	files := map[string]string{"web.toml": "1"}
	s.put(farmsPrefix, files)
	s.allow("lb1", map[string]clientv3.PermissionType{farmsPrefix: clientv3.PermissionType(clientv3.PermRead),
		hostsPrefix + "lb1/": clientv3.PermissionType(clientv3.PermReadWrite)})
	work := t.TempDir()
	secret := filepath.Join(work, "password")
	etcd := filepath.Join(work, "etcd.toml")
	write(t, secret, "secret\n")
	write(t, etcd, "endpoints = [\""+s.url()+"\"]\ncacert = \""+ca.file+"\"\ncert = \""+client+".crt\"\nkey = \""+
		client+".key\"\nuser = \"lb1\"\npassword-file = \""+secret+"\"\n")
	dir := filepath.Join(work, "farms")
	s.mirror(dir, "--config", etcd, "--host", "lb1", "--farmc", "true")
	s.awaitFiles(dir, files)

	for _, c := range []struct{ want, config string }{
		{"permission denied", etcd},
		{"authentication failed", changed(t, etcd, secret, secret+"2")},
		{"unknown key \"cacrt\"", changed(t, etcd, "cacert", "cacrt")},
		{"cert and key need each other", changed(t, etcd, "key = ", "#")},
		{"certificate", changed(t, etcd, "cacert = ", "#")},
	} {
		write(t, secret+"2", "wrong\n")
		status, out := s.command("push", dir+"/.", "--prefix", "/farmc/other/", "--farmc", "true", "--config", c.config)
		if status == exitOK || !strings.Contains(out, c.want) {
			t.Errorf("exit status %d, no %q in %s", status, c.want, out)
		}
	}
}

// allow makes a user with a role of the same name and the password "secret", and turns authentication on.
func (s *store) allow(name string, permissions map[string]clientv3.PermissionType) {
	s.t.Helper()
	ctx := context.Background()
	var failed []error
	note := func(_ any, err error) { failed = append(failed, err) }
	note(s.client.UserAdd(ctx, "root", "root"))
	note(s.client.UserGrantRole(ctx, "root", "root"))
	note(s.client.RoleAdd(ctx, name))
	for prefix, may := range permissions {
		note(s.client.RoleGrantPermission(ctx, name, prefix, clientv3.GetPrefixRangeEnd(prefix), may))
	}
	note(s.client.UserAdd(ctx, name, "secret"))
	note(s.client.UserGrantRole(ctx, name, name))
	note(s.client.AuthEnable(ctx))
	for _, err := range failed {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// changed writes a copy of a file with another text, and returns its path.
func changed(t *testing.T, path, old, text string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), filepath.Base(path))
	write(t, other, strings.Replace(string(content), old, text, 1))
	return other
}

// An authority signs certificates.
type authority struct {
	t    *testing.T
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.crt")}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true,
		NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.key = newKey(t)
	a.write(a.file, a.cert, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate writes NAME.crt and NAME.key, and returns their path without the ending.
func (a *authority) certificate(name string) string {
	path := filepath.Join(filepath.Dir(a.file), name)
	key := newKey(a.t)
	a.write(path+".crt", &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: ""},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, key)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, path+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})))
	return path
}

func (a *authority) write(path string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	a.t.Helper()
	text, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text})))
}
