package packettest

import (
	"fmt"
	"net/netip"
	"strings"
)

// together: the backend that answers a client by TCP is the one that answers it by all else. So many clients of each
// backend speak protocols without ports: in mode snat it can only be one at a time, as nothing else in a reply to the
// balancer would tell whose it is.
type together struct {
	mode, to string
	each     int
}

func (w together) do(s *stage) error {
	hearing, err := s.hearing(s.ends()...)
	if err != nil {
		return err
	}
	defer hearing.close()
	for _, word := range strings.Fields(w.to) {
		to, met := netip.MustParseAddr(word), map[string]int{}
		for _, client := range s.clients(to)[:30] {
			who, err := s.askBoth(client, to)
			if err != nil {
				return fmt.Errorf("%s asks %s: %w", client, to, err)
			}
			if met[who]++; met[who] > w.each {
				continue
			}
			if err := w.portless(s, client, to, who, hearing); err != nil {
				return fmt.Errorf("%s asks %s: %w", client, to, err)
			}
		}
		if len(met) != 2 || met["b1"] < w.each || met["b2"] < w.each {
			return fmt.Errorf("clients of %s met %v", to, met)
		}
	}
	return nil
}

// askBoth asks by TCP and by ICMP echo.
func (s *stage) askBoth(client, to netip.Addr) (who string, err error) {
	q := question{s.Client, "tcp" + family(to), netip.AddrPortFrom(to, 80)}
	answer, err := q.ask(netip.AddrPortFrom(client, s.speaker(s.Client, to).Port()))
	if err != nil {
		return "", err
	}
	pong, err := s.Client.Ping(client, to, patience)
	if err == nil && pong.Backend != answer.Backend {
		err = fmt.Errorf("%s answers, and %s answers a ping", answer.Backend, pong.Backend)
	}
	return answer.Backend, err
}

func (w together) portless(s *stage, client, to netip.Addr, who string, hearing *hearing) error {
	q := question{s.Client, "ip", netip.AddrPortFrom(to, 0)}
	for _, one := range []talk{
		{mode: w.mode, protocol: protocolGRE, request: greRequest, answer: greReply},
		{mode: w.mode, protocol: protocolESP, request: espRequest, answer: espReply},
		{mode: w.mode, protocol: protocolExperiment, request: "a question", answer: "an answer"},
	} {
		got, err := one.once(s, q, client, hearing)
		if err == nil && got.at.Name != who {
			err = fmt.Errorf("%s answers, and %s hears", who, got.at.Name)
		}
		if err != nil {
			return fmt.Errorf("protocol %d: %w", one.protocol, err)
		}
	}
	return nil
}
