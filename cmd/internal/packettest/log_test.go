package packettest

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"

	"golang.org/x/sys/unix"
)

// TestLog: what a farm wants to know is written, of each connection once, and nothing else.
func TestLog(t *testing.T) {
	t.Parallel()
	play(t, []scene{logInput, logOnward("snat", "balancer"), logOnward("dnat", "client"), logOfThisMachine, logOfLocalClients,
		logOfABackendHere, logOfInterfaces, logOfLimits("snat"), logOfLimits("local"), logOfTrials, logOfRoutedAddresses, logOnce, logRate, logOfRefusals})
	for _, w := range ways {
		play(t, []scene{w.logs()})
	}
	for _, a := range arms {
		play(t, []scene{a.logs()})
	}
}

// TestKernelLog reads the kernel's own log, which tells of namespaces like this one only if it was asked to.
func TestKernelLog(t *testing.T) {
	t.Parallel()
	if all, err := os.ReadFile("/proc/sys/net/netfilter/nf_log_all_netns"); err != nil || strings.TrimSpace(string(all)) != "1" {
		t.Skip("the kernel logs no namespace but the first: sysctl net.netfilter.nf_log_all_netns=1 lets it, everywhere")
	}
	log, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(log)
	if _, err := unix.Seek(log, 0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	a := arms[1]
	play := func(lab netlab.Options, all ...step) {
		if err := steps(all).do(newStage(t, lab)); err != nil {
			t.Error(err)
		}
	}
	play(netlab.Options{}, farms{"kmsg-web": one("snat", listenBoth, "b1", 0, unhindered(`"input", "forward", "output"`))}, asked(1, "", both, "b1", "balancer"))
	play(a.lab, farms{"kmsg-direct": a.farm(byAll, unhindered(`"input"`))}, reach{by: "tcp udp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 1})
	var text []byte
	lines, record := map[string]bool{}, make([]byte, 1<<13)
	for end := deadline(); len(lines) < 4 && !end.over(); {
		for n, err := unix.Read(log, record); n > 0 && err == nil; n, err = unix.Read(log, record) {
			for _, prefix := range []string{"kmsg-web input IN=eth0 OUT= ", "kmsg-web forward b1 IN=eth0 OUT=eth1 ", "kmsg-web output b1 IN=", "kmsg-direct input IN=eth0 OUT= "} {
				if bytes.Contains(record[:n], []byte(";"+prefix)) && bytes.Contains(record[:n], []byte(" SRC=")) {
					lines[prefix] = true
				}
			}
			text = append(text, record[:n]...)
		}
	}
	if len(lines) < 4 {
		t.Errorf("the log has only %v:\n%s", lines, text)
	}
}

var logInput = scene{name: "input", steps: steps{
	farms{"web": one("dnat", everyDoor, "b1", 0, unhindered(`"input"`)), "any": one("dnat", `"*:53/tcp,udp"`, "b3", 0, unhindered(`"input"`)), "quiet": unlogged("dnat")},
	toGroup,
	writes{asked(3, "", both, "b1", ""), lines(3, "web input", "client", both)},
	writes{asked(3, "", inMiddle+" "+inWhole, "b1", ""), lines(3, "web input", "client", inMiddle+" "+inWhole)},
	writes{asked(3, "", inAny, "b3", ""), lines(3, "any input", "client", inAny)},
	writes{asked(3, "", ofOthers, "b2", ""), nil},
	writes{asked(3, "balancer", both, "balancer", "192.0.2.1 2001:db8::1"), nil},
	writes{pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 1}}, map[string]int{"web input: 1 client > 192.0.2.2": 100, "web input: 58 client > 2001:db8::2": 100}},
	writes{hold{by: "tcp udp", to: both}, lines(20, "web input", "client", both)},
	writes{steps{echo{}, toGroup, echo{}}, nil},
	farms{"web": one("dnat", everyDoor, "b1", 0), "any": one("dnat", `"*:53/tcp,udp"`, "b3", 0), "quiet": unlogged("dnat")},
	toGroup,
	writes{steps{asked(3, "", both, "b1", ""), asked(3, "", inAny, "b3", "")}, nil},
}}

// logOnward: which backend a connection goes to is told as it is handed on and as it leaves, there with the source that the
// backend sees.
func logOnward(mode, from string) scene {
	web := func(keys ...string) string {
		return one(mode, `"192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp", "*:53/tcp,udp"`, "b1", 8081, keys...) + `
			[backends.beside]
			address = ["10.2.0.11", "fd00:2::11"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			state = "down"
		`
	}
	sees := strings.TrimPrefix(from, "client")
	spread := func(b1, beside string) step {
		var all steps
		for _, to := range strings.Fields(both + " " + inMiddle + " " + inAny) {
			all = append(all, ask{by: "tcp udp", to: to, shares: shares{"b1:8081": 1, "b1" + to[strings.LastIndex(to, ":"):]: 1}, times: 2, turns: true, sees: sees})
		}
		return all
	}
	return scene{name: "onward-" + mode, steps: steps{
		farms{"web": web(unhindered(`"forward", "output"`), `scheduler = "round-robin"`), "quiet": unlogged(mode)},
		toGroup,
		writes{spread("b1", "beside"), allOf(
			lines(15, "web forward b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081"), lines(15, "web output b1", from, "10.2.0.11:8081 [fd00:2::11]:8081"),
			lines(5, "web forward beside", "client", "10.2.0.11:80 [fd00:2::11]:80 10.2.0.11:8050 [fd00:2::11]:8050 10.2.0.11:53 [fd00:2::11]:53"),
			lines(5, "web output beside", from, "10.2.0.11:80 [fd00:2::11]:80 10.2.0.11:8050 [fd00:2::11]:8050 10.2.0.11:53 [fd00:2::11]:53"))},
		writes{asked(3, "", ofOthers, "b2", sees), nil},
		writes{hold{by: "tcp udp", to: both}, allOf(
			lines(10, "web forward b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081"), lines(10, "web output b1", from, "10.2.0.11:8081 [fd00:2::11]:8081"),
			lines(10, "web forward beside", "client", "10.2.0.11:80 [fd00:2::11]:80"), lines(10, "web output beside", from, "10.2.0.11:80 [fd00:2::11]:80"))},
		writes{steps{echo{}, toGroup, echo{}}, nil},
		farms{"web": one(mode, listenBoth, "b1", 8081, unhindered(`"forward"`), `log.prefix = "{reason} to {backend} of {farm}:"`)},
		toGroup,
		writes{ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, times: 3, sees: sees}, lines(3, "forward to b1 of web:", "client", "10.2.0.11:8081 [fd00:2::11]:8081")},
		farms{"web": one(mode, listenBoth, "b1", 8081, unhindered(`"output"`), `log.prefix = "web: "`)},
		toGroup,
		writes{ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, times: 3, sees: sees}, lines(3, "web:", from, "10.2.0.11:8081 [fd00:2::11]:8081")},
		// known clients of a backend that drains
		farms{"web": one(mode, listenBoth, "b1", 8081, unhindered(`"forward"`)) + `
			state = "drain"
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			[persistence.static]
			"198.51.100.0/24" = "b1"
			"2001:db8:c::/48" = "b1"
		`},
		toGroup,
		writes{ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, times: 3, sees: sees}, lines(3, "web forward b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081")},
	}}
}

// logOfThisMachine: a service of the balancer itself, in the midst of others.
var logOfThisMachine = scene{name: "local", steps: steps{
	farms{
		"proxy": local(everyDoor+`, "*:53/tcp,udp"`, unhindered(`"input"`)),
		"web":   one("snat", `"192.0.2.1:8082/tcp,udp", "[2001:db8::1]:8082/tcp,udp", "192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp", "192.0.2.3", "2001:db8::3"`, "b2", 0),
	},
	toGroup,
	writes{asked(3, "", both+" "+inMiddle+" "+inWhole+" "+inAny, "balancer", ""), lines(3, "proxy input", "client", both+" "+inMiddle+" "+inWhole+" "+inAny)},
	writes{asked(3, "", ofOthers, "b2", "balancer"), nil},
	writes{asked(3, "balancer", both+" "+inMiddle, "balancer", "192.0.2.1 2001:db8::1"), nil},
	writes{hold{by: "tcp udp", to: both}, lines(20, "proxy input", "client", both)},
	writes{steps{echo{}, toGroup, echo{}}, nil},
}}

var logOfLocalClients = scene{name: "local-clients", steps: steps{
	farms{"web": one("snat", listenBoth+`, "*:53/tcp,udp"`, "b1", 0, "local-clients = true", unhindered(`"input", "forward", "output"`)), "outside": one("snat", `"192.0.2.2", "2001:db8::2"`, "b1", 0, unhindered(`"input"`))},
	toGroup,
	writes{asked(3, "balancer", "192.0.2.1:80 192.0.2.1:53", "b1", "balancer"), allOf(lines(3, "web input", "192.0.2.1", "192.0.2.1:80 192.0.2.1:53"), lines(3, "web output b1", "balancer", "10.2.0.11:80 10.2.0.11:53"))},
	writes{asked(3, "balancer", "[2001:db8::1]:80 [2001:db8::1]:53", "b1", "balancer"), allOf(lines(3, "web input", "2001:db8::1", "[2001:db8::1]:80 [2001:db8::1]:53"), lines(3, "web output b1", "balancer", "[fd00:2::11]:80 [fd00:2::11]:53"))},
	writes{asked(3, "balancer", bothSecond, "balancer", "192.0.2.2 2001:db8::2"), nil},
}}

var logOfABackendHere = scene{name: "local-backend", steps: steps{
	farms{"web": unhindered(`"input", "forward", "output"`) + localBackend("snat")},
	toGroup,
	writes{ask{by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}, times: 3}, lines(3, "web input", "client", both)},
}}

var logOfInterfaces = scene{name: "interfaces", steps: steps{
	farms{"web": one("snat", listenBoth, "b1", 0, `interfaces = ["eth0"]`, unhindered(`"input", "forward"`)), "proxy": local(`"192.0.2.2", "2001:db8::2"`, `interfaces = ["eth0"]`, unhindered(`"input"`))},
	toGroup,
	writes{asked(3, "", both, "b1", "balancer"), allOf(lines(3, "web input", "client", both), lines(3, "web forward b1", "client", "10.2.0.11:80 [fd00:2::11]:80"))},
	writes{asked(3, "", bothSecond, "balancer", ""), lines(3, "proxy input", "client", bothSecond)},
	writes{asked(3, "b3", both+" "+bothSecond, "balancer", ""), nil},
}}

// logOfRoutedAddresses: the address is of no interface of the balancer.
var logOfRoutedAddresses = scene{name: "routed-address", lab: netlab.Options{NoVIPs: true}, steps: steps{
	farms{"web": one("snat", listenBoth, "b1", 0, unhindered(`"input", "forward"`))},
	toGroup,
	writes{asked(3, "", both, "b1", "balancer"), allOf(lines(3, "web input", "client", both), lines(3, "web forward b1", "client", "10.2.0.11:80 [fd00:2::11]:80"))},
}}

// logOnce: of a conversation that nobody answers, only the first packet is told of.
var logOnce = scene{name: "once", steps: steps{
	farms{"web": one("dnat", listenBoth, "b1", 9, unhindered(`"input", "forward", "output"`))},
	toGroup,
	writes{repeated(5), allOf(udpLines(1, "web input", "client", both), udpLines(1, "web forward b1", "client", "10.2.0.11:9 [fd00:2::11]:9"), udpLines(1, "web output b1", "client", "10.2.0.11:9 [fd00:2::11]:9"))},
}}

// logRate: each occasion of each farm has a bucket of its own, for both families.
var logRate = scene{name: "rate", steps: steps{
	farms{
		"web": one("dnat", listenBoth, "b1", 0, `log.on = ["input", "forward"]`, `log.rate = "3/hour"`),
		"all": one("dnat", `"192.0.2.2", "2001:db8::2"`, "b1", 0, `log.on = "input"`, `log.rate = "2/day"`),
	},
	toGroup,
	writes{ask{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, times: 2}, map[string]int{"web input: tcp client > 192.0.2.1:80": 2, "web forward b1: tcp client > 10.2.0.11:80": 2}},
	writes{ask{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, times: 9}, map[string]int{"web input: tcp client > [2001:db8::1]:80": 1, "web forward b1: tcp client > [fd00:2::11]:80": 1}},
	writes{asked(5, "", both, "b1", ""), nil},
	writes{ask{by: "udp", to: bothSecond, shares: shares{"b1:80": 1}, times: 5}, map[string]int{"all input: udp client > 192.0.2.2:80": 2}},
}}

var logOfRefusals = scene{name: "refusals", steps: steps{
	farms{"web": one("dnat", listenBoth, "b1", 0, unhindered(`"input", "forward", "output"`)) + "state = \"down\"\n"},
	toGroup,
	writes{refused{by: "tcp udp", to: both}, lines(1, "web input", "client", both)},
}}

// logOfLimits: which limit held a client back is told, of the first packet that it holds back as of the others.
func logOfLimits(mode string) scene {
	web := func(limits string) farms {
		keys := []string{unhindered(`"input", "limited"`), "[limits]\n" + limits}
		if mode == "local" {
			return farms{"web": local(listenBoth, keys...)}
		}
		return farms{"web": one(mode, listenBoth, "b1", 0, keys...)}
	}
	return scene{name: "limits-" + mode, steps: steps{
		web("new-per-client = { rate = \"1/day\", burst = 2 }"),
		toGroup,
		writes{knock{as: 0, by: "tcp", to: both, times: 3, pass: 2}, allOf(tcp(lines(2, "web input", "client", both)), tcp(lines(1, "web limited new-per-client", "client", both)))},
		web("new-per-client = { rate = \"1/day\", burst = 2 }\nban = \"1h\""),
		toGroup,
		writes{knock{as: 1, by: "udp", to: both, times: 4, pass: 2}, allOf(udpLines(2, "web input", "client", both), udpLines(1, "web limited new-per-client", "client", both), udpLines(1, "web limited banned", "client", both))},
		web("new = { rate = \"1/day\", burst = 2 }"),
		toGroup,
		writes{knock{as: 2, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 2}, map[string]int{"web input: tcp client > 192.0.2.1:80": 2, "web limited new: tcp client > 192.0.2.1:80": 1}},
		web("connections-per-client = 2"),
		toGroup,
		writes{knock{as: 3, by: "tcp", to: both, times: 3, pass: 2, keep: true}, allOf(tcp(lines(2, "web input", "client", both)), tcp(lines(1, "web limited connections-per-client", "client", both)))},
	}}
}

// logOfTrials: a limit that is only tried out lets all pass that it tells of.
var logOfTrials = scene{name: "trials", steps: steps{
	farms{"web": one("dnat", listenBoth, "b1", 0, unhindered(`"limited"`), `log.prefix = "{reason} of {farm}:"`, "[limits]\nnew-per-client = { rate = \"1/day\", burst = 2 }\nverdict = \"log\"")},
	toGroup,
	writes{knock{as: 0, by: "tcp", to: both, times: 5, pass: 5}, tcp(lines(3, "new-per-client of web:", "client", both))},
}}

// logs: with no connection tracking each datagram is told of, and of TCP what opens a connection.
func (w way) logs() scene {
	farm := func(on string) farms {
		return farms{
			"web":   w.stateless(listenBoth, unhindered(on), "b1:8081"),
			"range": w.stateless(otherPorts, unhindered(on), "b2"),
			"whole": w.stateless(`"192.0.2.3", "2001:db8::3"`, unhindered(on), "b3"),
			"quiet": w.stateless(`"192.0.2.2:8083/tcp,udp", "[2001:db8::2]:8083/tcp,udp"`, ``, "b2"),
		}
	}
	forwarded := map[string]int{}
	on := `"input"`
	if w.farm == "" {
		on = `"input", "forward"`
		forwarded = allOf(lines(3, "web forward a-b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081"),
			lines(3, "range forward a-b2", "client", "10.2.0.12:8050 [fd00:2::12]:8050 10.2.0.12:443 [fd00:2::12]:443"),
			lines(3, "whole forward a-b3", "client", "10.2.0.13:80 [fd00:2::13]:80"))
	}
	requests := steps{
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, times: 3},
		asked(3, "", inRange+" "+second, "b2", ""),
		asked(3, "", third, "b3", ""),
	}
	return w.scene("log",
		farm(on),
		toGroup,
		writes{requests, allOf(lines(3, "web input", "client", both), lines(3, "range input", "client", inRange+" "+second), lines(3, "whole input", "client", third), forwarded)},
		writes{asked(3, "", "192.0.2.2:8083 [2001:db8::2]:8083", "b2", ""), nil},
		farms{"web": w.stateless(listenBoth, unhindered(`"input"`), "b1:8081")},
		toGroup,
		writes{hold{by: "tcp", to: both}, tcp(lines(20, "web input", "client", both))},
		writes{echo{}, nil},
		nothingTracked,
		farms{"web": w.stateless(listenBoth, "log.on = \"input\"\nlog.rate = \"2/hour\"", "b1:8081")},
		toGroup,
		writes{ask{by: "udp", to: both, shares: shares{"b1:8081": 1}, times: 5}, map[string]int{"web input: udp client > 192.0.2.1:80": 2}},
	)
}

// logs is the same of frames that are handed on.
func (a arm) logs() scene {
	return scene{name: a.name + "-log", lab: a.lab, steps: steps{
		farms{"web": a.farm(byAll, unhindered(`"input"`)), "quiet": a.farm(`"192.0.2.1:8081/tcp,udp", "[2001:db8::1]:8081/tcp,udp", "192.0.2.2:443/tcp,udp", "[2001:db8::2]:443/tcp,udp"`)},
		toGroup,
		writes{reach{by: "tcp udp", to: both + " " + inMiddle + " " + bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 20}, lines(20, "web input", "client", both+" "+inMiddle+" "+bothSecond)},
		writes{reach{by: "tcp udp", to: "192.0.2.1:8081 192.0.2.2:443 [2001:db8::1]:8081 [2001:db8::2]:443", shares: shares{"b1": 3, "b2": 1}, clients: 20}, nil},
		farms{"web": a.farm(byAll, "log.on = \"input\"\nlog.rate = \"2/hour\"")},
		toGroup,
		writes{reach{by: "tcp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 20}, map[string]int{"web input: tcp client > 192.0.2.1:80": 2}},
	}}
}
