package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/trace"
	"farmc/compiler/farm"
)

// TestTrace: farmc trace names the farm, the backend that answers, and the rule that stops a packet.
func TestTrace(t *testing.T) {
	t.Parallel()
	program := farmc(t)
	var all []testCase
	for _, c := range traceCases() {
		c.traced.program = program
		all = append(all, testCase{name: c.name, lab: c.lab, steps: append(c.before, c.traced)})
	}
	runCases(t, slices.Concat(all, connectionCases(program), replyCases(program), traceRunCases(program)))
}

type traceCase struct {
	name   string
	lab    netlab.Options
	before steps
	traced traced
}

// tracedFarm has the backends b1 and b2.
func tracedFarm(mode, keys string) string {
	return fmt.Sprintf(`
		mode = %q
		listen = ["192.0.2.1:80/udp", "[2001:db8::1]:80/udp"]
		%s
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
	`, mode, keys)
}

// atIngress are the keys of a farm that takes its packets from the ingress of eth0, with backends behind eth1.
func atIngress(farm string) string {
	return strings.NewReplacer("[backends.b1]", "interfaces = ['eth0']\n[backends.b1]\ninterface = 'eth1'",
		"[backends.b2]", "[backends.b2]\ninterface = 'eth1'",
		"[backends.b3]", "[backends.b3]\ninterface = 'eth1'").Replace(farm)
}

// ownShareFarm has the balancer as its only backend.
const ownShareFarm = `
	mode = "dsr"
	listen = ["192.0.2.1:80/udp", "[2001:db8::1]:80/udp"]
	interfaces = "eth0"
	[backends.balancer]
	address = ["10.2.0.1", "fd00:2::1"]
`

func traceCases() (all []traceCase) {
	sent := func(text string) traced { return traced{check: tells("web", trace.Sent, text)} }
	dropped := func(clients, text string) traced {
		return traced{clients: clients, silent: true, check: tells("web", trace.Dropped, text)}
	}
	web := func(mode, keys string) steps { return steps{farms{"web": tracedFarm(mode, keys)}} }
	none := netlab.Options{}
	for _, mode := range []string{"dnat", "snat", "stateless"} {
		all = append(all, traceCase{mode, none, web(mode, ""), sent("")})
	}
	direct := atIngress(tracedFarm("dsr", "scheduler = 'symmetric-hash'")) // which only the frame can tell
	deny := "access.deny = ['198.51.100.3', '2001:db8:c::3']"
	all = append(all,
		traceCase{"scheduler", none, web("dnat", "scheduler = 'round-robin'"), sent("scheduler round-robin picks")},
		traceCase{"persistence", none, web("dnat", "persistence.on = ['source-address']"),
			traced{check: remembersOnce}},
		traceCase{"static", none, web("dnat", "persistence.static = { '198.51.100.0/29' = 'b1', "+
			"'2001:db8:c::/64' = 'b2' }"), sent("the client has a static session")},
		traceCase{"source", none, web("snat", ""), traced{check: seesBalancer}},
		traceCase{"dsr", dsrTopologies[1].lab, steps{neighboursKnown, farms{"web": direct}},
			sent("scheduler symmetric-hash picks")},
		traceCase{"dsr-unknown-neighbours", dsrTopologies[1].lab, steps{farms{"web": atIngress(tracedFarm("dsr", ""))}},
			sent("scheduler maglev picks")},
		traceCase{"dsr-own-share", dsrTopologies[1].lab, steps{farms{"web": ownShareFarm}},
			traced{check: tells("web", trace.Received, "")}},
		traceCase{"stateless-ingress", none, steps{farms{"web": atIngress(tracedFarm("stateless", ""))}},
			sent("scheduler maglev picks")},
		traceCase{"local", none, steps{farms{"web": localFarm(`"192.0.2.1:80/udp", "[2001:db8::1]:80/udp"`,
			"limits.connections = 1000")}}, traced{check: tells("web", trace.Received, "a service of this machine")}},
		traceCase{"no-farm", none, web("dnat", ""), traced{filter: "192.0.2.1:53/udp", port: 53,
			clients: "198.51.100.3", check: tells("", trace.Received, "no farm takes it")}},
		traceCase{"denied-by-list", none, steps{farms{"web": tracedFarm("snat", "access.deny = ['@bad']"),
			"bad.list": "198.51.100.3\n2001:db8:c::3\n"}}, dropped("198.51.100.3 2001:db8:c::3", "deny has @bad")},
		traceCase{"denied", none, web("snat", deny),
			dropped("198.51.100.3 2001:db8:c::3", "access denies the client")},
		traceCase{"denied-at-ingress", dsrTopologies[1].lab, steps{farms{"web": atIngress(tracedFarm("dsr", deny))}},
			dropped("198.51.100.3 2001:db8:c::3", "access denies the client")},
		traceCase{"allowed", none, web("dnat", "access.order = 'allow-first'\naccess.deny = ['any']\n"+
			"access.allow = ['198.51.100.0/24', '2001:db8:c::/64']"), sent("access lets the client pass")},
		traceCase{"limited", none, steps{farms{"web": tracedFarm("dnat", "limits.connections-per-client = 1")},
			asks("198.51.100.3 2001:db8:c::3")},
			dropped("198.51.100.3 2001:db8:c::3", "over the limit connections-per-client")},
		traceCase{"banned", none, steps{farms{"web": tracedFarm("dnat", "limits.new = '99/second'\nlimits.ban = '1h'")},
			bans("198.51.100.3 2001:db8:c::3")}, dropped("198.51.100.3 2001:db8:c::3", "the client is banned")},
		traceCase{"no-backend", none, steps{farms{"web": strings.ReplaceAll(tracedFarm("dnat", ""),
			"address", "state = 'down'\naddress")}}, traced{silent: true, check: tells("web", trace.Refused,
			"no backend takes the connection")}},
		traceCase{"foreign-rule", none, append(web("snat", ""), nftScript("table inet other {\n"+
			"chain forward { type filter hook forward priority 0; udp dport 80 counter drop; }; }\n")),
			dropped("", "table inet other, chain forward: a rule drops it udp dport 80 counter")},
		traceCase{"foreign-policy", none, append(web("snat", ""), nftScript("table inet other {\n"+
			"chain forward { type filter hook forward priority 0; policy drop; }; }\n")),
			dropped("", "table inet other, chain forward: its policy drops it")},
		traceCase{"foreign-ingress", none, append(web("dnat", ""), nftScript("table netdev other {\n"+
			"chain in { type filter hook ingress device eth0 priority 0; udp dport 80 drop; }; }\n")),
			traced{silent: true, check: tells("", trace.Dropped, "netdev other, chain in, at ingress: a rule drops")}},
		traceCase{"foreign-nat", none, append(web("dnat", ""), nftScript("table ip other {\n"+
			"chain in { type nat hook prerouting priority -150; udp dport 80 dnat to 10.2.0.13; }; }\n")),
			traced{clients: "198.51.100.3", filter: "web", elsewhere: true,
				check: tells("web", trace.Sent, "it goes to 10.2.0.13:80, which is no backend of the farm now")}},
		traceCase{"foreign-iptables", none, append(web("dnat", ""), runOn{"balancer",
			"iptables-nft -A FORWARD -p udp --dport 80 -j DROP\nip6tables-nft -A FORWARD -p udp --dport 80 -j DROP"}),
			dropped("", "chain FORWARD: a rule drops it")},
		traceCase{"queued", none, append(append(steps{needsQueues}, web("snat", "queue = 5")...), ignoresQueue(5)),
			traced{silent: true, check: tells("web", trace.Queued, "a program has not decided")}},
		traceCase{"queue-of-a-program", none, append(append(steps{needsQueues}, web("snat", "queue = 1")...),
			listenOnQueues(2)), sent("")},
		traceCase{"no-forwarding", netlab.Options{NoForwarding: true}, web("dnat", ""),
			traced{silent: true, check: tells("web", trace.Stopped, "the kernel does not route it")}},
		traceCase{"filters", none, web("dnat", ""), traced{filter: "web --from 198.51.100.0/30 --protocol udp",
			clients: "198.51.100.3", check: tells("web", trace.Sent, "")}},
		traceCase{"one-port-of-client", none, web("dnat", ""), traced{
			filter: "192.0.2.1:80/udp --from 198.51.100.3:40000 --count 1", clients: "198.51.100.3",
			packets: 1,
			check:   tells("web", trace.Sent, "")}})
	return all
}

// seesBalancer: the packet leaves with an address of the balancer.
func seesBalancer(p trace.Packet) error {
	if !strings.HasPrefix(p.Source, "10.2.0.1:") && !strings.HasPrefix(p.Source, "[fd00:2::1]:") {
		return errors.New("the source is not the balancer")
	}
	return tells("web", trace.Sent, "the source address is translated")(p)
}

// remembersOnce: the first packet of a client is picked for, the second one remembered.
func remembersOnce(p trace.Packet) error {
	var texts []string
	for _, s := range p.Steps {
		if s.Told() {
			texts = append(texts, s.Text)
		}
	}
	want := "persistence: the client is remembered"
	if strings.Compare(p.Client[strings.LastIndex(p.Client, ":"):], ":40004") < 0 {
		want = "scheduler random picks; persistence: the client is remembered from now on"
	}
	if got := strings.Join(texts, "; "); got != want {
		return fmt.Errorf("the steps are %q, not %q", got, want)
	}
	return tells("web", trace.Sent, "")(p)
}

// asks sends a datagram of each client from another port than traced does. It is answered.
type asks string

func (a asks) do(s *testbed) error {
	all := udpClients{}
	defer all.close()
	var err error
	for _, q := range (traced{clients: string(a)}).questions()[:2] {
		q.Client = netip.AddrPortFrom(q.Client.Addr(), 30_000)
		_, failed := s.askFrom(all, q)
		err = errors.Join(err, failed)
	}
	return err
}

// bans bans clients from the farm web.
type bans string

func (b bans) do(s *testbed) error {
	return s.Balancer.Do(func() (err error) {
		for _, word := range strings.Fields(string(b)) {
			client := farm.Client(netip.MustParseAddr(word))
			_, failed := s.engine.Ban(s.ctx, live.BanRequest{Farm: "web", Client: client})
			err = errors.Join(err, failed)
		}
		return err
	})
}

// neighboursKnown: the balancer knows the MAC addresses of the backends.
var neighboursKnown = stepFunc(func(s *testbed) (err error) {
	for _, backend := range s.Backends {
		for _, a := range append(slices.Clone(backend.IP4), backend.IP6...) {
			_, failed := s.Balancer.Ask("udp", netip.Addr{}, netip.AddrPortFrom(a, 80), answerTimeout)
			err = errors.Join(err, failed)
		}
	}
	return err
})

// traceRunCases are about the process and its tables.
func traceRunCases(program string) []testCase {
	web := farms{"web": tracedFarm("dnat", "")}
	return []testCase{
		{name: "killed", steps: steps{web, stepFunc(func(s *testbed) error {
			run, err := s.startTrace(program)
			if err != nil {
				return err
			}
			tables, err := s.Balancer.Run(s.ctx, "", "nft", "list", "tables")
			if err != nil || strings.Count(tables, "farmc-trace-") != 1 {
				return errors.Join(err, fmt.Errorf("the tables of a trace: %s", tables))
			}
			err = errors.Join(run.Process.Kill(), ignored(run.Wait()))
			return errors.Join(err, noTraceTables.do(s))
		})}},
		{name: "two-at-once", steps: steps{web, stepFunc(func(s *testbed) error {
			other, err := s.startTrace(program, "--count", "4", "--from", "198.51.100.3")
			if err != nil {
				return err
			}
			err = traced{program: program, check: tells("web", trace.Sent, "")}.do(s)
			packets, failed := other.packets()
			if failed == nil && len(packets) != 2 {
				failed = fmt.Errorf("the other trace has %d packets, not 2", len(packets))
			}
			return errors.Join(err, failed)
		})}},
	}
}

// connectionCases trace connections of TCP, and of the balancer itself.
func connectionCases(program string) (all []testCase) {
	for _, mode := range []string{"snat", "stateless"} {
		web := farms{"web": strings.ReplaceAll(tracedFarm(mode, "scheduler = 'hash'"), "/udp", "/tcp")}
		for name, to := range map[string]string{"ip4": "192.0.2.1:80", "ip6": "[2001:db8::1]:80"} {
			all = append(all, testCase{name: mode + "-tcp-" + name, steps: steps{web,
				tracedConnection{program, "--count 1", "client", "tcp", to, oneSYN},
				tracedConnection{program, "--all --count 4", "client", "tcp", to, openConnection(mode == "snat")}}})
		}
	}
	web := farms{"web": tracedFarm("snat", "")}
	return append(all, testCase{name: "of-this-machine", steps: steps{web,
		tracedConnection{program, "--count 1", "balancer", "udp", "192.0.2.1:80", ofThisMachine},
		tracedConnection{program, "--count 1", "balancer", "udp", "[2001:db8::1]:80", ofThisMachine}}})
}

// replyCases trace the answers of backends, too.
func replyCases(program string) (all []testCase) {
	for _, mode := range []string{"snat", "dnat", "stateless"} {
		web := farms{"web": strings.ReplaceAll(tracedFarm(mode, "scheduler = 'hash'"), "/udp", "/tcp")}
		for name, to := range map[string]string{"ip4": "192.0.2.1:80", "ip6": "[2001:db8::1]:80"} {
			all = append(all, testCase{name: mode + "-replies-" + name, steps: steps{web,
				tracedConnection{program, "web --replies --count 2", "client", "tcp", to, synAndAnswer(to)},
				tracedConnection{program, to + " --replies --count 2", "client", "tcp", to, synAndAnswer(to)}}})
		}
	}
	beside := farms{}
	for name, listen := range map[string]string{"early": `"192.0.2.1:443"`, "web": `"192.0.2.1:80"`} {
		beside[name] = oneBackend("stateless", listen, "b1", 0, "interfaces = 'eth0'", "scheduler = 'hash'") +
			"interface = 'eth1'"
	}
	all = append(all, testCase{name: "stateless-replies-by-another-interface", steps: steps{beside,
		tracedConnection{program, "web --replies --count 2", "client", "tcp", "192.0.2.1:80",
			synAndAnswer("192.0.2.1:80")}}})
	web := farms{"web": strings.ReplaceAll(tracedFarm("snat", ""), "/udp", "/tcp")}
	stopped := nftScript(`table inet other { chain forward { type filter hook forward priority 0;
		iifname "eth1" tcp sport 80 drop; }; }`)
	return append(all, testCase{name: "replies-dropped", steps: steps{web, stopped,
		droppedAnswer{program, "192.0.2.1:80"}, droppedAnswer{program, "[2001:db8::1]:80"}}})
}

// synAndAnswer wants the first packet of a connection, and the answer of its backend.
func synAndAnswer(service string) func([]trace.Packet) error {
	return func(packets []trace.Packet) error {
		if len(packets) != 2 {
			return fmt.Errorf("the packets are %+v", packets)
		}
		request, answer := packets[0], packets[1]
		if answer.Client != request.Client || answer.Service != service || !answer.Answer || request.Answer ||
			answer.Flags != "syn ack" || answer.Backend != request.Backend || answer.Source != service ||
			answer.Interface != "eth1" || answer.Out != "eth0" || answer.Place != request.Place {
			return fmt.Errorf("the answer to %+v is %+v", request, answer)
		}
		return errors.Join(oneSYN(packets[:1]), tells("web", trace.Sent, "")(answer))
	}
}

// droppedAnswer opens a connection whose answer another program drops.
type droppedAnswer struct{ program, to string }

func (c droppedAnswer) do(s *testbed) error {
	run, err := s.startTrace(c.program, "--replies", "--count", "2")
	if err != nil {
		return err
	}
	to := netip.MustParseAddrPort(c.to)
	if answer, err := s.Client.Ask("tcp", netip.Addr{}, to, 2*dropTimeout); err == nil {
		return errors.Join(fmt.Errorf("%s answers", answer.Backend), run.Process.Kill())
	}
	packets, err := run.all()
	if err != nil || len(packets) != 2 || !packets[1].Answer || packets[1].Backend != packets[0].Backend {
		return fmt.Errorf("%w: the packets are %+v", err, packets)
	}
	return tells("web", trace.Dropped, "table inet other, chain forward: a rule drops it")(packets[1])
}

func oneSYN(packets []trace.Packet) error {
	if len(packets) != 1 || packets[0].Flags != "syn" {
		return fmt.Errorf("the packets are %+v", packets)
	}
	return tells("web", trace.Sent, "scheduler hash picks")(packets[0])
}

// openConnection checks the packets of a connection. With connection tracking only the first one is picked for.
func openConnection(tracked bool) func([]trace.Packet) error {
	return func(packets []trace.Packet) error {
		for i, p := range packets {
			if p.Open != (tracked && i > 0) || p.Farm != "web" || p.Outcome != trace.Sent {
				return fmt.Errorf("packet %d is %+v", i, p)
			}
		}
		return nil
	}
}

func ofThisMachine(packets []trace.Packet) error {
	if len(packets) != 1 || packets[0].Interface != "" {
		return fmt.Errorf("the packets are %+v", packets)
	}
	return tells("web", trace.Sent, "scheduler random picks")(packets[0])
}

func ignored(error) error { return nil }

// noTraceTables: the tables of traces are gone, or go soon.
var noTraceTables = eventually{stepFunc(func(s *testbed) error {
	tables, err := s.Balancer.Run(s.ctx, "", "nft", "list", "tables")
	if strings.Contains(tables, "farmc-trace-") {
		err = fmt.Errorf("tables are left: %s", tables)
	}
	return err
})}

// TestTraceBesideWatch: farmc watch takes the tables of a trace for no change of its rules.
func TestTraceBesideWatch(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir, state := t.TempDir(), s.engine.Store.Dir
	must(t, writeFile(filepath.Join(dir, "web.toml"), tracedFarm("dnat", "")))
	program := farmc(t)
	w := startFarmc(t, s, program, "watch", "--dir", dir, "--state-dir", state)
	must(t, eventually{w.says("1 farm loaded")}.do(s))
	before := w.said.String()
	for range 3 {
		must(t, traced{program: program, check: tells("web", trace.Sent, "")}.do(s))
	}
	must(t, noTraceTables.do(s))
	// A change that watch has to see ends the wait: reports come in the order of the changes.
	must(t, s.shell("nft flush chain inet farmc prerouting")())
	must(t, eventually{w.says("the rules were changed: 1 farm loaded")}.do(s))
	said := strings.TrimPrefix(w.said.String(), before)
	lines := slices.DeleteFunc(slices.Collect(strings.Lines(said)), func(line string) bool {
		return strings.HasPrefix(line, "nft loads ") // for more than a second
	})
	if strings.Count(said, "rules changed by") != 1 || len(lines) != 2 {
		t.Errorf("farmc watch says of the trace:\n%s", said)
	}
}
