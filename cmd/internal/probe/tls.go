package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// tls shakes hands and verifies the certificate of the backend.
func (c *check) tls() Result {
	conn, failure := c.dialTLS()
	if conn == nil {
		return failure
	}
	defer conn.NetConn().Close()
	return c.talk(conn, "connected")
}

// dialTLS opens a connection with TLS, for a protocol if one is given. Without a connection it returns the result.
func (c *check) dialTLS(protocol ...string) (*tls.Conn, Result) {
	config, err := c.tlsConfig()
	if err != nil {
		return nil, unknown("%s", err)
	}
	config.NextProtos = protocol
	plain, err := c.dial("tcp")
	if err != nil {
		return nil, c.failed(err, noConnection)
	}
	conn := tls.Client(plain, config)
	if err := conn.Handshake(); err != nil {
		plain.Close()
		return nil, c.noHandshake(err, config.ServerName)
	}
	return conn, Result{}
}

func (c *check) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{ServerName: c.serverName(), InsecureSkipVerify: !c.Check.TLSVerify}
	if c.Check.TLSCA == "" || !c.Check.TLSVerify {
		return config, nil
	}
	pem, err := readRegular(c.Check.TLSCA, maxCA)
	if err != nil {
		return nil, fmt.Errorf("tls-ca: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("tls-ca: no certificate in the file")
	}
	return config, nil
}

// maxCA is the number of bytes of the largest file of certificates. The bundle of Debian has 220 KB.
const maxCA = 1 << 20

// serverName is the name that the server is asked for, and that its certificate has.
func (c *check) serverName() string {
	switch host := c.Check.Host; {
	case c.Check.TLSName != "":
		return strings.TrimSuffix(c.Check.TLSName, ".")
	case host != "":
		return hostname(host)
	}
	return c.Address.String()
}

// hostname cuts the port off a host, and the brackets off an address of IPv6.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// noHandshake returns the result for a handshake that failed.
func (c *check) noHandshake(err error, name string) Result {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var network *net.OpError
	switch {
	case errors.As(err, &certificate):
		return unhealthy("%s", certificateReason(certificate, name))
	case errors.As(err, &record):
		return unhealthy("answer is not TLS")
	case errors.As(err, &network) && network.Op == "remote error":
		return unhealthy("TLS alert: %s", strings.TrimPrefix(network.Err.Error(), "tls: "))
	case errors.As(err, &network):
		return c.failed(err, "no TLS handshake")
	}
	return c.failed(err, noAnswer)
}
