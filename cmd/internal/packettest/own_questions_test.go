package packettest

import (
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestOwnQuestions: the balancer asks the client from a port of a service that a farm without connection tracking
// takes, and gets the answers. Requests to the service still reach the backends.
func TestOwnQuestions(t *testing.T) {
	t.Parallel()
	runCases(t, ownQuestionCases())
}

// Services on ports from which the kernel opens connections, and a service that is among them.
const (
	listenManyPorts = `"192.0.2.1:30000-60999/tcp,udp", "[2001:db8::1]:30000-60999/tcp,udp"`
	service1At40100 = "192.0.2.1:40100 [2001:db8::1]:40100"
	service2At40100 = "192.0.2.2:40100 [2001:db8::2]:40100"
	denyClients     = "[access]\ndeny = [\"any\"]\nallow = [\"10.2.0.11\", \"fd00:2::11\"]"
)

func ownQuestionCases() (all []testCase) {
	serves := steps{serveOn{"b1", 40100}, serveOn{"b2", 40100}}
	for _, w := range statelessPaths {
		served := request{by: "tcp udp", to: service1At40100, shares: shares{"b1:40100": 1}}
		range1, whole := w.stateless(listenManyPorts, "", "b1"), w.stateless(listenWhole2, "", "b1")
		one := ownQuestions{"192.0.2.1 2001:db8::1", farms{"many": range1}}
		two := ownQuestions{"192.0.2.2 2001:db8::2", farms{"whole": whole}}
		all = append(all,
			w.testCase("stateless-range", serves, one, served),
			w.testCase("stateless-whole", serves, two,
				request{by: "tcp udp", to: service2At40100, shares: shares{"b1:40100": 1}}),
			w.testCase("stateless-denied", ownQuestions{one.as, farms{"many": range1 + denyClients}}))
	}
	for _, d := range dsrTopologies {
		three := shares{"b1": 3, "b2": 1}
		of := func(name, as, listen, to string) testCase {
			return testCase{name: d.name + "-dsr-" + name, lab: d.lab, steps: steps{serves,
				ownQuestions{as, farms{"many": d.farm(listen)}},
				directRequest{by: "tcp udp", to: to, shares: three, clients: 30}}}
		}
		all = append(all, of("range", "192.0.2.1 2001:db8::1", listenManyPorts, service1At40100),
			of("whole", "192.0.2.2 2001:db8::2", listenWhole2, service2At40100),
			of("range-of-network", "192.0.2.1 2001:db8::1",
				`"192.0.2.0/28:30000-60999/tcp,udp", "[2001:db8::/64]:30000-60999/tcp,udp"`, service1At40100),
			of("whole-network", "192.0.2.2 2001:db8::2", listenWholeNet, service2At40100))
	}
	one := netlab.Options{Backends: 1}
	return append(all, testCase{name: "stateless-own-address", lab: one, steps: steps{serves[:1],
		ownQuestions{"203.0.113.1 2001:db8:f::1", farms{"many": oneBackend("stateless",
			`"203.0.113.1:30000-60999/tcp,udp", "[2001:db8:f::1]:30000-60999/tcp,udp"`, "b1", 0)}}}})
}
