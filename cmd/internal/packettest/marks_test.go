package packettest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"testing"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	play(t, markScenes())
}

// markSpy is somebody else's: it sets bits of its own on every connection before a farm sees it, and counts by
// connection mark what is forwarded, what leaves and what comes to the machine itself.
const markSpy = foreign(`table inet spy {
	set forward-ip4 { type mark . ipv4_addr; size 1000; flags dynamic; }
	set forward-ip6 { type mark . ipv6_addr; size 1000; flags dynamic; }
	set postrouting-ip4 { type mark . ipv4_addr; size 1000; flags dynamic; }
	set postrouting-ip6 { type mark . ipv6_addr; size 1000; flags dynamic; }
	set input-ip4 { type mark . ipv4_addr; size 1000; flags dynamic; }
	set input-ip6 { type mark . ipv6_addr; size 1000; flags dynamic; }
	chain prerouting { type filter hook prerouting priority mangle; iifname != "lo" ct state new ct mark set 0x5a000000; }
	chain output { type filter hook output priority mangle; ct state new ct mark set 0x5a000000; }
	chain forward {
		type filter hook forward priority 300
		ct direction original update @forward-ip4 { ct mark . ip daddr counter }
		ct direction original update @forward-ip6 { ct mark . ip6 daddr counter }
	}
	chain postrouting {
		type filter hook postrouting priority 300
		ct direction original update @postrouting-ip4 { ct mark . ip daddr counter }
		ct direction original update @postrouting-ip6 { ct mark . ip6 daddr counter }
	}
	chain input {
		type filter hook input priority 300
		ct direction original update @input-ip4 { ct mark . ip daddr counter }
		ct direction original update @input-ip6 { ct mark . ip6 daddr counter }
	}
}`)

func markScenes() (all []scene) {
	for _, mode := range []string{"snat", "dnat"} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			all = append(all, markScene(mode, scheduler))
		}
	}
	return append(all, scene{name: "local", steps: steps{
		markSpy,
		farms{"web": `
			mode          = "dnat"
			listen        = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			mark          = "0x10/0xff"
			local-clients = true
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			mark    = "0x1000/0xf000"
			[backends.balancer]
			address = ["10.2.0.1", "fd00:2::1"]
			mark    = "0x2000/0xf000"
		`},
		ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1, "balancer:80": 1}, times: 30},
		marks{"forward", map[string]uint32{"b1": 0x5a001010}},
		marks{"input", map[string]uint32{"balancer": 0x5a002010}},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:80": 1, "balancer:80": 1}, times: 30, sees: "192.0.2.1 2001:db8::1"},
		marks{"postrouting", map[string]uint32{"b1": 0x5a001010, "balancer": 0x5a002010}},
	}})
}

func markScene(mode, scheduler string) scene {
	farm := func(listen, keys, b1, b2 string) string {
		return fmt.Sprintf(`
			mode      = %q
			scheduler = %q
			listen    = [%s]
			%s
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			%s
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			%s
		`, mode, scheduler, listen, keys, b1, b2)
	}
	sees := map[string]string{"snat": "balancer", "dnat": ""}[mode]
	return scene{name: mode + "-" + scheduler, steps: steps{
		markSpy,
		farms{
			"all-bits":      farm(listenBoth, `mark = 0x10`, ``, ``),
			"some-bits":     farm(`"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, `mark = "0x10/0xff"`, ``, ``),
			"backends":      farm(`"192.0.2.2", "2001:db8::2"`, ``, `mark = 0x11`, `mark = "0x12/0xff"`),
			"beside":        farm(`"192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp"`, ``, ``, ``),
			"both":          farm(`"*:443/tcp,udp"`, `mark = "0x2000/0xf000"`, `mark = "0x11/0xff"`, ``),
			"both-the-same": farm(`"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, `mark = "0x10/0xff"`, `mark = "0x20/0xff"`, ``),
			"none-of-them":  farm(`"192.0.2.4:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`, `mark = "0/0xff000000"`, ``, `mark = "0x7/0xf"`),
		},
		marked{"192.0.2.1:80 [2001:db8::1]:80", sees, 0x10, 0x10},
		marked{"192.0.2.1:8050 [2001:db8::1]:8050", sees, 0x5a000010, 0x5a000010},
		marked{"192.0.2.2:80 [2001:db8::2]:80", sees, 0x11, 0x5a000012},
		marked{"192.0.2.2:53 [2001:db8::2]:53", sees, 0x5a000000, 0x5a000000},
		marked{"192.0.2.1:443 [2001:db8::1]:443", sees, 0x5a002011, 0x5a002000},
		marked{"192.0.2.3:80 [2001:db8::3]:80", sees, 0x5a000020, 0x5a000010},
		marked{"192.0.2.4:80 [2001:db8::4]:80", sees, 0, 0x7},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 1, "b2": 1}},
		marks{"forward", map[string]uint32{"b1": 0x11, "b2": 0x5a000012}},
		marks{"postrouting", map[string]uint32{"b1": 0x11, "b2": 0x5a000012}},
	}}
}

// A marked has clients ask services of b1 and b2, all packets to which have to have these marks.
type marked struct {
	to, sees string
	b1, b2   uint32
}

func (m marked) do(s *stage) error {
	port := netip.MustParseAddrPort(firstWord(m.to)).Port()
	want := map[string]uint32{"b1": m.b1, "b2": m.b2}
	return steps{
		ask{by: "tcp udp", to: m.to, shares: shares{fmt.Sprintf("b1:%d", port): 1, fmt.Sprintf("b2:%d", port): 1}, times: 16, sees: m.sees},
		marks{"forward", want},
		marks{"postrouting", want},
	}.do(s)
}

func firstWord(text string) (word string) {
	fmt.Sscan(text, &word)
	return word
}

// A marks says which connection marks all packets had that the spy saw at a hook on their way to machines, in either
// family, since it was asked last.
type marks struct {
	hook string
	want map[string]uint32
}

func (m marks) do(s *stage) error {
	for _, suffix := range []string{"ip4", "ip6"} {
		got, err := s.spied(m.hook + "-" + suffix)
		if err != nil {
			return err
		}
		if want := spelled(m.want); !maps.Equal(got, want) {
			return fmt.Errorf("%s-%s: %v, want %v", m.hook, suffix, got, want)
		}
	}
	return nil
}

func spelled(marks map[string]uint32) map[string]bool {
	out := map[string]bool{}
	for name, mark := range marks {
		out[fmt.Sprintf("%s %#x", name, mark)] = true
	}
	return out
}

// spied gives what the spy saw, and has it forget that.
func (s *stage) spied(set string) (map[string]bool, error) {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "-j", "list set inet spy "+set)
	if err != nil {
		return nil, err
	}
	var listed struct {
		Nftables []struct {
			Set struct {
				Elem []struct {
					Elem struct {
						Val struct{ Concat []any }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &listed); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	seen := map[string]bool{}
	for _, o := range listed.Nftables {
		for _, e := range o.Set.Elem {
			mark, to := uint32(e.Elem.Val.Concat[0].(float64)), netip.MustParseAddr(e.Elem.Val.Concat[1].(string))
			seen[fmt.Sprintf("%s %#x", s.nameOf(to), mark)] = true
		}
	}
	return seen, foreign("flush set inet spy " + set).do(s)
}

// nameOf is the machine that has the address among the backends, else the address.
func (s *stage) nameOf(a netip.Addr) string {
	for _, h := range s.machines() {
		if address(h, a) == a {
			return h.Name
		}
	}
	return a.String()
}
