package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func date(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// template is a certificate of a server that is valid now.
func template(names ...string) *x509.Certificate {
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "server"},
		NotBefore: date("2020-01-01"), NotAfter: date("2090-01-01"), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if a, err := netip.ParseAddr(n); err == nil {
			c.IPAddresses = append(c.IPAddresses, a.AsSlice())
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	return c
}

func newAuthority(name string, notAfter time.Time) authority {
	c := template()
	c.Subject.CommonName, c.NotAfter = name, notAfter
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	c.ExtKeyUsage = nil
	signed := sign(c, nil)
	return authority{signed.Leaf, signed.PrivateKey.(*ecdsa.PrivateKey)}
}

// sign makes a certificate, by its own key if there is no authority.
func sign(c *x509.Certificate, by *authority) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	if by == nil {
		by = &authority{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, &key.PublicKey, by.key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// file writes the certificates of authorities into a file.
func file(t *testing.T, authorities ...authority) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	var text []byte
	for _, a := range authorities {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// speaksTLS serves HTTP over TLS: a text after the request.
func speaksTLS(config *tls.Config, text string) func(net.Conn) {
	return func(plain net.Conn) {
		conn := tls.Server(plain, config)
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, text)
		conn.Read(make([]byte, 1))
	}
}

func ca(path string) func(*farm.Health)   { return func(h *farm.Health) { h.TLSCA = path } }
func name(text string) func(*farm.Health) { return func(h *farm.Health) { h.TLSName = text } }
func host(text string) func(*farm.Health) { return func(h *farm.Health) { h.Host = text } }
func unverified(h *farm.Health)           { h.TLSVerify = false }

func TestReasonsOfCertificates(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	addressed := l.Backends[0].IP4[0].String()
	trusted, other := newAuthority("Example CA", date("2090-01-01")), newAuthority("Other \x1b[31m", date("2090-01-01"))
	old := newAuthority("Old CA", date("2025-06-30"))
	known := ca(file(t, trusted, old))

	expired := template("a.example")
	expired.NotAfter = date("2026-01-01")
	early := template("a.example")
	early.NotBefore = date("2080-02-03")
	forClients := template("a.example")
	forClients.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	many := template("a.example", "b.example", "c.example", "d.example")
	good := sign(template("a.example", addressed, l.Backends[0].IP6[0].String()), &trusted)

	needsClient := &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert,
		MaxVersion: tls.VersionTLS12}
	oldVersion := &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS11,
		MinVersion: tls.VersionTLS10}
	tests := []struct {
		name    string
		server  *tls.Config
		check   farm.Health
		healthy bool
		reason  string
	}{
		{"good", with(good), a(farm.HealthTLS, known, name("a.example")), true, "connected"},
		{"by address", with(good), a(farm.HealthTLS, known), true, "connected"},
		{"by host", with(good), a(farm.HealthHTTPS, known, host("a.example:8443")), true, "200"},
		{"name before host", with(good), a(farm.HealthHTTPS, known, host("b.example"), name("a.example")), true, "200"},
		{"https", with(good), a(farm.HealthHTTPS, known, name("a.example"), body("ready")), true,
			"200, expected body"},
		{"answer of a server", with(good), a(farm.HealthTLS, known, name("a.example"), send("x"), expect("ready")),
			true, "expected answer"},
		{"wrong name", with(good), a(farm.HealthTLS, known, name("b.example")), false,
			"certificate is for a.example, " + addressed + " and 1 more, not b.example"},
		{"wrong name of one", with(sign(template("a.example"), &trusted)),
			a(farm.HealthHTTPS, known, host("b.example")), false, "certificate is for a.example, not b.example"},
		{"no name", with(sign(template(), &trusted)), a(farm.HealthTLS, known, name("a.example")), false,
			"certificate is for no name, not a.example"},
		{"many names", with(sign(many, &trusted)), a(farm.HealthTLS, known, name("e.example")), false,
			"certificate is for a.example, b.example and 2 more, not e.example"},
		{"expired", with(sign(expired, &trusted)), a(farm.HealthTLS, known, name("a.example")), false,
			"certificate expired on 2026-01-01"},
		{"not yet valid", with(sign(early, &trusted)), a(farm.HealthTLS, known, name("a.example")), false,
			"certificate is valid from 2080-02-03"},
		{"expired authority", with(sign(template("a.example"), &old)), a(farm.HealthTLS, known, name("a.example")),
			false, "certificate of authority Old CA expired on 2025-06-30"},
		{"self-signed", with(sign(template("a.example"), nil)), a(farm.HealthTLS, known, name("a.example")), false,
			"certificate is self-signed"},
		{"unknown authority", with(sign(template("a.example"), &other)), a(farm.HealthTLS, known, name("a.example")),
			false, "certificate is of an unknown authority: Other ?[31m"},
		{"not among those of the machine", with(good), a(farm.HealthTLS, name("a.example")), false,
			"certificate is of an unknown authority: Example CA"},
		{"not for servers", with(sign(forClients, &trusted)), a(farm.HealthTLS, known, name("a.example")), false,
			"certificate is not for servers"},
		{"self-signed, not verified", with(sign(template("a.example"), nil)), a(farm.HealthHTTPS, unverified), true,
			"200"},
		{"expired, not verified", with(sign(expired, &trusted)), a(farm.HealthTLS, unverified), true, "connected"},
		{"certificate of the client", needsClient, a(farm.HealthTLS, known, name("a.example")), false,
			"TLS alert: handshake failure"},
		{"old version", oldVersion, a(farm.HealthTLS, known, name("a.example")), false,
			"TLS alert: protocol version not supported"},
	}
	for i, tt := range tests {
		port := uint16(1000 + i)
		serve(t, l.Backends[0], port, speaksTLS(tt.server, ok))
		for _, address := range addresses(l.Backends[0]) {
			got := checkFrom(l.Balancer, target(address, port, tt.check))
			want(t, tt.name+" at "+address.String(), got, tt.healthy, tt.reason)
		}
	}
}

func with(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }

// The server is asked for the name of its certificate, and for no address.
func TestServerName(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	asked := make(chan string, 1)
	config := with(sign(template(), nil))
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked <- hello.ServerName
		return nil, nil
	}
	serve(t, l.Backends[0], 443, speaksTLS(config, ok))
	for _, tt := range []struct {
		change func(*farm.Health)
		want   string
	}{
		{name("a.example."), "a.example"}, {host("b.example:443"), "b.example"}, {host("[2001:db8::1]:443"), ""},
		{host("192.0.2.1"), ""}, {func(*farm.Health) {}, ""},
	} {
		checkFrom(l.Balancer, target(l.Backends[0].IP4[0], 443, a(farm.HealthHTTPS, unverified, tt.change)))
		if got := <-asked; got != tt.want {
			t.Errorf("the server was asked for %q, want %q", got, tt.want)
		}
	}
}

// A check without its file of certificates says nothing about the backend.
func TestFaultsOfAuthorities(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, reason := range map[string]string{
		filepath.Join(dir, "none.pem"): "tls-ca: no such file or directory",
		dir:                            "tls-ca: not a regular file",
		empty:                          "tls-ca: no certificate in the file",
	} {
		got := Run(t.Context(), target(netip.MustParseAddr("127.0.0.1"), 1, a(farm.HealthTLS, ca(path))))
		if !got.Unknown || got.Reason != reason {
			t.Errorf("%s: %+v, want %q", path, got, reason)
		}
	}
}
