package packettest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func TestPersistence(t *testing.T) {
	t.Parallel()
	play(t, persistenceScenes())
}

func persistenceScenes() (all []scene) {
	for _, mode := range []string{"snat", "dnat"} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			all = append(all, persistenceScene(mode, scheduler))
		}
	}
	for _, arm := range arms {
		farm := arm.farm(manyPorts, strings.Split(fmt.Sprintf(trackless, "b2"), "\n")...)
		all = append(all, scene{name: "dsr-" + arm.name, lab: arm.lab, steps: tracklessSteps(farm, "netdev", [2]string{"0x0a0200%02x", "0x0a0200%02x"})},
			scene{name: "dsr-shared-" + arm.name, lab: arm.lab, steps: arm.persistenceShared()},
			scene{name: "dsr-mac-" + arm.name, lab: arm.lab, steps: steps{arm.persistenceBesideMAC()}},
			scene{name: "dsr-quicker-" + arm.name, lab: arm.lab, steps: steps{farms{"web": farm}, quicker{"netdev", [2]string{"meta mark set 0x0a02000c", "meta mark set 0x0a02000c"}}, metFirst}})
	}
	for _, w := range []way{ways[0], ways[2]} {
		all = append(all, w.scene("stateless-memory", w.memories()...))
	}
	for _, w := range ways {
		farm := w.stateless(manyPorts, fmt.Sprintf(trackless, "b-b2"), "b1*3", "b2")
		all = append(all,
			w.scene("stateless", tracklessSteps(farm, w.table(), [2]string{"10.2.0.%d", "fd00:2::%d"})...),
			w.scene("stateless-matters", w.persistenceMatters()...),
			w.scene("stateless-quicker", farms{"web": farm}, quicker{w.table(), [2]string{"ip daddr set 10.2.0.12", "ip6 daddr set fd00:2::12"}}, metFirst))
	}
	return append(all, persistentScenes...)
}

// trackless are keys of a farm with persistence where no connection tracking tells what is new. Hashes over ports send a
// client anywhere but for that.
const trackless = `scheduler = 'hash'
hash-on = ['source-port', 'destination-port']
persistence = { static = { '198.51.100.200' = '%[1]s', '10.2.0.131' = '%[1]s', '2001:db8:c::c8' = '%[1]s' } }`

// tracklessSteps play with such a farm, of a backend b1 of weight 3 and b2. Its table is of a family, and holds of IPv4 and
// IPv6 what stands for a backend, made of the last number of its address.
func tracklessSteps(text, table string, stands [2]string) steps {
	const everywhere = "192.0.2.1:80 192.0.2.1:8050 [2001:db8::1]:80 [2001:db8::1]:8050"
	known := func(i, backend int) step {
		return deed(func(s *stage) error {
			var script strings.Builder
			for j, like := range []string{"192.0.2.1", "2001:db8::1"} {
				client := s.clients(netip.MustParseAddr(like))[i]
				fmt.Fprintf(&script, "add element %s farmc farm/web/clients-ip%s { %s : %s }\n", table, family(client), client, fmt.Sprintf(stands[j], backend))
			}
			return foreign(script.String()).do(s)
		})
	}
	meets := func(i int, backend string) step {
		return deed(func(s *stage) error {
			for _, to := range strings.Fields(both) {
				client := s.clients(netip.MustParseAddrPort(to).Addr())[i]
				if err := (as{client.String(), "tcp udp", to, backend}).do(s); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return steps{
		farms{"web": text},
		stay{name: "kept", to: everywhere},
		known(25, 12), meets(25, "b2"),
		known(26, 99), // of nobody
		deed(func(s *stage) error {
			for _, q := range s.questions("", "tcp udp", both) {
				client := s.clients(q.to.Addr())[26]
				for range 8 {
					answer, err := q.ask(netip.AddrPortFrom(client, s.speaker(s.Client, client).Port()))
					if err == nil {
						err = s.meetsAgain("anew", client, answer.Backend)
					}
					if err != nil {
						return q.blame(fmt.Errorf("as %s: %w", client, err))
					}
				}
			}
			return nil
		}),
		// drained: who is known stays, nobody else comes
		farms{"web": strings.Replace(text, "weight", "state = 'drain'\nweight", 1)},
		stay{name: "kept", to: everywhere},
		known(27, 11), meets(27, "b1"),
		deed(func(s *stage) error {
			for _, q := range s.questions("", "tcp udp", both) {
				for i := range 4 {
					client := s.clients(q.to.Addr())[28+i] // of whom nobody has heard
					answer, err := q.ask(netip.AddrPortFrom(client, s.speaker(s.Client, client).Port()))
					if err == nil && answer.Backend != "b2" {
						err = fmt.Errorf("%s answered", answer.Backend)
					}
					if err != nil {
						return q.blame(fmt.Errorf("as %s: %w", client, err))
					}
				}
			}
			return nil
		}),
		// down: known clients of b1 meet the other one
		farms{"web": strings.Replace(text, "weight", "state = 'down'\nweight", 1)},
		stay{name: "moved", to: everywhere, among: "b2"}, meets(27, "b2"),
	}
}

// persistenceMatters are of stateless farms alone: ports of backends, several of them on one machine, whole addresses, and
// the address that was asked for as what tells clients apart.
func (w way) persistenceMatters() steps {
	const persistent = "persistence = {}\nscheduler = 'hash'\nhash-on = ['source-port']"
	const onAddress = "persistence = { on = ['source-address', 'destination-address'] }\nscheduler = 'hash'\nhash-on = ['source-port', 'destination-port']"
	const byAddresses = "persistence = {}\nscheduler = 'hash'\nhash-on = ['source-address', 'destination-address']"
	const twoAddresses = `"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp", "192.0.2.2:443/tcp,udp", "[2001:db8::2]:443/tcp,udp"`
	return steps{
		farms{"web": w.stateless(listenBoth, persistent, "b1:8081", "b1:8082", "b1", "b2:8081*2")},
		stay{name: "ports", to: both},
		carry{"tcp", both, 300_000},
		hold{by: "tcp udp", to: both},
		// open connections stay with a backend that drains
		farms{"web": strings.ReplaceAll(w.stateless(listenBoth, persistent, "b1:8081", "b1:8082", "b1", "b2:8081*2"), "[backends.d-b2]", "[backends.d-b2]\nstate = 'drain'")},
		echo{},
		stay{name: "ports", to: both},
		nothingTracked,
		farms{"web": w.stateless(twoAddresses, onAddress, "b1", "b2")},
		stay{name: "first", to: both}, stay{name: "second", to: second},
		apart{"first", "second"},
		// whose backend is gone is scheduled by what was asked for
		farms{"web": w.stateless(listenBoth, byAddresses, "b1", "b2")},
		stay{name: "asked", to: both},
		w.remembering("10.2.0.99", "fd00:2::99"),
		stay{name: "asked", to: both},
		farms{"web": w.stateless(wholeThird, "persistence = {}\nscheduler = 'symmetric-hash'", "b1", "b2")},
		stay{name: "all", to: third + " 192.0.2.3:443 [2001:db8::3]:443"},
		alike("192.0.2.3 2001:db8::3"),
		// where farms share the way home, a backend may be down for one and up for another
		farms{"web": strings.Replace(w.stateless(listenBoth, persistent, "b1", "b2"), "[backends.a-b1]", "[backends.a-b1]\nstate = 'down'", 1), "other": w.stateless(listenSecond, persistent, "b1", "b2")},
		w.remembering("10.2.0.11", "fd00:2::11"),
		stay{name: "down here", to: both, among: "b2"}, stay{name: "up there", to: second, by: "tcp"},
		nothingTracked,
	}
}

// persistenceShared: dsr farms lead clients home by maps that they share, as far as ports tell them apart or aren't needed.
// Whatever is asked, and wherever a farm changes between these and maps of its own, clients stay, and fragments go along.
func (a arm) persistenceShared() steps {
	const persistent = "scheduler = 'hash'\npersistence = {}"
	const beside = `"192.0.2.1:443,8050/tcp,udp", "[2001:db8::1]:443,8050/tcp,udp"`
	const besideTCP = `"192.0.2.1:443,8050/tcp", "[2001:db8::1]:443,8050/tcp"`
	const besides = "192.0.2.1:443 192.0.2.1:8050 [2001:db8::1]:443 [2001:db8::1]:8050"
	down := func(text string) string {
		return strings.Replace(text, "[backends.b1]", "[backends.b1]\nstate = 'down'", 1)
	}
	b1, b2 := remembers("netdev", "0xa02000b", "0xa02000b"), remembers("netdev", "0xa02000c", "0xa02000c")
	return steps{
		farms{"web": a.farm(manyPorts, persistent)}, b2,
		stay{name: "known", to: both + " 192.0.2.1:8050 [2001:db8::1]:8050", among: "b2"},
		followed{both + " 192.0.2.1:8050 [2001:db8::1]:8050", 10},
		stay{name: "known", to: both, among: "b2"},
		// of several farms' datagrams later fragments are nobody's
		farms{"web": a.farm(listenBoth, persistent), "beside": a.farm(beside, persistent)},
		stay{name: "known", to: both, among: "b2"}, stay{name: "beside", to: besides},
		// a backend may be down for one and up for another
		farms{"web": down(a.farm(listenBoth, persistent)), "beside": a.farm(beside, persistent)}, b1,
		stay{name: "known", to: both, among: "b2"}, stay{name: "beside", to: besides},
		// of UDP web is alone again
		farms{"web": a.farm(listenBoth, persistent), "beside": a.farm(besideTCP, persistent)},
		stay{name: "known", to: both, among: "b2"}, stay{name: "beside", by: "tcp", to: besides}, followed{both, 10},
		stay{name: "known", to: both, among: "b2"},
		farms{"web": down(a.farm(listenBoth, persistent))}, b1,
		stay{name: "known", to: both, among: "b2"}, followed{both, 10},
		farms{"web": a.farm(wholeSecond, persistent)}, b2,
		stay{name: "known", to: bothSecond, among: "b2"}, followed{bothSecond, 10}, stay{name: "known", to: bothSecond, among: "b2"},
		untracked("192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2"),
	}
}

// persistenceBesideMAC: of the backends of one farm one is found by a MAC address of its own.
func (a arm) persistenceBesideMAC() step {
	return deed(func(s *stage) error {
		mac, err := s.mac("b2")
		if err != nil {
			return err
		}
		at := "interface = " + strconv.Quote(a.out)
		return steps{
			farms{"web": lastReplaced(a.farm(byAll, "scheduler = 'hash'\npersistence = {}"), at, at+"\nmac = "+strconv.Quote(mac))},
			stay{name: "mixed", to: both + " " + bothSecond},
			farms{"web": lastReplaced(a.farm(listenBoth, "scheduler = 'hash'\nhash-on = ['source-port']\npersistence = {}"), at, at+"\nmac = "+strconv.Quote(mac))},
			stay{name: "mixed", to: both},
		}.do(s)
	})
}

// memories: each request renews the time, and who is not remembered for want of room is balanced.
func (w way) memories() steps {
	return steps{
		farms{"web": w.stateless(listenBoth, "persistence = { timeout = '1h' }\nscheduler = 'hash'\nhash-on = ['source-port']", "b1", "b2")},
		knownIn(w.table(), map[string]string{"198.51.100.2 timeout 1h expires 30m": "10.2.0.12", "2001:db8:c::2 timeout 1h expires 30m": "fd00:2::12"}),
		as{"198.51.100.2", "tcp udp", "192.0.2.1:80", "b2"}, as{"2001:db8:c::2", "tcp udp", "[2001:db8::1]:80", "b2"},
		renewed(w.table(), "ip4"), renewed(w.table(), "ip6"),
		foreign("flush map " + w.table() + " farmc farm/web/clients-ip4\n"), multitude(w.table()),
		as{"198.51.100.2", "tcp udp", "192.0.2.1:80", "anyone"},
		carry{"tcp", "192.0.2.1:80", 300_000},
		stay{name: "room", to: "[2001:db8::1]:80"},
		// a session for one of the addresses
		farms{"web": w.stateless(`"192.0.2.1:80/tcp,udp", "192.0.2.2:443/tcp,udp"`, `scheduler = 'hash'
			hash-on = ['source-port']
			persistence = { on = ['source-address', 'destination-address'], static = { '198.51.100.7 . 192.0.2.2' = 'b-b2', '198.51.100.8 . 192.0.2.1' = 'b-b2' } }`, "b1", "b2") + "state = 'drain'"},
		as{"198.51.100.7", "tcp udp", "192.0.2.2:443", "b2"}, as{"198.51.100.8", "tcp udp", "192.0.2.1:80", "b2"},
		as{"198.51.100.7", "tcp udp", "192.0.2.1:80", "b1"}, as{"198.51.100.8", "tcp udp", "192.0.2.2:443", "b1"},
	}
}

// persistenceScene: what a client has met by one port, protocol and address it meets by all others of the farm. Hashes over
// ports send it anywhere but for that.
func persistenceScene(mode, scheduler string) scene {
	text := fmt.Sprintf(`
		mode      = %q
		scheduler = %q
		listen    = ["192.0.2.1:80,8000-8100/tcp,udp", "192.0.2.2:443/tcp", "[2001:db8::1]:80,8000-8100/tcp,udp", "[2001:db8::2]:443/tcp", "*:53/tcp,udp"]
		%s
		[persistence]
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		%s
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		[backends.b3]
		address = ["10.2.0.13", "fd00:2::13"]
	`, mode, scheduler, map[string]string{"hash": `hash-on = ["source-port", "destination-address"]`, "maglev": `hash-on = ["source-address", "source-port"]`}[scheduler], "%s")
	const everywhere = "192.0.2.1:80 192.0.2.1:8050 192.0.2.2:443 192.0.2.3:53 192.0.2.1:80 [2001:db8::1]:80 [2001:db8::1]:8050 [2001:db8::2]:443 [2001:db8::3]:53"
	sees := map[string]string{"snat": "balancer"}[mode]
	return scene{name: mode + "-" + scheduler, steps: steps{
		farms{"web": fmt.Sprintf(text, "")},
		stay{name: "kept", to: everywhere, sees: sees},
		farms{"web": fmt.Sprintf(text, "port = 8081")},
		stay{name: "mixed", to: everywhere, sees: sees},
	}}
}

const persistent = `
	listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
	FARM
	[persistence]
	PERSISTENCE
	[backends.b1]
	address = ["10.2.0.11", "fd00:2::11"]
	B1
	[backends.b2]
	address = ["10.2.0.12", "fd00:2::12"]
	[backends.b3]
	address = ["10.2.0.13", "fd00:2::13"]
`

// sticky is a farm with persistence, and what more it and its first backend have.
func sticky(farm, persistence, b1 string) farms {
	return farms{"web": strings.NewReplacer("FARM", farm, "PERSISTENCE", persistence, "B1", b1).Replace(persistent)}
}

var persistentScenes = []scene{
	{name: "whole-address", steps: steps{
		farms{"web": strings.NewReplacer("FARM", `listen = ["192.0.2.1", "2001:db8::1"]`, "PERSISTENCE", "", "B1", "", `listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]`, "").Replace(persistent)},
		stay{name: "all", to: "192.0.2.1:80 192.0.2.1:443 [2001:db8::1]:80 [2001:db8::1]:443 192.0.2.1:53 [2001:db8::1]:53", sees: "balancer"},
	}},
	{name: "servers-of-one-machine", steps: steps{
		sticky("", "", "port = 8081\n[backends.b1-too]\naddress = ['10.2.0.11', 'fd00:2::11']\nport = 8082\n[backends.b1-as-asked]\naddress = ['10.2.0.11', 'fd00:2::11']\n"),
		stay{name: "machine", to: both, sees: "balancer"},
	}},
	{name: "prefix", steps: steps{
		sticky(`mode = "dnat"`, "prefix = [28, 124]", ""),
		deed(func(s *stage) error {
			for _, q := range s.questions("", "tcp udp", both) {
				for i, client := range s.clients(q.to.Addr())[:120] {
					answer, err := q.ask(netip.AddrPortFrom(client, uint16(20000+i)))
					if err == nil {
						network, _ := client.Prefix(client.BitLen() - 4)
						err = s.meetsAgain("prefix", network.Addr(), answer.Backend)
					}
					if err != nil {
						return q.blame(fmt.Errorf("as %s: %w", client, err))
					}
				}
			}
			backends := map[string]bool{}
			for _, b := range s.met["prefix"] {
				backends[b] = true
			}
			if len(backends) < 2 {
				return fmt.Errorf("all networks met %v", backends)
			}
			return nil
		}),
	}},
	{name: "local-clients-and-backend", steps: steps{
		sticky("local-clients = true", "", "[backends.balancer]\naddress = ['10.2.0.1', 'fd00:2::1']\n"),
		// a backend on this machine sees the client itself
		deed(func(s *stage) error {
			for _, q := range s.questions("balancer", "tcp udp", both) {
				for range 12 {
					answer, err := q.ask(netip.AddrPort{})
					if err == nil {
						err = s.meetsAgain("itself", q.to.Addr(), answer.Backend)
					}
					if err != nil {
						return q.blame(err)
					}
				}
			}
			return nil
		}),
		known(map[string]string{"198.51.100.9": "10.2.0.1", "2001:db8:c::9": "100::a02:1"}),
		as{"198.51.100.9", "tcp udp", "192.0.2.1:80", "balancer"}, as{"2001:db8:c::9", "tcp udp", "[2001:db8::1]:80", "balancer"},
	}},
	{name: "backend-at-the-service-itself", steps: steps{
		sticky("", "", "[backends.balancer]\naddress = ['192.0.2.1', '2001:db8::1']\nport = 8081\n"),
		stay{name: "itself", to: both, sees: "whoever"},
	}},
	// the map is believed, unless it names a backend that takes nothing
	{name: "memory", steps: steps{
		sticky("", "", ""),
		known(map[string]string{"198.51.100.2": "10.2.0.12", "2001:db8:c::2": "100::a02:c", "198.51.100.3": "10.2.0.99", "2001:db8:c::3": "fd00:2::99"}),
		as{"198.51.100.2", "tcp udp", "192.0.2.1:80", "b2"}, as{"2001:db8:c::2", "tcp udp", "[2001:db8::1]:80", "b2"},
		stay{name: "anew", to: both, sees: "balancer"},
	}},
	{name: "static", steps: steps{
		sticky("", `static = { "198.51.100.7" = "b2", "198.51.100.64/26" = "b3", "198.51.100.70" = "b1", "2001:db8:c::7" = "b3", "2001:db8:c:1::/64" = "b1", "2001:db8:c::/48" = "b2" }`, "port = 8081"),
		as{"198.51.100.7", "tcp udp", "192.0.2.1:80", "b2"}, as{"198.51.100.66", "tcp udp", "192.0.2.1:80", "b3"}, as{"198.51.100.70", "tcp udp", "192.0.2.1:80", "b1"},
		as{"2001:db8:c::7", "tcp udp", "[2001:db8::1]:80", "b3"}, as{"2001:db8:c::8", "tcp udp", "[2001:db8::1]:80", "b2"},
		stay{name: "others", to: "192.0.2.1:80", sees: "balancer"},
		// while its backend is down a client is like any other
		sticky("", `static = { "198.51.100.7" = "b1", "198.51.100.8" = "b2", "2001:db8:c::7" = "b1", "2001:db8:c::8" = "b2" }`, "state = 'down'"),
		stay{name: "meanwhile", to: both, sees: "balancer", among: "b2 b3"},
		as{"198.51.100.8", "tcp udp", "192.0.2.1:80", "b2"}, as{"2001:db8:c::8", "tcp udp", "[2001:db8::1]:80", "b2"},
	}},
	// who is not remembered for want of room is balanced
	{name: "full-memory", steps: steps{
		sticky("", "", ""),
		multitude("inet"),
		as{"198.51.100.2", "tcp udp", "192.0.2.1:80", "anyone"},
		stay{name: "room", to: "[2001:db8::1]:80", sees: "balancer"},
	}},
	{name: "time", steps: steps{
		sticky("", "timeout = '1s'", ""),
		as{"198.51.100.2", "tcp", "192.0.2.1:80", "anyone"}.once(), as{"2001:db8:c::2", "tcp", "[2001:db8::1]:80", "anyone"}.once(),
		eventually{forgotten("inet", "ip4")}, eventually{forgotten("inet", "ip6")},
		sticky("", "timeout = '1h'", ""),
		known(map[string]string{"198.51.100.2 timeout 1h expires 30m": "10.2.0.12", "2001:db8:c::2 timeout 1h expires 30m": "100::a02:c"}),
		as{"198.51.100.2", "tcp", "192.0.2.1:80", "b2"}, as{"2001:db8:c::2", "tcp", "[2001:db8::1]:80", "b2"},
		renewed("inet", "ip4"), renewed("inet", "ip6"),
	}},
	{name: "drain", steps: steps{
		sticky("", "", "state = 'drain'\nsource-address = ['10.2.0.9', 'fd00:2::9']\nmark = 7"),
		owns{"eth1", "10.2.0.9/24"}, owns{"eth1", "fd00:2::9/64"},
		known(map[string]string{"198.51.100.200": "10.2.0.11", "2001:db8:c::200": "100::a02:b"}),
		as{"198.51.100.200", "tcp udp", "192.0.2.1:80", "b1"}, as{"2001:db8:c::200", "tcp udp", "[2001:db8::1]:80", "b1"},
		stay{name: "others", to: both, sees: "balancer", among: "b2 b3"},
	}},
	{name: "quicker-snat", steps: steps{sticky("", "", ""), quicker{"inet", [2]string{"ip daddr set 10.2.0.12", "ip6 daddr set 100::a02:c"}}, metFirst}},
	{name: "quicker-dnat", steps: steps{
		sticky("mode = 'dnat'\nscheduler = 'round-robin'", "", "connections = 1000"),
		quicker{"inet", [2]string{"ip daddr set 10.2.0.12", "ip6 daddr set 100::a02:c"}}, metFirst,
	}},
	{name: "at-once", steps: steps{
		sticky("", "", ""),
		deed(func(s *stage) error {
			for _, q := range s.questions("", "tcp udp", both) {
				for _, client := range s.clients(q.to.Addr())[100:150] {
					if err := s.atOnce(q, client); err != nil {
						return q.blame(err)
					}
				}
			}
			return nil
		}),
	}},
}
