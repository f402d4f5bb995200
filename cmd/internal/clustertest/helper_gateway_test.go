package clustertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// gateway makes a client of etcd's JSON API (/v3/kv/txn), on the router. A transaction takes 10 ms of CPU time, a push
// by farmc-etcd a quarter of a second.
func (e *store) gateway() *http.Client {
	e.t.Helper()
	certificate, key := e.certificate()
	pair, err := tls.LoadX509KeyPair(certificate, key)
	must(e.t, err)
	text, err := os.ReadFile(certificate)
	must(e.t, err)
	authority := x509.NewCertPool()
	authority.AppendCertsFromPEM(text)
	const patience = 5 * time.Second
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authority, Certificates: []tls.Certificate{pair}},
		DialContext: func(_ context.Context, network, to string) (net.Conn, error) {
			return e.Router.Dial(network, netip.AddrPort{}, netip.MustParseAddrPort(to), patience)
		},
	}}
}

// An operation of a transaction puts a key. JSON has bytes in base64.
type operation struct {
	Put struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	} `json:"requestPut"`
}

// put writes files of a prefix in one transaction, by the first node that answers.
func (e *store) put(client *http.Client, prefix string, files map[string]string) {
	e.t.Helper()
	var transaction struct {
		Operations []operation `json:"success"`
	}
	for name, text := range files {
		var o operation
		o.Put.Key, o.Put.Value = []byte(prefix+name), []byte(text)
		transaction.Operations = append(transaction.Operations, o)
	}
	text, err := json.Marshal(transaction)
	must(e.t, err)
	e.retry("a transaction", func() error {
		var failed []error
		for i := range e.nodes {
			err := post(client, nodeURL(i, 2379)+"/v3/kv/txn", text)
			if err == nil {
				return nil
			}
			failed = append(failed, err)
		}
		return errors.Join(failed...)
	})
}

// post sends a request.
func post(client *http.Client, url string, text []byte) error {
	r, err := client.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, answer)
	}
	return err
}
