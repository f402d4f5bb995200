package packettest

import (
	"fmt"
	"net/netip"
)

// meet asks as 100 clients, by one protocol and address, and remembers under its name who answered whom. The next
// meeting of that name has to be the same.
type meet struct{ name, by, to string }

func (m meet) do(s *stage) error {
	q := s.questions("", m.by, m.to)[0]
	s.meetings++
	met := map[netip.Addr]string{}
	for _, client := range s.clients(q.to.Addr())[:100] {
		answer, err := q.ask(netip.AddrPortFrom(client, uint16(20000+s.meetings)))
		if err != nil {
			return q.blame(err)
		}
		met[client] = fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port())
	}
	moved := 0
	for client, backend := range s.met[m.name] {
		if met[client] != backend {
			moved++
		}
	}
	if moved > 0 {
		return q.blame(fmt.Errorf("%d of %d clients met another backend than before", moved, len(met)))
	}
	s.met[m.name] = met
	return nil
}
