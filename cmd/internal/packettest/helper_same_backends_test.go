package packettest

import (
	"fmt"
	"net/netip"
)

// sameBackends sends requests from 100 clients, and records their backends under the name. A later step with the same
// name has to find the same backends.
type sameBackends struct{ name, by, to string }

func (m sameBackends) do(s *testbed) error {
	q := s.targets("", m.by, m.to)[0]
	s.meetings++
	met := map[netip.Addr]string{}
	for _, client := range s.clients(q.to.Addr())[:100] {
		answer, err := q.request(netip.AddrPortFrom(client, uint16(20000+s.meetings)))
		if err != nil {
			return q.wrap(err)
		}
		met[client] = fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port())
	}
	moved := 0
	for client, backend := range s.backendOf[m.name] {
		if met[client] != backend {
			moved++
		}
	}
	if moved > 0 {
		return q.wrap(fmt.Errorf("%d of %d clients have another backend than before", moved, len(met)))
	}
	s.backendOf[m.name] = met
	return nil
}
