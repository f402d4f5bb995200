package packettest

import (
	"fmt"
	"net/netip"
)

// sameBackendAt sends requests from 25 clients to several ports, over TCP and UDP. Each client has to reach one backend
// at all of them, and not all clients the same one.
type sameBackendAt struct {
	to, sees string
	ports    map[uint16]uint16 // of each backend, by the port that the client asks for; nil: any
}

func (m sameBackendAt) do(s *testbed) error {
	for _, by := range []string{"192", "[20"} {
		if err := m.inFamily(s, by); err != nil {
			return err
		}
	}
	return nil
}

// inFamily asks the targets of a family, which begin alike.
func (m sameBackendAt) inFamily(s *testbed, begin string) error {
	backendOf, all := map[netip.Addr]string{}, map[string]bool{}
	for _, q := range s.targets("", "tcp udp", m.to) {
		if q.to.Addr().Is6() != (begin == "[20") {
			continue
		}
		for _, client := range s.clients(q.to.Addr())[:25] {
			as := netip.AddrPortFrom(client, s.newClient(s.Client, client).Port())
			answer, err := q.request(as)
			if err != nil {
				return q.wrap(err)
			}
			if want := m.ports[q.to.Port()]; want != 0 && answer.Local.Port() != want {
				return q.wrap(fmt.Errorf("%s answers on port %d, want %d", answer.Backend, answer.Local.Port(), want))
			}
			if before := backendOf[client]; before != "" && before != answer.Backend {
				return q.wrap(fmt.Errorf("as %s: %s answers, want %s as before", client, answer.Backend, before))
			}
			backendOf[client], all[answer.Backend] = answer.Backend, true
		}
	}
	if len(all) < 2 {
		return fmt.Errorf("all clients have %v", all)
	}
	return nil
}
