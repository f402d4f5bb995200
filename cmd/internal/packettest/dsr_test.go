package packettest

import "testing"

func TestDSR(t *testing.T) {
	t.Parallel()
	runCases(t, dsrCases())
}

var dsrSchedulers = []struct {
	name, keys string
	whole      bool // works with whole addresses
}{
	{"maglev", ``, true},
	{"maglev-by-port", `hash-on = ["source-address", "source-port"]`, false},
	{"hash", `scheduler = "hash"`, true},
	{"hash-by-port", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"source-port\"]", false},
	{"hash-widest",
		"scheduler = \"hash\"\nhash-on = [\"source-address\", \"destination-address\", \"source-port\", " +
			"\"destination-port\", \"source-mac\", \"destination-mac\"]", false},
	{"hash-by-addresses-and-mac",
		"scheduler = \"hash\"\nhash-on = [\"source-address\", \"destination-address\", \"source-mac\", " +
			"\"destination-mac\"]", true},
	{"symmetric-hash", `scheduler = "symmetric-hash"`, true},
}

func dsrCases() (all []testCase) {
	for _, topology := range dsrTopologies {
		for _, s := range dsrSchedulers {
			three := shares{"b1": 3, "b2": 1}
			c := testCase{name: topology.name + "-" + s.name, lab: topology.lab, steps: steps{
				farms{"web": topology.farm(listen1Ports, s.keys)},
				directRequest{by: "tcp udp", to: service1, shares: three},
				directRequest{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443 192.0.2.1:8050 [2001:db8::1]:8050",
					shares: three, clients: 60},
				request{by: "tcp udp", to: "192.0.2.1:53 [2001:db8::1]:53", shares: shares{"balancer:53": 1}},
				pings{to: "192.0.2.1 2001:db8::1", shares: shares{"balancer": 1}},
				untracked("192.0.2.1 2001:db8::1"),
			}}
			if s.whole {
				c.steps = append(c.steps,
					farms{"web": topology.farm(listenWhole2, s.keys)},
					directRequest{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: three, clients: 60},
					pings{to: "192.0.2.2 2001:db8::2", shares: three},
					untracked("192.0.2.2 2001:db8::2"))
			}
			all = append(all, c)
		}
	}
	return all
}
