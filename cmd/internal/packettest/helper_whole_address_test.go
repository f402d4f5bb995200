package packettest

import (
	"fmt"
	"net/netip"
	"strings"
)

// sameBackendForAll: the backend that answers a client over TCP also gets its packets of all other protocols. For each
// backend, so many clients send protocols without ports. Mode snat allows one at a time, because a reply to the
// balancer has nothing else that tells its client.
type sameBackendForAll struct {
	mode, to string
	each     int
}

func (w sameBackendForAll) do(s *testbed) error {
	hearing, err := s.capture(s.endHosts()...)
	if err != nil {
		return err
	}
	defer hearing.close()
	for _, word := range strings.Fields(w.to) {
		to, met := netip.MustParseAddr(word), map[string]int{}
		for _, client := range s.clients(to)[:30] {
			who, err := s.requestAndPing(client, to)
			if err != nil {
				return fmt.Errorf("%s to %s: %w", client, to, err)
			}
			if met[who]++; met[who] > w.each {
				continue
			}
			if err := w.portless(s, client, to, who, hearing); err != nil {
				return fmt.Errorf("%s to %s: %w", client, to, err)
			}
		}
		if len(met) != 2 || met["b1"] < w.each || met["b2"] < w.each {
			return fmt.Errorf("clients of %s have %v", to, met)
		}
	}
	return nil
}

// requestAndPing sends a request over TCP and an ICMP echo.
func (s *testbed) requestAndPing(client, to netip.Addr) (who string, err error) {
	q := target{s.Client, "tcp" + family(to), netip.AddrPortFrom(to, 80)}
	answer, err := q.request(netip.AddrPortFrom(client, s.newClient(s.Client, to).Port()))
	if err != nil {
		return "", err
	}
	pong, err := s.Client.Ping(client, to, answerTimeout)
	if err == nil && pong.Backend != answer.Backend {
		err = fmt.Errorf("%s answers, but %s answers a ping", answer.Backend, pong.Backend)
	}
	return answer.Backend, err
}

func (w sameBackendForAll) portless(s *testbed, client, to netip.Addr, who string, hearing *capture) error {
	q := target{s.Client, "ip", netip.AddrPortFrom(to, 0)}
	for _, one := range []exchange{
		{mode: w.mode, protocol: protocolGRE, request: greRequest, answer: greReply},
		{mode: w.mode, protocol: protocolESP, request: espRequest, answer: espReply},
		{mode: w.mode, protocol: protocolExperiment, request: "a question", answer: "an answer"},
	} {
		got, err := one.once(s, q, client, hearing)
		if err == nil && got.at.Name != who {
			err = fmt.Errorf("%s answers, but %s receives the packet", who, got.at.Name)
		}
		if err != nil {
			return fmt.Errorf("protocol %d: %w", one.protocol, err)
		}
	}
	return nil
}
