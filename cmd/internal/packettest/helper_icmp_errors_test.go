package packettest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"farmc/cmd/internal/netlab"
)

// icmpErrors: a router sends ICMP errors about replies. Each arrives at the backend that sent the reply. For a dsr farm
// the quoted packet is unchanged, else it has the backend's address and port.
type icmpErrors struct {
	by, to  string
	backend uint16 // the backend's port; zero for a dsr farm
}

func (c icmpErrors) do(s *testbed) (err error) {
	taps, err := s.backendTaps()
	if err != nil {
		return err
	}
	for _, q := range s.targets("", c.by, c.to) {
		for range 20 {
			if err := q.wrap(c.once(s, q, taps)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c icmpErrors) once(s *testbed, q target, taps map[string]*netlab.Tap) error {
	as := s.newClient(q.from, q.to.Addr())
	answer, err := q.request(as)
	if err != nil {
		return err
	}
	reply := netlab.Packet(q.to.Addr(), as.Addr(), q.protocol(), header(q.to.Port(), as.Port()))
	for name, kind := range icmpErrorKinds {
		packet := kind.About(reply, s.router(as.Addr()), 1300)
		if err := s.Client.SendPacket(packet); err != nil {
			return err
		}
		tap := taps[answer.Backend]
		if tap == nil {
			return fmt.Errorf("%s is no backend", answer.Backend)
		}
		quoted := packet[len(packet)-len(reply)-8:]
		if c.backend != 0 {
			quoted = binary.BigEndian.AppendUint16(nil, c.backend) // the reply's source port
			quoted = binary.BigEndian.AppendUint16(quoted, as.Port())
		}
		if _, err := tap.Next(answerTimeout,
			func(got []byte) bool { return isICMP(got) && bytes.Contains(got, quoted) }); err != nil {
			return fmt.Errorf("as %s: ICMP %s does not reach %s: %w", as, name, answer.Backend, err)
		}
	}
	return nil
}

func isICMP(packet []byte) bool {
	return protocolOf(packet) == protocolICMP || protocolOf(packet) == protocolICMP6
}

var icmpErrorKinds = map[string]netlab.ICMPError{"too big": netlab.TooBig, "unreachable": netlab.Unreachable,
	"exceeded": netlab.Exceeded}

// router is the address of a router in the client's network.
func (s *testbed) router(like netip.Addr) netip.Addr {
	if like.Is6() {
		return netip.MustParseAddr("2001:db8:c::ff")
	}
	return netip.MustParseAddr("198.51.100.254")
}
