package packettest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
)

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
		marks{"forward", m.to, want},
		marks{"postrouting", m.to, want},
	}.do(s)
}

func firstWord(text string) (word string) {
	fmt.Sscan(text, &word)
	return word
}

// A marks says which connection marks all packets had that the spy saw at a hook on their way from clients of services to
// machines.
type marks struct {
	hook, to string
	want     map[string]uint32
}

func (m marks) do(s *stage) error {
	for _, to := range strings.Fields(m.to) {
		service := netip.MustParseAddrPort(to)
		got, err := s.spied(m.hook, service)
		if err != nil {
			return err
		}
		want := map[string]bool{}
		for name, mark := range m.want {
			want[fmt.Sprintf("%s %#x", name, mark)] = true
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("%s of %s: %v, want %v", m.hook, to, got, want)
		}
	}
	return nil
}

// spied is by which machine and mark the spy saw packets of a service's clients.
func (s *stage) spied(hook string, service netip.AddrPort) (map[string]bool, error) {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "-j", "list set inet spy "+hook+"-ip"+family(service.Addr()))
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
			key := e.Elem.Val.Concat // mark, service, its port if there is one, machine
			if key[1] == service.Addr().String() && (len(key) == 3 || key[2] == float64(service.Port())) {
				machine := netip.MustParseAddr(key[len(key)-1].(string))
				seen[fmt.Sprintf("%s %#x", s.nameOf(machine), uint32(key[0].(float64)))] = true
			}
		}
	}
	return seen, nil
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
