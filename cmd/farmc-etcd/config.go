package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// defaultConfig is the configuration file, which may be absent.
const defaultConfig = "/etc/farmc/etcd.toml"

// A config says how to reach etcd. Options of the command line replace keys of the file.
type config struct {
	File string `toml:"-"`

	Endpoints    []string `toml:"endpoints"`
	CACert       string   `toml:"cacert"`
	Cert         string   `toml:"cert"`
	Key          string   `toml:"key"`
	User         string   `toml:"user"`
	PasswordFile string   `toml:"password-file"`
}

func (c *config) declare(set *pflag.FlagSet) {
	set.StringVar(&c.File, "config", defaultConfig, "`file` with endpoints, cacert, cert, key, user, password-file")
	set.StringSliceVar(&c.Endpoints, "endpoints", nil, "`addresses` of etcd (default http://127.0.0.1:2379)")
	set.StringVar(&c.CACert, "cacert", "", "`file` with the certificates that etcd's is checked against")
	set.StringVar(&c.Cert, "cert", "", "`file` with the certificate of this client")
	set.StringVar(&c.Key, "key", "", "`file` with its key")
	set.StringVar(&c.User, "user", "", "`name` of the user of etcd")
	set.StringVar(&c.PasswordFile, "password-file", "", "`file` with the user's password, in its first line")
}

// complete adds the keys of the file that the command line does not set.
func (c *config) complete(set *pflag.FlagSet) error {
	var file config
	meta, err := toml.DecodeFile(c.File, &file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !set.Changed("config"):
	case err != nil:
		return fmt.Errorf("%s: %w", c.File, err)
	case len(meta.Undecoded()) > 0:
		return fmt.Errorf("%s: unknown key %q", c.File, meta.Undecoded()[0])
	}
	for name, value := range map[string]*string{"cacert": &file.CACert, "cert": &file.Cert, "key": &file.Key,
		"user": &file.User, "password-file": &file.PasswordFile} {
		if !set.Changed(name) && *value != "" {
			if err := set.Set(name, *value); err != nil {
				return err
			}
		}
	}
	if len(c.Endpoints) == 0 {
		c.Endpoints = file.Endpoints
	}
	if len(c.Endpoints) == 0 {
		c.Endpoints = []string{"http://127.0.0.1:2379"}
	}
	return c.validate()
}

func (c *config) validate() error {
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("cert and key need each other")
	case c.User != "" && c.PasswordFile == "":
		return errors.New("user needs password-file")
	}
	for _, e := range c.Endpoints {
		if c.CACert != "" && strings.HasPrefix(e, "http://") {
			return fmt.Errorf("cacert has no effect on the endpoint %s: https", e)
		}
	}
	return nil
}

// dialTimeout is the time for a connection to etcd.
const dialTimeout = 5 * time.Second

// connect opens a client. It connects at the first request.
func (c *config) connect() (*clientv3.Client, error) {
	to := clientv3.Config{Endpoints: c.Endpoints, DialTimeout: dialTimeout, Username: c.User, Logger: zap.NewNop(),
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second}
	var err error
	if to.TLS, err = c.tls(); err != nil {
		return nil, err
	}
	if c.User != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, err
		}
		to.Password, _, _ = strings.Cut(string(text), "\n")
	}
	client, err := clientv3.New(to)
	if err != nil {
		return nil, fmt.Errorf("etcd at %s: %w", strings.Join(c.Endpoints, ", "), err)
	}
	return client, nil
}

// explain adds why no endpoint answers to an error about time: the client of etcd does not tell.
func (c *config) explain(err error) error {
	if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		return err
	}
	for _, e := range c.Endpoints {
		if reason := c.try(e); reason != nil {
			err = fmt.Errorf("%w; %s: %w", err, e, reason)
		}
	}
	return err
}

// try connects to an endpoint, and returns the error.
func (c *config) try(endpoint string) error {
	address, isTLS := strings.CutPrefix(endpoint, "https://")
	dialer := net.Dialer{Timeout: time.Second}
	if !isTLS {
		conn, err := dialer.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err == nil {
			conn.Close()
		}
		return err
	}
	of, err := c.tls()
	if err != nil {
		return err
	}
	conn, err := tls.DialWithDialer(&dialer, "tcp", address, of)
	if err == nil {
		conn.Close()
	}
	return err
}

// tls returns the configuration of TLS; nil without certificates, so that the system's authorities are used for https.
func (c *config) tls() (*tls.Config, error) {
	if c.CACert == "" && c.Cert == "" {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CACert != "" {
		text, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, err
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate", c.CACert)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
