package api

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// A Certificate is a certificate with its key, in two files that are read again when one of them changes.
type Certificate struct {
	certFile, keyFile string
	log               func(format string, args ...any)

	mu     sync.Mutex
	loaded *tls.Certificate
	of     [2]fileVersion
	looked time.Time
}

// A fileVersion differs for two contents of a file.
type fileVersion struct {
	modified time.Time
	size     int64
}

// NewCertificate reads the files. Later errors go to the log, and the certificate that was read last stays.
func NewCertificate(certFile, keyFile string, logf func(format string, args ...any)) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: logf}
	return c, c.load()
}

func (c *Certificate) load() error {
	of := [2]fileVersion{versionOf(c.certFile), versionOf(c.keyFile)}
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	c.of = of // a pair with a fault is reported once
	if err != nil {
		return fmt.Errorf("TLS certificate: %w", err)
	}
	c.loaded = &loaded
	return nil
}

func versionOf(name string) fileVersion {
	info, err := os.Stat(name)
	if err != nil {
		return fileVersion{}
	}
	return fileVersion{info.ModTime(), info.Size()}
}

// lookPause is the least time between two looks at the files.
const lookPause = time.Second

// current returns the certificate, for a handshake.
func (c *Certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > lookPause {
		c.looked = time.Now()
		if c.of != [2]fileVersion{versionOf(c.certFile), versionOf(c.keyFile)} {
			if err := c.load(); err != nil {
				c.log("%v; the last one stays", err)
			}
		}
	}
	return c.loaded, nil
}

// config is the TLS configuration of a listener.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.current}
}
