package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// probeNeighbours has the client's kernel probe these addresses again.
func probeNeighbours(addresses string) step {
	return stepFunc(func(s *testbed) error {
		mac, err := s.mac("balancer")
		if err != nil {
			return err
		}
		for _, a := range strings.Fields(addresses) {
			if err := (runOn{"client",
				"ip neighbour replace " + a + " lladdr " + mac + " dev eth0 nud probe"}).do(s); err != nil {
				return err
			}
			if err := s.awaitReachable(a); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *testbed) awaitReachable(address string) error {
	for end := deadline(); ; {
		out, err := s.Client.Run(s.ctx, "", "ip", "neighbour", "show", address)
		if err != nil || strings.Contains(out, "REACHABLE") {
			return err
		}
		if end.over() || strings.Contains(out, "FAILED") {
			return fmt.Errorf("the neighbour is %s", out)
		}
	}
}

// shortNeighbourTimes has the balancer probe its neighbours soon, instead of after a minute.
func shortNeighbourTimes(link string) step {
	return stepFunc(func(s *testbed) error {
		var all []error
		for _, family := range []string{"ipv4", "ipv6"} {
			for _, setting := range [][2]string{{"base_reachable_time_ms", "100"}, {"delay_first_probe_time", "0"},
				{"retrans_time_ms", "20"}} {
				all = append(all, s.Balancer.Sysctl("net."+family+".neigh."+link+"."+setting[0], setting[1]))
			}
		}
		return errors.Join(all...)
	})
}

// requestUntilAnswered repeats requests until each of 40 clients is answered.
type requestUntilAnswered struct{ to string }

func (a requestUntilAnswered) do(s *testbed) error {
	for _, q := range s.targets("", "udp", a.to) {
		for range 40 {
			as := s.newClient(q.from, q.to.Addr()).Addr()
			for end := deadline(); ; {
				_, err := q.from.Ask(q.network, as, q.to, 50*time.Millisecond)
				if err == nil {
					break
				}
				if end.over() {
					return q.wrap(err)
				}
			}
		}
	}
	return nil
}

// neighboursAnswer: the client finds the balancer's link when it probes an existing entry by unicast, as kernels do
// from time to time, and when it has no entry.
func neighboursAnswer(s *testbed) error {
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
	fresh := netlink.Neigh{LinkIndex: link.Attrs().Index, IP: gateway.AsSlice(), State: netlink.NUD_NONE,
		Flags: netlink.NTF_USE}
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
