package clustertest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// A store is etcd of three nodes, one on each backend, and farmc-etcd. All connections are by TLS, with certificates on
// both sides.
type store struct {
	*site
	program string // farmc-etcd
	config  string // configuration file of farmc-etcd
	nodes   [3]*program
}

// newStore starts etcd, and waits until it answers.
func newStore(s *site) *store {
	s.t.Helper()
	needProgram(s.t, "etcd")
	e := &store{site: s, program: build(s.t, "../../farmc-etcd")}
	var endpoints []string
	for i := range e.nodes {
		endpoints = append(endpoints, fmt.Sprintf("%q", nodeURL(i, 2379)))
	}
	certificate, key := s.writeCertificate()
	e.config = filepath.Join(s.dir, "etcd.toml")
	s.writeText(e.config, fmt.Sprintf("endpoints = [%s]\ncacert = %q\ncert = %[2]q\nkey = %[3]q\n",
		strings.Join(endpoints, ", "), certificate, key))
	for i := range e.nodes {
		e.startNode(i)
	}
	e.retry("etcd answers", func() error { return second(e.etcd("status")) })
	return e
}

// nodeURL is the address of a node, on a backend.
func nodeURL(node, port int) string { return fmt.Sprintf("https://10.2.0.%d:%d", 11+node, port) }

// startNode starts a node, with the data that it had before. Kills lose no data that is not on disk yet.
func (e *store) startNode(i int) {
	e.t.Helper()
	clients, peers := nodeURL(i, 2379), nodeURL(i, 2380)
	certificate, key := e.certificate()
	e.nodes[i] = e.start(e.Backends[i], "etcd", "--name", fmt.Sprint("n", i),
		"--data-dir", filepath.Join(e.dir, fmt.Sprint("etcd", i)), "--unsafe-no-fsync",
		"--heartbeat-interval", "300", "--election-timeout", "3000", // the machine may be busy
		"--listen-client-urls", clients, "--advertise-client-urls", clients,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
		"--initial-cluster", fmt.Sprintf("n0=%s,n1=%s,n2=%s", nodeURL(0, 2380), nodeURL(1, 2380), nodeURL(2, 2380)),
		"--cert-file", certificate, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", certificate,
		"--peer-cert-file", certificate, "--peer-key-file", key, "--peer-client-cert-auth",
		"--peer-trusted-ca-file", certificate)
}

// etcd runs a command of farmc-etcd on the router, with the priority that the programs have which start starts.
func (e *store) etcd(args ...string) (string, error) {
	return e.Router.Run(e.t.Context(), "", "nice", append([]string{"-n", "-15", e.program}, append(args, "--config",
		e.config)...)...)
}

// push makes a prefix have the files of a directory. While a node of etcd dies, push is repeated.
func (e *store) push(dir, prefix string) {
	e.t.Helper()
	e.retry("push", func() error {
		return second(e.etcd("push", dir, "--prefix", prefix, "--farmc", e.farmc))
	})
}

// startMirror keeps the farms of a balancer as etcd has them.
func (e *store) startMirror(b *balancer, prefix, dir string, dirs []string, options ...string) *program {
	e.t.Helper()
	asked := filepath.Join(e.dir, b.Name+"-farmc")
	e.writeText(asked, fmt.Sprintf("#!/bin/sh\nexec %s \"$@\" --state-dir %s\n", e.farmc, e.state(b)))
	args := append([]string{"mirror", "--config", e.config, "--host", b.Name, "--farmc", asked,
		"--prefix", prefix, "--dir", dir}, options...)
	for _, d := range dirs {
		args = append(args, "--farmc-dir", d)
	}
	return e.start(b.Host, e.program, args...)
}

// awaitStatus waits until farmc-etcd status shows so many mirrors, and all have loaded the files of etcd.
func (e *store) awaitStatus(mirrors int) {
	e.t.Helper()
	e.retry("all balancers have loaded the files of etcd", func() error {
		shown, err := e.etcd("status")
		if loaded := strings.Count(shown, "loaded\n") - strings.Count(shown, "not loaded"); loaded != mirrors {
			err = errors.Join(err, errors.New(shown))
		}
		return err
	})
}

// revisionOf is the revision of etcd that a balancer has loaded, as status shows it.
func (e *store) revisionOf(b *balancer) string {
	e.t.Helper()
	shown, err := e.etcd("status")
	must(e.t, err)
	for line := range strings.Lines(shown) {
		if of := strings.Fields(line); of[0] == b.Name {
			return of[2]
		}
	}
	e.t.Fatalf("no %s in\n%s", b.Name, shown)
	return ""
}

// retry repeats a step until it succeeds.
func (s *site) retry(what string, step func() error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if err = step(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s: %v", what, err)
}

func second[T any](_ T, err error) error { return err }

// flushHost removes rules and routes of farmc from a host, as a loss of power does.
func (s *site) flushHost(h *netlab.Host) {
	s.t.Helper()
	s.run(h, "nft", "flush", "ruleset")
	for _, family := range []string{"-4", "-6"} {
		h.Run(s.t.Context(), "", "ip", family, "route", "flush", "table", "251") // an error without routes
	}
}
