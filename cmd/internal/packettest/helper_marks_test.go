package packettest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
)

// requestsMarked: clients send requests to b1 and b2, and all packets have these marks.
type requestsMarked struct {
	to, sees string
	b1, b2   uint32
}

func (m requestsMarked) do(s *testbed) error {
	port := netip.MustParseAddrPort(firstWord(m.to)).Port()
	want := map[string]uint32{"b1": m.b1, "b2": m.b2}
	return steps{
		request{by: "tcp udp", to: m.to, shares: shares{fmt.Sprintf("b1:%d", port): 1, fmt.Sprintf("b2:%d", port): 1},
			times: 16, sees: m.sees},
		seenMarks{"forward", m.to, want},
		seenMarks{"postrouting", m.to, want},
	}.do(s)
}

func firstWord(text string) (word string) {
	fmt.Sscan(text, &word)
	return word
}

// seenMarks are the connection marks of all packets that markTrace saw at a hook, from clients of services to machines.
type seenMarks struct {
	hook, to string
	want     map[string]uint32
}

func (m seenMarks) do(s *testbed) error {
	for _, to := range strings.Fields(m.to) {
		service := netip.MustParseAddrPort(to)
		got, err := s.tracedMarks(m.hook, service)
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

// tracedMarks are the machines and marks of the packets that markTrace saw for a service.
func (s *testbed) tracedMarks(hook string, service netip.AddrPort) (map[string]bool, error) {
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
				seen[fmt.Sprintf("%s %#x", s.backendSideName(machine), uint32(key[0].(float64)))] = true
			}
		}
	}
	return seen, nil
}

// backendSideName is the name of the machine with this address on the backends' link, else the address.
func (s *testbed) backendSideName(a netip.Addr) string {
	for _, h := range s.machines() {
		if address(h, a) == a {
			return h.Name
		}
	}
	return a.String()
}
