package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing/fstest"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/farm"
)

// A statelessPath is a path of requests to a stateless farm: before connection tracking, or at the ingress of
// interfaces, with the clients behind another interface than the backends, or behind the same.
type statelessPath struct {
	name     string
	farm     string // keys of the farm
	backend  string // keys of each backend
	oneArmed bool
}

var statelessPaths = []statelessPath{
	{"prerouting-two-armed", ``, ``, false},
	{"prerouting-one-armed", ``, ``, true},
	{"ingress-two-armed", `interfaces = ["eth0"]`, `interface = "eth1"`, false},
	{"ingress-one-armed", `interfaces = ["eth0"]`, ``, true},
}

// stateless is a farm with these backends, written as "b1", "b1:8081" or "b1:8081*3" for port and weight.
func (w statelessPath) stateless(listen, keys string, backends ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "mode = \"stateless\"\nlisten = [%s]\n%s\n%s\n", listen, keys, w.farm)
	for i, b := range backends {
		b, weight, weighs := strings.Cut(b, "*")
		name, port, ported := strings.Cut(b, ":")
		n := strings.TrimPrefix(name, "b")
		fmt.Fprintf(&text, "[backends.%c-%s]\naddress = [\"10.2.0.1%s\", \"fd00:2::1%s\"]\n%s\n", 'a'+i, name, n, n,
			w.backend)
		if ported {
			fmt.Fprintf(&text, "port = %s\n", port)
		}
		if weighs {
			fmt.Fprintf(&text, "weight = %s\n", weight)
		}
	}
	return text.String()
}

// testCase runs steps in a lab where the backends' route to the client leads through the balancer.
func (w statelessPath) testCase(name string, all ...step) testCase {
	lab := netlab.Options{OneArmed: w.oneArmed}
	if w.oneArmed {
		all = slices.Insert(all, 0, step(returnByBalancer))
	}
	return testCase{name: w.name + "-" + name, lab: lab, steps: all}
}

// sameBackendByAllProtocols: a client reaches the same backend over every protocol.
type sameBackendByAllProtocols string

func (a sameBackendByAllProtocols) do(s *testbed) error {
	for _, word := range strings.Fields(string(a)) {
		to := netip.MustParseAddr(word)
		for _, client := range s.clients(to)[:20] {
			echo, err := s.Client.Ping(client, to, answerTimeout)
			if err != nil {
				return fmt.Errorf("ping %s: %w", to, err)
			}
			for _, network := range []string{"tcp", "udp"} {
				q := target{s.Client, network + family(to), netip.AddrPortFrom(to, 80)}
				answer, err := q.request(netip.AddrPortFrom(client, s.newClient(s.Client, to).Port()))
				if err == nil && answer.Backend != echo.Backend {
					err = fmt.Errorf("client %s gets %s, and %s by ping", client, answer.Backend, echo.Backend)
				}
				if err != nil {
					return q.wrap(err)
				}
			}
		}
	}
	return nil
}

// secondBalancer makes a machine a balancer that serves a farm.
func secondBalancer(s *testbed, h *netlab.Host, text string) error {
	dir := farm.Dir{Path: "farms.d", FS: fstest.MapFS{"web.toml": {Data: []byte(takingOver(text)), Mode: 0o644}}}
	engine := live.Engine{Dirs: []farm.Dir{dir}, Store: statedir.Store{Dir: s.t.TempDir()}, Log: s.t.Logf}
	return errors.Join(
		h.Sysctl("net.ipv4.ip_forward", "1"),
		h.Sysctl("net.ipv6.conf.all.forwarding", "1"),
		h.Do(func() error {
			_, told, err := engine.Apply(s.ctx)
			if err != nil {
				err = fmt.Errorf("%w: %v", err, told)
			}
			return err
		}))
}
