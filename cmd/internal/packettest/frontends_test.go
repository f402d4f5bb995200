package packettest

import (
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestFrontends sends requests to all frontends of farms with single ports, lists and ranges in several entries, for
// several protocols and addresses, some inside of others. The more specific frontend wins, in every mode.
func TestFrontends(t *testing.T) {
	t.Parallel()
	runCases(t, frontendCases())
}

// frontendFarms have one backend each, so the answering backend identifies the farm.
var frontendFarms = []struct{ name, listen, backend string }{
	{"web",
		`"192.0.2.1:80,443,8000-8100/tcp,udp", "[2001:db8::1]:443,80/tcp", "[2001:db8::1]:8000-8082/tcp,udp", ` +
			`"192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/udp"`, "b1"},
	{"port", `"192.0.2.1:8050/tcp", "[2001:db8::1]:8050,8081/udp", "192.0.2.2:8100,8081-8082/tcp"`, "b2"},
	{"sctp", `"192.0.2.1:80,8081-8083/sctp", "[2001:db8::1]:80/sctp"`, "b3"},
	{"whole", `"192.0.2.1/all", "2001:db8::1/all"`, "b4"},
	{"other", `"192.0.2.3/all", "2001:db8::3/all"`, "b5"},
}

// frontendRequests go to all frontends, and to ports beside them.
var frontendRequests = []struct{ by, to, who string }{
	{"tcp udp", "192.0.2.1:80 192.0.2.1:443 192.0.2.1:8000 192.0.2.1:8082 192.0.2.1:8100", "b1"},
	{"udp", "192.0.2.1:8050 192.0.2.1:8081", "b1"},
	{"tcp", "192.0.2.1:8081", "b1"},
	{"tcp", "[2001:db8::1]:80 [2001:db8::1]:443 [2001:db8::1]:8050 [2001:db8::1]:8081", "b1"},
	{"tcp udp", "[2001:db8::1]:8000 [2001:db8::1]:8082 192.0.2.2:53", "b1"},
	{"udp", "[2001:db8::2]:53", "b1"},

	{"tcp", "192.0.2.1:8050 192.0.2.2:8100 192.0.2.2:8081 192.0.2.2:8082", "b2"},
	{"udp", "[2001:db8::1]:8050 [2001:db8::1]:8081", "b2"},

	{"tcp udp", "192.0.2.1:53 [2001:db8::1]:53 [2001:db8::1]:8083 [2001:db8::1]:8100", "b4"},
	{"udp", "[2001:db8::1]:80 [2001:db8::1]:443", "b4"},
	{"tcp udp", "192.0.2.3:80 192.0.2.3:8050", "b5"},

	{"sctp", "192.0.2.1:80 192.0.2.1:8081 192.0.2.1:8082 192.0.2.1:8083 [2001:db8::1]:80", "b3"},
	{"sctp", "192.0.2.1:443 192.0.2.1:8050 [2001:db8::1]:443 [2001:db8::1]:8081", "b4"},
	{"sctp", "192.0.2.3:80 [2001:db8::3]:443", "b5"},

	{"tcp", "[2001:db8::2]:53 [2001:db8::2]:80 192.0.2.2:8083 192.0.2.2:80", "balancer"},
	{"udp", "192.0.2.2:8100 192.0.2.2:8081 [2001:db8::2]:8081", "balancer"},
}

// A frontendMode is a mode for all of frontendFarms.
type frontendMode struct {
	name, mode   string
	keys, behind string // keys of farms, and of backends
	sees         string
	lab          netlab.Options
}

func frontendCases() (all []testCase) {
	const in, out = "interfaces = [\"eth0\"]\n", "interface = \"eth1\"\n"
	for _, m := range []frontendMode{
		{name: "snat", mode: "snat", sees: "balancer"},
		{name: "dnat", mode: "dnat"},
		{name: "dnat-interfaces", mode: "dnat", keys: in},
		{name: "dsr", mode: "dsr", keys: in, behind: out, lab: netlab.Options{BackendVIPs: true, DirectReturn: true}},
		{name: "stateless", mode: "stateless"},
		{name: "stateless-ingress", mode: "stateless", keys: in, behind: out},
	} {
		m.lab.Backends = 5
		all = append(all, m.testCase())
	}
	return all
}

func (m frontendMode) testCase() testCase {
	loaded := farms{}
	for _, f := range frontendFarms {
		loaded[f.name] = oneBackend(m.mode, f.listen, f.backend, 0, m.keys) + m.behind
	}
	play := steps{muteKernels, loaded}
	for _, k := range frontendRequests {
		play = append(play, m.requests(k.by, k.to, k.who))
	}
	return testCase{name: m.name, lab: m.lab, steps: append(play,
		pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b4": 1}},
		pings{to: "192.0.2.3 2001:db8::3", shares: shares{"b5": 1}},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"balancer": 1}})}
}

// requests sends requests to frontends; all backends keep the port.
func (m frontendMode) requests(by, to, who string) (all steps) {
	sees := m.sees
	if who == "balancer" {
		sees = ""
	}
	for _, at := range strings.Fields(to) {
		answers := shares{who + at[strings.LastIndex(at, ":"):]: 1}
		switch {
		case by == "sctp":
			all = append(all, exchange{m.mode, protocolSCTP, sctpInit, sctpInitAck, at, answers, 2})
		case m.mode == "dsr":
			all = append(all, directRequest{by: by, to: at, shares: shares{who: 1}, clients: 2})
		default:
			all = append(all, request{by: by, to: at, shares: answers, times: 2, sees: sees})
		}
	}
	return all
}
