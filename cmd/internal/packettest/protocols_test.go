package packettest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestProtocols: farms that listen on protocols without ports get their packets, and no others.
func TestProtocols(t *testing.T) {
	t.Parallel()
	runCases(t, protocolCases())
}

const (
	listenTunnels = `"192.0.2.2/esp,gre", "2001:db8::2/esp,gre"`
	listenPing2   = `"192.0.2.2/icmp", "2001:db8::2/icmp"`
	tunnelNetwork = `"192.0.2.0/29/esp,gre", "2001:db8::/64/esp,gre"`
	address6      = "192.0.2.6 2001:db8::6"
)

func protocolCases() (all []testCase) {
	for _, mode := range []string{"snat", "dnat"} {
		sees := map[string]string{"snat": "balancer"}[mode]
		all = append(all,
			testCase{name: mode + "-before-all", steps: steps{muteKernels,
				farms{"tunnels": oneBackend(mode, listenTunnels, "b1", 0),
					"ping": oneBackend(mode, listenPing2, "b3", 0),
					"rest": oneBackend(mode, listenWhole2, "b2", 0)},
				protocolExchange{mode: mode, protocols: protocolESPAndGRE, to: address2, backend: "b1"},
				protocolExchange{mode: mode, protocols: []byte{protocolExperiment}, to: address2, backend: "b2"},
				request{by: "tcp udp", to: service2, shares: shares{"b2:80": 1}, sees: sees},
				pings{to: address2, shares: shares{"b3": 1}},
			}},
			testCase{name: mode + "-leaves-other-protocols", steps: steps{muteKernels,
				farms{"tunnels": oneBackend(mode, listenTunnels, "b1", 0)},
				protocolExchange{mode: mode, protocols: protocolESPAndGRE, to: address2, backend: "b1"},
				request{by: "tcp udp", to: service2, shares: shares{"balancer:80": 1}},
				pings{to: address2, shares: shares{"balancer": 1}},
			}},
			testCase{name: mode + "-of-a-network", steps: steps{muteKernels,
				farms{"net": oneBackend(mode, tunnelNetwork, "b1", 0), "one": oneBackend(mode, listenTunnels, "b2", 0)},
				protocolExchange{mode: mode, protocols: protocolESPAndGRE, to: address6, backend: "b1"},
				protocolExchange{mode: mode, protocols: protocolESPAndGRE, to: address2, backend: "b2"},
			}},
			testCase{name: mode + "-persistence-and-lists", steps: steps{muteKernels,
				farms{"tunnels": oneBackend(mode, `"192.0.2.2:80/udp", "[2001:db8::2]:80/udp", `+listenTunnels, "b1", 0,
					"mark = 7") + inlineLists + "\n[persistence]\n[limits]\nconnections-per-client = 100\n"},
				protocolExchange{mode: mode, protocols: protocolESPAndGRE, to: address2, backend: "b1"},
				request{by: "udp", to: service2, as: unlistedClient, shares: shares{"b1:80": 1}, sees: sees},
				denied{as: deniedClient, by: "udp", to: service2, farm: "tunnels"},
			}})
	}
	for _, topology := range dsrTopologies {
		one := strings.Replace(topology.farm(listenTunnels), "weight    = 3", "state = 'down'", 1)
		all = append(all, testCase{name: "dsr-" + topology.name, lab: topology.lab, steps: steps{muteKernels,
			farms{"tunnels": one},
			protocolExchange{mode: "dsr", protocols: protocolESPAndGRE, to: address2, backend: "b2"},
			request{by: "tcp udp", to: service2, shares: shares{"balancer:80": 1}},
			pings{to: address2, shares: shares{"balancer": 1}},
			farms{"tunnels": strings.Replace(one, listenTunnels, tunnelNetwork, 1)},
			protocolExchange{mode: "dsr", protocols: protocolESPAndGRE, to: address6, backend: "b2"},
		}})
	}
	for _, w := range statelessPaths {
		all = append(all, w.testCase("stateless", muteKernels,
			farms{"tunnels": w.stateless(listenTunnels, "", "b1"),
				"other": w.stateless(`"192.0.2.3/ah,proto-253", "2001:db8::3/ah,proto-253"`, "", "b1")},
			protocolExchange{mode: "stateless", protocols: protocolESPAndGRE, to: address2, backend: "b1"},
			protocolExchange{mode: "stateless", protocols: []byte{protocolExperiment}, to: "192.0.2.3 2001:db8::3",
				backend: "b1"},
			request{by: "tcp udp", to: service2, shares: shares{"balancer:80": 1}},
			pings{to: address2, shares: shares{"balancer": 1}},
		), w.testCase("stateless-untracked", muteKernels, farms{"tunnels": w.stateless(listenTunnels, "", "b1")},
			protocolExchange{mode: "stateless", protocols: protocolESPAndGRE, to: address2, backend: "b1"},
			nothingTracked))
	}
	return append(all,
		testCase{name: "local-access", steps: steps{
			farms{"ping": "mode = 'local'\nlisten = [" + listenPing2 + "]" + denyAll},
			stepFunc(func(s *testbed) error { return noPing(s, address2) }),
			pings{to: "192.0.2.3 2001:db8::3", shares: shares{"balancer": 1}},
			request{by: "tcp udp", to: service2, shares: shares{"balancer:80": 1}},
		}},
		testCase{name: "reload", steps: steps{muteKernels,
			farms{"tunnels": oneBackend("dnat", listenTunnels, "b1", 0)},
			protocolExchange{mode: "dnat", protocols: protocolESPAndGRE, to: address2, backend: "b1"},
			hold{by: "tcp", to: service2},
			farms{"tunnels": oneBackend("dnat", listenTunnels, "b1", 0),
				"rest": oneBackend("dnat", listenWhole2, "b2", 0)},
			protocolExchange{mode: "dnat", protocols: protocolESPAndGRE, to: address2, backend: "b1"},
			echo{},
			farms{"rest": oneBackend("dnat", listenWhole2, "b2", 0)},
			protocolExchange{mode: "dnat", protocols: protocolESPAndGRE, to: address2, backend: "b2"},
			farms{"tunnels": oneBackend("dnat", listenTunnels, "b3", 0),
				"rest": oneBackend("dnat", listenWhole2, "b2", 0)},
			protocolExchange{mode: "dnat", protocols: protocolESPAndGRE, to: address2, backend: "b3"},
		}})
}

var protocolESPAndGRE = []byte{protocolESP, protocolGRE}

// A protocolExchange is a packet of each protocol from a client to each address, and its answer from the backend.
type protocolExchange struct {
	mode      string
	protocols []byte
	to        string // addresses
	backend   string
}

func (e protocolExchange) do(s *testbed) error {
	hearing, err := s.capture(s.endHosts()...)
	if err != nil {
		return err
	}
	defer hearing.close()
	for _, word := range strings.Fields(e.to) {
		to := netip.MustParseAddr(word)
		q := target{s.Client, "ip", netip.AddrPortFrom(to, 0)}
		for _, protocol := range e.protocols {
			one := exchange{mode: e.mode, protocol: protocol, request: "a question", answer: "an answer"}
			switch protocol {
			case protocolGRE:
				one.request, one.answer = greRequest, greReply
			case protocolESP:
				one.request, one.answer = espRequest, espReply
			}
			got, err := one.once(s, q, s.clients(to)[7], hearing)
			if err == nil && got.at.Name != e.backend {
				err = fmt.Errorf("%s receives the packet, want %s", got.at.Name, e.backend)
			}
			if err != nil {
				return fmt.Errorf("protocol %d to %s: %w", protocol, to, err)
			}
		}
	}
	return nil
}

// noPing expects no answer to ICMP echoes.
func noPing(s *testbed, to string) error {
	for _, word := range strings.Fields(to) {
		a := netip.MustParseAddr(word)
		if answer, err := s.Client.Ping(s.newClient(s.Client, a).Addr(), a, dropTimeout); err == nil {
			return fmt.Errorf("%s answers for %s", answer.Backend, a)
		}
	}
	return nil
}
