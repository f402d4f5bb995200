package packettest

import "testing"

// TestMarkReplies: with mark-replies and ip rule, replies leave by the uplink where the request came in.
func TestMarkReplies(t *testing.T) {
	t.Parallel()
	const both = listen1 + `, "192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`
	const marks = `mark-replies = { eth0 = "0x100/0xf00", eth9 = "0x200/0xf00" }`
	here := func(key string) string {
		return "mode = 'dnat'\nlisten = [" + both + "]\n" + key + "\n[backends.here]\n" +
			"address = ['10.2.0.1', 'fd00:2::1']\nport = 8081"
	}
	farmsBy := map[string]func(key string) string{
		"snat":  func(key string) string { return oneBackend("snat", both, "b1", 0, key) },
		"dnat":  func(key string) string { return oneBackend("dnat", both, "b1", 0, key, `mark = "0x1/0xff"`) },
		"here":  here,
		"local": func(key string) string { return "mode = 'local'\nlisten = [" + both + "]\n" + key },
	}
	var all []testCase
	for name, farm := range farmsBy {
		all = append(all, testCase{name: name, steps: steps{
			twoUplinks,
			farms{"web": farm("")},
			repliesBy{"tcp udp", service1, "eth0"}, repliesBy{"tcp udp", service2, "eth0"}, // the wrong uplink
			farms{"web": farm(marks)},
			repliesBy{"tcp udp", service1, "eth0"}, repliesBy{"tcp udp", service2, "eth9"},
			hold{by: "tcp", to: service1 + " " + service2},
			transfer{by: "tcp", to: service1 + " " + service2, size: 1_000_000},
			farms{"web": farm(marks), "other": oneBackend("dnat", `"192.0.2.3:80"`, "b2", 0)}, echo{},
			repliesBy{"tcp udp", service2, "eth9"},
		}})
	}
	stateless := func(keys ...string) string {
		return oneBackend("stateless", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b1", 0, keys...)
	}
	const ofEth9 = `mark-replies = { eth9 = "0x200/0xf00" }`
	for _, c := range []struct {
		name, gateway string
		size          int // of datagrams: without a gateway those in fragments are lost, with any mark
		unmarked      step
	}{
		{"stateless", "", 1400, repliesBy{"tcp udp", service2, "eth0"}},
		{"stateless-with-a-gateway", `gateway = ["203.0.114.2", "2001:db8:e::2"]`, 4000, repliesElsewhere{service2}},
	} {
		all = append(all, testCase{name: c.name, steps: steps{
			twoUplinks,
			farms{"web": stateless(`interfaces = "eth9"`, c.gateway) + `interface = "eth1"`}, c.unmarked,
			farms{"web": stateless(`interfaces = "eth9"`, c.gateway, ofEth9) + `interface = "eth1"`},
			repliesBy{"tcp udp", service2, "eth9"},
			transfer{by: "tcp", to: service2, size: 1_000_000},
			transfer{by: "udp", to: service2, size: c.size},
		}})
	}
	runCases(t, all)
}
