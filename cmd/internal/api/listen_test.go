package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		text, want string
		remote     bool
	}{
		{"unix:/run/farmc/api.sock", "unix:/run/farmc/api.sock", false},
		{"127.0.0.1:5555", "127.0.0.1:5555", false},
		{"127.9.9.9:5555", "127.9.9.9:5555", false},
		{"[::1]:5555", "[::1]:5555", false},
		{"[::ffff:127.0.0.1]:5555", "[::ffff:127.0.0.1]:5555", false},
		{"192.0.2.1:5555", "192.0.2.1:5555", true},
		{"0.0.0.0:5555", "0.0.0.0:5555", true},
		{":5555", "[::]:5555", true},
		{"[::ffff:192.0.2.1]:5555", "[::ffff:192.0.2.1]:5555", true},
	}
	for _, tt := range tests {
		a, err := ParseAddress(tt.text)
		if err != nil || a.String() != tt.want || a.Remote() != tt.remote {
			t.Errorf("%s: %s, remote %t, %v", tt.text, a, a.Remote(), err)
		}
	}
	for _, bad := range []string{"", "unix:", "unix:api.sock", "localhost:5555", "127.0.0.1", "127.0.0.1:0", ":0",
		"127.0.0.1:http", "http://127.0.0.1:5555", "@x"} {
		if a, err := ParseAddress(bad); err == nil {
			t.Errorf("%q is taken as %s", bad, a)
		}
	}
}

// serveUnix answers requests of a unix socket until the end of the test.
func (s *site) serveUnix(t *testing.T, path string) {
	t.Helper()
	l, err := Listen(t.Context(), Address{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, l)
}

// overUnix asks for the farms over a unix socket.
func (s *site) overUnix(t *testing.T, path, secret string) int {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://farmc/v1/farms", nil)
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Key", secret)
	}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	return a.StatusCode
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "api.sock")
	first, err := Listen(t.Context(), Address{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	if _, err := Listen(t.Context(), Address{Path: path}); err == nil {
		t.Error("a socket in use is replaced")
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	first.Close()
	again, err := Listen(t.Context(), Address{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), Address{Path: path}); err == nil {
		t.Error("a file is replaced")
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is %q", text)
	}
}

// newPair writes a certificate of a name, and its key.
func newPair(t *testing.T, name, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert},
		keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLS(t *testing.T) {
	s := start(t, siteFiles)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := NewCertificate(certFile, keyFile, s.log); err == nil {
		t.Error("a missing certificate is no error")
	}
	newPair(t, "first", certFile, keyFile)
	c, err := NewCertificate(certFile, keyFile, s.log)
	if err != nil {
		t.Fatal(err)
	}
	s.address = s.serve(t, WithTLS(listen(t), c))
	shown := func() string {
		t.Helper()
		client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		a, err := client.Get("https://" + s.address + healthPath)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if a.StatusCode != 200 || a.ProtoMajor != 1 {
			t.Errorf("%s %s", a.Proto, a.Status)
		}
		return a.TLS.PeerCertificates[0].Subject.CommonName
	}
	if got := shown(); got != "first" {
		t.Errorf("the certificate is %s", got)
	}
	renew := func(change func()) {
		change()
		c.mu.Lock()
		c.looked = time.Time{}
		c.mu.Unlock()
	}
	renew(func() { newPair(t, "second", certFile, keyFile) })
	if got := shown(); got != "second" {
		t.Errorf("after the renewal the certificate is %s", got)
	}
	renew(func() { _ = os.WriteFile(certFile, []byte("half"), 0o600) })
	if got := shown(); got != "second" || s.logs() == "" {
		t.Errorf("after a faulty renewal the certificate is %s, and the log is %q", got, s.logs())
	}
	old := tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11} //nolint:gosec // refused by the server
	if _, err := tls.Dial("tcp", s.address, &old); err == nil {
		t.Error("TLS 1.1 is taken")
	}
}
