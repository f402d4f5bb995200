package packettest

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

// kernelScenes: what lies beside the choice of a backend.
var kernelScenes = []scene{
	{name: "no-marks", steps: steps{
		foreign(`table inet spy {
			chain postrouting { type filter hook postrouting priority 300; meta mark != 0 drop; ct mark != 0 drop; }
			chain input { type filter hook input priority 300; meta mark != 0 drop; ct mark != 0 drop; }
		}`),
		farms{
			"snat":  weightedBy("random", 3, 1),
			"dnat":  one("dnat", `"192.0.2.2:80,443,8000-8100/tcp,udp", "[2001:db8::2]:80,443,8000-8100/tcp,udp"`, "b1", 0, `scheduler = "hash"`),
			"turns": one("snat", `"*:443/tcp,udp"`, "b2", 0, `scheduler = "round-robin"`),
			"all":   one("snat", `"192.0.2.3", "2001:db8::3"`, "b3", 0),
		},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, times: 40, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b1:443": 1}},
		ask{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b1:8050": 1}},
		ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b3:443": 1}, sees: "balancer"},
		deed(unmarked),
	}},
	{name: "established-meets-no-rule", steps: steps{
		farms{"web": weightedBy("random", 3, 1), "mail": "invalid = 'pass'\n" + whole("dnat", "round-robin"), "any": one("snat", `"*:443,8000-8100/tcp,udp"`, "b1", 0)},
		hold{by: "tcp udp", to: both + " 192.0.2.1:443 [2001:db8::1]:443 192.0.2.2:443 [2001:db8::2]:443 192.0.2.2:8050 [2001:db8::2]:8050"},
		deed(onlyNewMeetRules),
	}},
	// backends of mode dnat answer clients through this machine
	{name: "established-of-dnat-meet-one-chain", steps: steps{
		farms{"web": weightedBy("random", 3, 1), "mail": whole("dnat", "round-robin")},
		hold{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443"},
		deed(establishedMeetOneChain),
	}},
	// a farm without local-clients has no part in them, with and without backends
	{name: "local-is-not-looked-for", steps: steps{
		spy, spyOut,
		farms{"web": one("snat", listenBoth, "b1", 0), "any": one("snat", `"*:443/tcp,udp"`, "b1", 0)},
		localsMeet{"farmc invalid-input", "farmc postrouting", "spy output", "spy prerouting"},
		farms{"web": one("snat", listenBoth, "b1", 0) + `state = "down"`},
		localsMeet{"farmc invalid-input", "spy output", "spy prerouting"},
	}},
	{name: "large-packets", steps: steps{
		farms{
			"snat":  one("snat", listenBoth, "b1", 8081),
			"dnat":  one("dnat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 0),
			"range": one("snat", `"192.0.2.2:8000-8100/tcp,udp", "[2001:db8::2]:8000-8100/tcp,udp"`, "b3", 0),
			"all":   one("dnat", `"192.0.2.3", "2001:db8::3"`, "b1", 0),
		},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
		carry{"udp", both, 4000}, carry{"tcp", both, 300_000},
		ask{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b2:80": 1}},
		carry{"udp", "192.0.2.2:80 [2001:db8::2]:80", 4000}, carry{"tcp", "192.0.2.2:80 [2001:db8::2]:80", 300_000},
		ask{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b3:8050": 1}, sees: "balancer"},
		carry{"udp", "192.0.2.2:8050 [2001:db8::2]:8050", 4000}, carry{"tcp", "192.0.2.2:8050 [2001:db8::2]:8050", 300_000},
		ask{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b1:80": 1}},
		carry{"udp", "192.0.2.3:80 [2001:db8::3]:80", 4000}, carry{"tcp", "192.0.2.3:80 [2001:db8::3]:80", 300_000},
	}},
	// a farm that takes whole addresses, of the very link that clients come by
	{name: "neighbour-discovery", steps: steps{
		farms{"all": one("dnat", `"203.0.113.1", "2001:db8:f::1"`, "b1", 0)},
		ask{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", shares: shares{"b1:80": 1}},
		pings{to: "203.0.113.1 2001:db8:f::1", shares: shares{"b1": 1}},
		deed(neighboursAnswer),
		farms{"all": one("dnat", `"203.0.113.1", "2001:db8:f::1"`, "b1", 0) + `state = "down"`},
		refused{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80"},
		deed(neighboursAnswer),
	}},
}

// unmarked: no connection has a mark.
func unmarked(s *stage) error {
	for _, like := range []string{"0.0.0.0", "::"} {
		flows, err := s.flows(netip.MustParseAddr(like))
		if err != nil || len(flows) == 0 {
			return fmt.Errorf("%d connections: %w", len(flows), err)
		}
		for _, flow := range flows {
			if flow.Mark != 0 {
				return fmt.Errorf("a connection has a mark: %v", flow)
			}
		}
	}
	return nil
}

// neighboursAnswer: the client finds the balancer's link, when it probes an entry of its own by unicast, as it does
// from time to time, and when it has none.
func neighboursAnswer(s *stage) error {
	for _, gateway := range []string{"203.0.113.1", "2001:db8:f::1"} {
		at := netip.MustParseAddr(gateway)
		err := s.Client.Do(func() error { return probe(at) })
		if err == nil {
			err = s.Client.Do(func() error { return rediscover(at) })
		}
		if err != nil {
			return fmt.Errorf("neighbour %s: %w", gateway, err)
		}
	}
	return nil
}

func probe(gateway netip.Addr) error {
	entry, err := neighbour(gateway)
	if err != nil {
		return err
	}
	entry.State = netlink.NUD_PROBE
	if err := netlink.NeighSet(&entry); err != nil {
		return err
	}
	return awaitNeighbour(gateway)
}

func rediscover(gateway netip.Addr) error {
	entry, err := neighbour(gateway)
	if err != nil {
		return err
	}
	if err := netlink.NeighDel(&entry); err != nil {
		return err
	}
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	fresh := netlink.Neigh{LinkIndex: link.Attrs().Index, IP: gateway.AsSlice(), State: netlink.NUD_NONE, Flags: netlink.NTF_USE}
	if err := netlink.NeighAdd(&fresh); err != nil {
		return err
	}
	return awaitNeighbour(gateway)
}

func awaitNeighbour(gateway netip.Addr) error {
	for end := deadline(); ; {
		entry, err := neighbour(gateway)
		if err == nil && entry.State == netlink.NUD_REACHABLE {
			return nil
		}
		if end.over() || entry.State == netlink.NUD_FAILED {
			return fmt.Errorf("it is in state %#x, %w", entry.State, err)
		}
	}
}

func neighbour(address netip.Addr) (netlink.Neigh, error) {
	all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	for _, n := range all {
		if n.IP.Equal(address.AsSlice()) {
			return n, err
		}
	}
	return netlink.Neigh{}, os.ErrNotExist
}
