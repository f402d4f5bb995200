package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// TestZones: two farms have the same service on interfaces of their own, each with a zone. Clients of the same address
// and source port, at the same time, reach the backend of their own farm. Status and cuts tell the farms apart.
func TestZones(t *testing.T) {
	t.Parallel()
	var all []testCase
	for _, mode := range []string{"dnat", "snat"} {
		for name, keys := range map[string]string{
			"plain": "", "persistence": `persistence = { on = ["source-address"] }`, "maglev": `scheduler = "maglev"`,
		} {
			all = append(all, testCase{name: mode + "-" + name, lab: netlab.Options{Twin: true}, steps: steps{
				repliesByZone,
				farms{"one": zonedFarm(mode, "eth0", "b1", 1, keys), "two": zonedFarm(mode, "eth9", "b2", 2, keys)},
				sameClients{by: "tcp udp", to: service1},
				openByFarm{"one": 4, "two": 4},
				farms{"one": zonedFarm(mode, "eth0", "b1", 1, keys),
					"two": zonedFarm(mode, "eth9", "b2", 2, keys) + "state = \"down\"\n"},
				continued{by: "tcp udp", with: "b1"},
				openByFarm{"one": 4, "two": 0},
			}})
		}
	}
	runCases(t, all)
}

// TestZonesBesideOtherKeys: lists, limits and logs of a farm with a zone concern the clients of its own zone alone,
// although those of the other zone have the same addresses.
func TestZonesBesideOtherKeys(t *testing.T) {
	t.Parallel()
	tenants := func(mode, one, two string) farms {
		return farms{"one": zonedFarm(mode, "eth0", "b1", 1, one), "two": zonedFarm(mode, "eth9", "b2", 2, two)}
	}
	var all []testCase
	for _, mode := range []string{"dnat", "snat"} {
		lab := netlab.Options{Twin: true}
		const few = "limits.new = { rate = \"1/day\", burst = 2 }"
		const first = "192.0.2.1:80"
		all = append(all, testCase{name: mode + "-access", lab: lab, steps: steps{
			repliesByZone,
			tenants(mode, "", `access.deny = ["any"]`),
			tenant{"client", "tcp udp", service1, "b1"}, tenant{"twin", "tcp", first, ""},
			tenants(mode, `access.deny = ["any"]`, ""),
			tenant{"client", "tcp", first, ""}, tenant{"twin", "tcp udp", service1, "b2"},
		}}, testCase{name: mode + "-limits", lab: lab, steps: steps{
			repliesByZone,
			tenants(mode, "", few),
			tenant{"client", "tcp udp", service1, "b1"}, tenant{"client", "tcp", first, "b1"},
			tenant{"twin", "tcp", first, "b2"}, tenant{"twin", "tcp", first, "b2"}, tenant{"twin", "tcp", first, ""},
			tenant{"client", "tcp", first, "b1"},
		}}, testCase{name: mode + "-ban", lab: lab, steps: steps{
			repliesByZone,
			tenants(mode, "", `limits = { ban = "1h", new-per-client = { rate = "1/day", burst = 1 } }`),
			tenant{"twin", "tcp", first, "b2"}, tenant{"twin", "tcp", first, ""},
			tenant{"client", "tcp udp", service1, "b1"},
		}}, testCase{name: mode + "-log", lab: lab, steps: steps{
			repliesByZone,
			tenants(mode, unlimitedLog(`"input"`), unlimitedLog(`"input"`)),
			logToGroup,
			logged{tenant{"client", "tcp udp", service1, "b1"}, logLines(1, "one input", "client", service1)},
			logged{tenant{"twin", "tcp udp", service1, "b2"}, logLines(1, "two input", "client", service1)},
		}})
	}
	runCases(t, all)
}

func zonedFarm(mode, link, backend string, zone int, keys string) string {
	return oneBackend(mode, listen1, backend, 0, fmt.Sprintf("interfaces = [%q]\nzone = %d\n%s", link, zone, keys))
}

// repliesByZone has the balancer send the replies to clients of zone 2 to the twin, and all others to the client.
var repliesByZone = stepFunc(func(s *testbed) error {
	script := `table inet tenants { chain pre { type filter hook prerouting priority mangle
		ct direction reply ct original zone 2 meta mark set 2
	}; }`
	err := nftScript(script).do(s)
	return errors.Join(err, runs(`set -e
		ip rule add fwmark 2 lookup 2; ip -6 rule add fwmark 2 lookup 2
		ip route add 203.0.113.2 dev eth9 table 2; ip route add default via 203.0.113.2 dev eth9 table 2
		ip -6 route add 2001:db8:f::2 dev eth9 table 2; ip -6 route add default via 2001:db8:f::2 dev eth9 table 2
		ip route del 203.0.113.0/30 dev eth9; ip -6 route del 2001:db8:f::/64 dev eth9`).do(s))
})

// sameClients open two connections each from the client and from the twin, with the same address and port at the same
// time, to each service. The client reaches b1, the twin b2, and 1 MB comes back.
type sameClients struct{ by, to string }

func (c sameClients) do(s *testbed) error {
	for _, q := range s.targets("", c.by, c.to) {
		as := s.newClient(q.from, q.to.Addr())
		for _, from := range []struct {
			host *netlab.Host
			want string
		}{{s.Client, "b1"}, {s.Twin, "b2"}} {
			q.from = from.host
			if err := s.converseAs(q, as, from.want); err != nil {
				return fmt.Errorf("as %s: %w", as, q.wrap(err))
			}
		}
	}
	for _, c := range s.conversations {
		if c.udp() {
			continue
		}
		if err := c.echo(make([]byte, 1<<20)); err != nil {
			return c.wrap(err)
		}
	}
	return nil
}

// converseAs opens a connection that a backend answers.
func (s *testbed) converseAs(q target, as netip.AddrPort, want string) error {
	c, err := q.dial(as)
	if err != nil {
		return err
	}
	to := conversation{connection: connection{c, q}}
	if to.with, err = to.greeted(); err == nil && to.with != want {
		err = fmt.Errorf("%s answers, want %s", to.with, want)
	}
	s.conversations = append(s.conversations, &to)
	return err
}

// openByFarm: status counts so many open connections of each farm.
type openByFarm map[string]int

func (want openByFarm) do(s *testbed) error {
	for name, n := range want {
		f, err := s.status(name)
		if err != nil {
			return err
		}
		if f.Open == nil || *f.Open != n {
			return fmt.Errorf("farm %s has %s open connections, want %d", name, intText(f.Open), n)
		}
	}
	return nil
}

func intText(n *int) string {
	if n == nil {
		return "no number of"
	}
	return fmt.Sprint(*n)
}

// tenant: the client, or its twin with the same addresses, asks services, and a backend answers; "": none does.
type tenant struct{ who, by, to, want string }

func (n tenant) do(s *testbed) error {
	for _, q := range s.targets(n.who, n.by, n.to) {
		as := netip.AddrPortFrom(s.clients(q.to.Addr())[0], s.newClient(s.Client, q.to.Addr()).Port())
		if n.want == "" {
			if err := q.unanswered(as); err != nil {
				return err
			}
			continue
		}
		answer, err := q.request(as)
		if err == nil && answer.Backend != n.want {
			err = fmt.Errorf("%s answers %s, want %s", answer.Backend, n.who, n.want)
		}
		if err != nil {
			return q.wrap(err)
		}
	}
	return nil
}

// TestZoneChanges: a zone of an interface that comes, changes or goes ends the TCP connections that clients opened
// through it, also those of farms without a zone and to the balancer, as diff and apply warn. UDP goes on, and new
// connections are served.
func TestZoneChanges(t *testing.T) {
	t.Parallel()
	var all []testCase
	for _, mode := range []string{"dnat", "snat"} {
		of := func(zone string) farms {
			return farms{
				"tenant": oneBackend(mode, listen1, "b1", 0, `interfaces = "eth0"`, zone),
				"web":    oneBackend(mode, `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 0),
			}
		}
		all = append(all, testCase{name: mode, steps: steps{
			of(""),
			loses{of("zone = 1"), "no zone → zone 1"},
			loses{of("zone = 2"), "zone 1 → zone 2"},
			loses{of(""), "zone 2 → no zone"},
		}})
	}
	runCases(t, all)
}

// loses loads farms under conversations with the farms before. The load ends those over TCP, with a warning.
type loses struct {
	to   farms
	says string
}

func (l loses) do(s *testbed) error {
	s.conversations = nil
	const of = "b1 b2 balancer"
	return steps{
		converse{by: "tcp udp", to: service1 + " " + service2 + " " + service3},
		diffWarns{l.to, "zone: interface eth0: " + l.says},
		diffWarns{nil, ""},
		continued{by: "tcp", with: of, answers: noBackend},
		continued{by: "udp", with: of},
		converse{by: "tcp udp", to: service1 + " " + service2 + " " + service3},
		continued{by: "tcp udp", with: of},
	}.do(s)
}

// diffWarns: diff warns, and so does the load of the same farms, if there is something to say. Farms of nil are those
// that are loaded.
type diffWarns struct {
	farms farms
	says  string
}

func (w diffWarns) do(s *testbed) error {
	if w.farms != nil {
		s.engine.Dirs = []farm.Dir{{Path: "farms.d", FS: w.farms.files()}}
	}
	return s.Balancer.Do(func() error {
		_, planned, err := s.engine.Plan(s.ctx)
		_, loaded, failed := s.engine.Apply(s.ctx)
		for _, told := range []diag.Diagnostics{planned, loaded} {
			var text strings.Builder
			told.Print(&text, diag.Palette{})
			if w.says == "" != (text.Len() == 0) || !strings.Contains(text.String(), w.says) {
				err = errors.Join(err, fmt.Errorf("said %q, want %q", text.String(), w.says))
			}
		}
		return errors.Join(err, failed)
	})
}
