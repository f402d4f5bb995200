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
			_, err := post(client, nodeURL(i, 2379)+"/v3/kv/txn", text)
			if err == nil {
				return nil
			}
			failed = append(failed, err)
		}
		return errors.Join(failed...)
	})
}

// post sends a request, and returns the answer.
func post(client *http.Client, url string, text []byte) ([]byte, error) {
	r, err := client.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, answer)
	}
	return answer, err
}

// leader returns the node that leads, as soon as a node knows it.
func (e *store) leader() (leader int) {
	e.t.Helper()
	client := e.gateway()
	defer client.CloseIdleConnections()
	e.retry("etcd has a leader", func() error {
		var failed []error
		for leader = range e.nodes {
			var of struct {
				Header struct {
					Member string `json:"member_id"`
				}
				Leader string
			}
			answer, err := post(client, nodeURL(leader, 2379)+"/v3/maintenance/status", []byte("{}"))
			if err == nil {
				err = json.Unmarshal(answer, &of)
			}
			if err == nil && of.Leader == of.Header.Member {
				return nil
			}
			failed = append(failed, err)
		}
		return errors.Join(append(failed, errors.New("no node leads"))...)
	})
	return leader
}

// compact removes the history of etcd before its current revision.
func (e *store) compact() {
	e.t.Helper()
	client := e.gateway()
	defer client.CloseIdleConnections()
	url := nodeURL(e.leader(), 2379) + "/v3/"
	answer, err := post(client, url+"kv/range", []byte(`{"key": "eA=="}`))
	must(e.t, err)
	var of struct{ Header struct{ Revision string } }
	must(e.t, json.Unmarshal(answer, &of))
	history := fmt.Appendf(nil, `{"revision": %q, "physical": true}`, of.Header.Revision)
	_, err = post(client, url+"kv/compaction", history)
	must(e.t, err)
}
