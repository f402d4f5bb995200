package packettest

import (
	"strconv"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

func TestIngress(t *testing.T) {
	t.Parallel()
	for _, arm := range arms {
		for _, c := range ingressScenes(arm) {
			c.name, c.lab = arm.name+"-"+c.name, arm.lab
			play(t, []scene{c})
		}
	}
	play(t, twoArmedScenes)
}

func ingressScenes(arm arm) []scene {
	range8050 := "192.0.2.1:8050 [2001:db8::1]:8050"
	return []scene{
		{name: "fragments", steps: steps{
			farms{"web": arm.farm(byAll)},
			followed{both + " " + range8050 + " " + bothSecond, 10},
			farms{"web": arm.farm(byAll, `hash-on = ["source-address", "destination-address"]`)},
			followed{both + " " + range8050 + " " + bothSecond, 10},
			untracked("192.0.2.1 2001:db8::1"),
		}},
		{name: "fragments-symmetric-hash", steps: steps{
			farms{"web": arm.farm(byAll, `scheduler = "symmetric-hash"`)},
			followed{both + " " + bothSecond, 10},
		}},
		{name: "errors", steps: steps{
			farms{"web": arm.farm(byAll)},
			complain{by: "tcp udp", to: both + " " + range8050 + " " + bothSecond},
			farms{"web": arm.farm(byAll, `scheduler = "hash"`)},
			complain{by: "tcp udp", to: both + " " + range8050 + " " + bothSecond},
		}},
		{name: "errors-by-port", steps: steps{
			farms{"web": arm.farm(manyPorts, `hash-on = ["source-address", "source-port"]`)},
			complain{by: "tcp udp", to: both + " " + range8050},
			farms{"web": arm.farm(manyPorts, `hash-on = ["source-address", "destination-address", "source-port", "destination-port"]`)},
			complain{by: "tcp udp", to: both + " " + range8050},
		}},
		{name: "errors-by-addresses", steps: steps{
			farms{"web": arm.farm(byAll, `hash-on = ["source-address", "destination-address"]`)},
			complain{by: "tcp udp", to: both + " " + range8050 + " " + bothSecond},
		}},
		{name: "every-protocol", steps: steps{
			farms{"web": arm.farm(wholeSecond)},
			portless{bothSecond, 253, []byte("no ports here")},
			portless{bothSecond, protocolSCTP, netlab.SCTPInit(5000, 80)},
		}},
		{name: "sctp", steps: steps{
			farms{"web": arm.farm(`"192.0.2.1:80,8000-8100/tcp,sctp", "[2001:db8::1]:80,8000-8100/tcp,sctp"`)},
			portless{both, protocolSCTP, netlab.SCTPInit(5000, 80)},
			portless{range8050, protocolSCTP, netlab.SCTPInit(5000, 8050)},
		}},
		{name: "last-backend-down", steps: steps{
			farms{"web": arm.farm(byAll)},
			reach{by: "tcp", to: both + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			farms{"web": strings.ReplaceAll(arm.farm(byAll), "address ", "state = \"down\"\naddress ")},
			silent{"tcp udp", both + " " + bothSecond},
			silentPings("192.0.2.2 2001:db8::2"),
			pings{to: "192.0.2.1 2001:db8::1 192.0.2.3 2001:db8::3", shares: shares{"balancer": 1}},
			ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:443": 1}},
			ask{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"balancer:80": 1}},
			farms{"web": arm.farm(byAll)},
			reach{by: "tcp", to: both + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 20},
		}},
		{name: "neighbours", steps: steps{
			farms{"web": arm.farm(wholeSecond)},
			on{"balancer", "ip address add 2001:db8::2/128 dev eth0 nodad"},
			on{"client", "ip route add 192.0.2.2/32 dev eth0\nip -6 route add 2001:db8::2/128 dev eth0"},
			reach{by: "tcp", to: bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			probed("192.0.2.2 2001:db8::2"),
			reach{by: "tcp", to: bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 20},
		}},
		{name: "frames-for-others", steps: steps{
			farms{"web": arm.farm(byAll)},
			overheard{both},
		}},
		{name: "mac", steps: steps{
			farms{"web": arm.nowhere("")},
			silent{"tcp udp", both},
			deed(func(s *stage) error {
				mac, err := s.mac("b1")
				if err != nil {
					return err
				}
				return steps{
					farms{"web": arm.nowhere(mac)},
					reach{by: "tcp udp", to: both + " " + bothSecond, shares: shares{"b1": 1}, clients: 20},
					complain{by: "tcp udp", to: both + " " + bothSecond},
					followed{both + " " + bothSecond, 5},
				}.do(s)
			}),
		}},
		{name: "mac-beside-others", steps: steps{deed(func(s *stage) error {
			mac, err := s.mac("b2")
			if err != nil {
				return err
			}
			given := "interface = " + strconv.Quote(arm.out) + "\n\t\tmac = " + strconv.Quote(mac) // of b2 alone
			farm := lastReplaced(arm.farm(byAll), "interface = "+strconv.Quote(arm.out), given)
			byMAC := lastReplaced(arm.farm(byAll, "scheduler = \"hash\"\nhash-on = [\"source-address\", \"source-mac\", \"destination-mac\"]"), "interface = "+strconv.Quote(arm.out), given)
			return steps{
				farms{"web": farm},
				reach{by: "tcp udp", to: both + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}},
				complain{by: "tcp udp", to: both + " " + bothSecond},
				farms{"web": byMAC},
				reach{by: "tcp udp", to: both + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}},
			}.do(s)
		})}},
		{name: "mac-changes", steps: steps{
			hasty(arm.out),
			farms{"web": arm.farm(manyPorts)},
			reach{by: "tcp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 40},
			on{"b1", "ip link set eth0 address 02:00:00:00:be:01"},
			again{both},
			reach{by: "tcp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 40},
			replugged("b1"),
			again{both},
			reach{by: "tcp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 40},
		}},
		{name: "beside-dnat", steps: steps{
			on{"balancer", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"},
			farms{
				"whole": arm.farm(wholeSecond),
				"port":  one("snat", `"192.0.2.2:443/tcp,udp", "[2001:db8::2]:443/tcp,udp"`, "b3", 8083),
				"range": one("snat", `"192.0.2.2:8000-8100/tcp,udp", "[2001:db8::2]:8000-8100/tcp,udp"`, "b3", 0),
				"other": one("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b3", 8083),
				"any":   one("snat", `"*:80,53/tcp,udp"`, "b3", 8083),
			},
			reach{by: "tcp udp", to: bothSecond + " 192.0.2.2:53 [2001:db8::2]:53", shares: shares{"b1": 3, "b2": 1}, clients: 40},
			ask{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443 192.0.2.3:80 [2001:db8::3]:80 192.0.2.4:53 [2001:db8::4]:53", shares: shares{"b3:8083": 1}, sees: "balancer"},
			ask{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b3:8050": 1}, sees: "balancer"},
			carry{by: "udp", to: "192.0.2.3:80 [2001:db8::3]:80 192.0.2.4:53 [2001:db8::4]:53", size: 4000},
			complain{by: "tcp udp", to: bothSecond},
			complain{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", backend: 8083},
			complain{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", backend: 8050},
		}},
		{name: "fragments-of-another-farm", steps: steps{
			on{"balancer", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"},
			farms{
				"web":  arm.farm(`"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"`),
				"port": one("snat", `"192.0.2.1:443/tcp,udp", "[2001:db8::1]:443/tcp,udp"`, "b3", 8083),
			},
			carry{by: "udp", to: "192.0.2.1:443 [2001:db8::1]:443", size: 4000},
		}},
	}
}

var twoArmedScenes = []scene{
	{name: "replies-through-the-balancer", lab: netlab.Options{BackendVIPs: true, NoVIPs: true}, steps: steps{
		farms{"web": arms[1].farm(byAll)},
		reach{by: "tcp udp", to: both + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 40},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 3, "b2": 1}},
	}},
	{name: "replies-through-the-balancer-that-owns-the-address", lab: netlab.Options{BackendVIPs: true}, steps: steps{
		farms{"web": arms[1].farm(byAll)},
		reach{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"b1": 3, "b2": 1}, clients: 40},
		silent{"tcp", "192.0.2.1:80"}, // martians, as long as
		on{"balancer", "sysctl -qw net.ipv4.conf.eth1.accept_local=1"},
		reach{by: "tcp udp", to: both + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 40},
	}},
	{name: "two-ways-out", lab: arms[1].lab, steps: steps{
		deed(func(s *stage) error { return s.Plug(s.Balancer, "eth2") }),
		on{"balancer", "ip address add 10.2.0.2/24 dev eth2 noprefixroute"}, // to ask for neighbours from
		farms{"web": strings.Replace(arms[1].farm(byAll), `interface = "eth1"`, `interface = "eth2"`, 1)},
		reach{by: "tcp udp", to: both + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 3, "b2": 1}},
		complain{by: "tcp udp", to: both + " " + bothSecond},
		followed{both + " " + bothSecond, 10},
		sent{"eth1", "eth2"},
	}},
	{name: "two-ways-in", lab: arms[1].lab, steps: steps{
		on{"client", "ip route add 192.0.2.4/32 via 10.2.0.1\nip -6 route add 2001:db8::4/128 via fd00:2::1"},
		farms{"web": strings.Replace(arms[1].farm(`"192.0.2.3:80/tcp,udp", "192.0.2.4:80/tcp,udp", "[2001:db8::3]:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`), `["eth0"]`, `["eth0", "eth1"]`, 1)},
		reach{by: "tcp udp", to: "192.0.2.3:80 192.0.2.4:80 [2001:db8::3]:80 [2001:db8::4]:80", shares: shares{"b1": 3, "b2": 1}, clients: 40},
	}},
	{name: "other-ways-in-are-left-alone", lab: arms[1].lab, steps: steps{
		on{"client", "ip route add 192.0.2.4/32 via 10.2.0.1\nip -6 route add 2001:db8::4/128 via fd00:2::1"},
		farms{"web": arms[1].farm(`"192.0.2.3:80/tcp,udp", "192.0.2.4:80/tcp,udp", "[2001:db8::3]:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`)},
		reach{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b1": 3, "b2": 1}, clients: 40},
		ask{by: "tcp udp", to: "192.0.2.4:80 [2001:db8::4]:80", shares: shares{"balancer:80": 1}},
	}},
	// the port is one of both interfaces, the whole address of one
	{name: "more-particular-on-more-interfaces", lab: arms[1].lab, steps: steps{
		on{"client", "ip route add 192.0.2.4/32 via 10.2.0.1\nip -6 route add 2001:db8::4/128 via fd00:2::1"},
		farms{
			"whole": one("dsr", `"192.0.2.3", "192.0.2.4", "2001:db8::3", "2001:db8::4"`, "b3", 0, `interfaces = ["eth0"]`) + `interface = "eth1"`,
			"port":  strings.Replace(arms[1].farm(`"192.0.2.3:80/tcp,udp", "192.0.2.4:80/tcp,udp", "[2001:db8::3]:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`), `["eth0"]`, `["eth0", "eth1"]`, 1),
		},
		reach{by: "tcp udp", to: "192.0.2.3:80 192.0.2.4:80 [2001:db8::3]:80 [2001:db8::4]:80", shares: shares{"b1": 3, "b2": 1}, clients: 40},
		reach{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b3": 1}, clients: 10},
		ask{by: "tcp udp", to: "192.0.2.4:443 [2001:db8::4]:443", shares: shares{"balancer:443": 1}},
		followed{"192.0.2.3:443 [2001:db8::3]:443", 5},
	}},
}
