package probe

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// certificateReason says why a certificate is not accepted for a name.
func certificateReason(err *tls.CertificateVerificationError, name string) string {
	var invalid x509.CertificateInvalidError
	var wrong x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err.Err, &wrong):
		return fmt.Sprintf("certificate is for %s, not %s", certificateNames(wrong.Certificate), name)
	case errors.As(err.Err, &authority):
		return authorityReason(err.UnverifiedCertificates[0])
	case errors.As(err.Err, &invalid):
		return invalidReason(invalid, err.UnverifiedCertificates[0])
	}
	return "certificate is not valid: " + strings.TrimPrefix(err.Err.Error(), "x509: ")
}

// certificateNames lists the names and addresses of a certificate, the first ones of many.
func certificateNames(cert *x509.Certificate) string {
	names := append([]string(nil), cert.DNSNames...)
	for _, address := range cert.IPAddresses {
		names = append(names, address.String())
	}
	const most = 2
	switch {
	case len(names) == 0:
		return "no name"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(shortNames(names[:most]), ", "), len(names)-most)
	}
	return strings.Join(shortNames(names), ", ")
}

func shortNames(names []string) []string {
	for i, name := range names {
		names[i] = printable(name, 60)
	}
	return names
}

// authorityReason is about a certificate of an unknown authority, or of none.
func authorityReason(cert *x509.Certificate) string {
	if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		return "certificate is self-signed"
	}
	issuer := cert.Issuer.CommonName
	if issuer == "" {
		issuer = cert.Issuer.String()
	}
	return "certificate is of an unknown authority: " + printable(issuer, 100)
}

// invalidReason is about a certificate of the chain. The first certificate is the server's.
func invalidReason(invalid x509.CertificateInvalidError, first *x509.Certificate) string {
	cert := "certificate"
	if invalid.Cert != nil && !invalid.Cert.Equal(first) {
		cert = "certificate of authority " + printable(invalid.Cert.Subject.CommonName, 60)
	}
	switch {
	case invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return cert + " is valid from " + day(invalid.Cert.NotBefore)
	case invalid.Reason == x509.Expired:
		return cert + " expired on " + day(invalid.Cert.NotAfter)
	case invalid.Reason == x509.IncompatibleUsage:
		return cert + " is not for servers"
	}
	return cert + " is not valid: " + strings.TrimPrefix(invalid.Error(), "x509: ")
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
