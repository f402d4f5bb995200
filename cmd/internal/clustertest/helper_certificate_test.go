package clustertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificate gives the files of the certificate and its key, which all programs have.
func (s *site) certificate() (certificate, key string) {
	return filepath.Join(s.dir, "etcd.crt"), filepath.Join(s.dir, "etcd.key")
}

// writeCertificate makes a certificate for the addresses of the backends, which is its own authority.
func (s *site) writeCertificate() (certificate, key string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(s.t, err)
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for i := range s.Backends {
		of.IPAddresses = append(of.IPAddresses, net.IPv4(10, 2, 0, byte(11+i)))
	}
	text, err := x509.CreateCertificate(rand.Reader, of, of, &private.PublicKey, private)
	must(s.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(s.t, err)
	certificate, key = s.certificate()
	s.writeText(certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text})))
	s.writeText(key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	return certificate, key
}

// writeText writes a file, which can be a program.
func (s *site) writeText(file, text string) {
	s.t.Helper()
	must(s.t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(s.t, os.WriteFile(file, []byte(text), 0o755))
}
