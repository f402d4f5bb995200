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

// TestLog: farms log each connection once for each reason in log.on, and nothing else.
func TestLog(t *testing.T) {
	t.Parallel()
	runCases(t, []testCase{
		logInput, logOnward("snat", "balancer"), logOnward("dnat", "client"), logOfThisMachine, logOfLocalClients,
		logOfABackendHere, logOfInterfaces, logOfLimits("snat"), logOfLimits("local"), logOfTrials,
		logOfRoutedAddresses, logOnce, logRate, logOfRefusals,
	})
	for _, w := range statelessPaths {
		runCases(t, []testCase{w.logs()})
	}
	for _, a := range dsrTopologies {
		runCases(t, []testCase{a.logs()})
	}
}

// TestKernelLog reads the kernel's own log, which has lines of other namespaces only if a sysctl allows it.
func TestKernelLog(t *testing.T) {
	t.Parallel()
	if all, err := os.ReadFile("/proc/sys/net/netfilter/nf_log_all_netns"); err != nil ||
		strings.TrimSpace(string(all)) != "1" {
		t.Skip("the kernel logs the first namespace only; sysctl net.netfilter.nf_log_all_netns=1 makes it log all")
	}
	log, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(log)
	if _, err := unix.Seek(log, 0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	a := dsrTopologies[1]
	play := func(lab netlab.Options, all ...step) {
		if err := steps(all).do(newTestbed(t, lab)); err != nil {
			t.Error(err)
		}
	}
	play(netlab.Options{}, farms{"kmsg-web": oneBackend("snat", listen1, "b1", 0,
		unlimitedLog(`"input", "forward", "output"`))}, requests(1, "", service1, "b1", "balancer"))
	play(a.lab, farms{"kmsg-direct": a.farm(listenAllKinds, unlimitedLog(`"input"`))},
		directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 1})
	var text []byte
	lines, record := map[string]bool{}, make([]byte, 1<<13)
	for end := deadline(); len(lines) < 4 && !end.over(); {
		for n, err := unix.Read(log, record); n > 0 && err == nil; n, err = unix.Read(log, record) {
			for _, prefix := range []string{"kmsg-web input IN=eth0 OUT= ", "kmsg-web forward b1 IN=eth0 OUT=eth1 ",
				"kmsg-web output b1 IN=", "kmsg-direct input IN=eth0 OUT= "} {
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

var logInput = testCase{name: "input", steps: steps{
	farms{"web": oneBackend("dnat", listenAllKinds, "b1", 0, remoteOnly, unlimitedLog(`"input"`)),
		"any": oneBackend("dnat", `"*:53/tcp,udp"`, "b3", 0, unlimitedLog(`"input"`)), "quiet": farmWithoutLog("dnat")},
	logToGroup,
	logged{requests(3, "", service1, "b1", ""), logLines(3, "web input", "client", service1)},
	logged{requests(3, "", service1At8050+" "+service2At443, "b1", ""),
		logLines(3, "web input", "client", service1At8050+" "+service2At443)},
	logged{requests(3, "", service9At53, "b3", ""), logLines(3, "any input", "client", service9At53)},
	logged{requests(3, "", otherServices, "b2", ""), nil},
	logged{requests(3, "balancer", service1, "balancer", "192.0.2.1 2001:db8::1"), nil},
	logged{pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 1}},
		map[string]int{"web input: 1 client > 192.0.2.2": 4, "web input: 58 client > 2001:db8::2": 4}},
	logged{hold{by: "tcp udp", to: service1}, logLines(20, "web input", "client", service1)},
	logged{steps{echo{}, logToGroup, echo{}}, nil},
	farms{"web": oneBackend("dnat", listenAllKinds, "b1", 0), "any": oneBackend("dnat", `"*:53/tcp,udp"`, "b3", 0),
		"quiet": farmWithoutLog("dnat")},
	logToGroup,
	logged{steps{requests(3, "", service1, "b1", ""), requests(3, "", service9At53, "b3", "")}, nil},
}}

// logOnward: the reasons forward and output name the backend; output has the source that the backend sees.
func logOnward(mode, from string) testCase {
	web := func(keys ...string) string {
		return oneBackend(mode,
			`"192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp", "*:53/tcp,udp"`, "b1", 8081,
			keys...) + `
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
		for _, to := range strings.Fields(service1 + " " + service1At8050 + " " + service9At53) {
			all = append(all, request{by: "tcp udp", to: to,
				shares: shares{"b1:8081": 1, "b1" + to[strings.LastIndex(to, ":"):]: 1}, times: 2, inTurn: true,
				sees: sees})
		}
		return all
	}
	return testCase{name: "forward-and-output-" + mode, steps: steps{
		farms{"web": web(unlimitedLog(`"forward", "output"`), `scheduler = "round-robin"`),
			"quiet": farmWithoutLog(mode)},
		logToGroup,
		logged{spread("b1", "beside"), sumOf(
			logLines(15, "web forward b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081"),
			logLines(15, "web output b1", from, "10.2.0.11:8081 [fd00:2::11]:8081"),
			logLines(5, "web forward beside", "client",
				"10.2.0.11:80 [fd00:2::11]:80 10.2.0.11:8050 [fd00:2::11]:8050 10.2.0.11:53 [fd00:2::11]:53"),
			logLines(5, "web output beside", from,
				"10.2.0.11:80 [fd00:2::11]:80 10.2.0.11:8050 [fd00:2::11]:8050 10.2.0.11:53 [fd00:2::11]:53"))},
		logged{requests(3, "", otherServices, "b2", sees), nil},
		logged{hold{by: "tcp udp", to: service1}, sumOf(
			logLines(10, "web forward b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081"),
			logLines(10, "web output b1", from, "10.2.0.11:8081 [fd00:2::11]:8081"),
			logLines(10, "web forward beside", "client", "10.2.0.11:80 [fd00:2::11]:80"),
			logLines(10, "web output beside", from, "10.2.0.11:80 [fd00:2::11]:80"))},
		logged{steps{echo{}, logToGroup, echo{}}, nil},
		farms{"web": oneBackend(mode, listen1, "b1", 8081, unlimitedLog(`"forward"`),
			`log.prefix = "{reason} to {backend} of {farm}:"`)},
		logToGroup,
		logged{request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, times: 3, sees: sees},
			logLines(3, "forward to b1 of web:", "client", "10.2.0.11:8081 [fd00:2::11]:8081")},
		farms{"web": oneBackend(mode, listen1, "b1", 8081, unlimitedLog(`"output"`), `log.prefix = "web: "`)},
		logToGroup,
		logged{request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, times: 3, sees: sees},
			logLines(3, "web:", from, "10.2.0.11:8081 [fd00:2::11]:8081")},
		// known clients of a drained backend
		farms{"web": oneBackend(mode, listen1, "b1", 8081, unlimitedLog(`"forward"`)) + `
			state = "drain"
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			[persistence.static]
			"198.51.100.0/24" = "b1"
			"2001:db8:c::/48" = "b1"
		`},
		logToGroup,
		logged{request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, times: 3, sees: sees},
			logLines(3, "web forward b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081")},
	}}
}

// logOfThisMachine: a farm of mode local, beside other farms.
var logOfThisMachine = testCase{name: "local", steps: steps{
	farms{
		"proxy": localFarm(listenAllKinds+`, "*:53/tcp,udp"`, unlimitedLog(`"input"`)),
		"web":   farmWithoutLog("snat"),
	},
	logToGroup,
	logged{requests(3, "", service1+" "+service1At8050+" "+service2At443+" "+service9At53, "balancer", ""),
		logLines(3, "proxy input", "client", service1+" "+service1At8050+" "+service2At443+" "+service9At53)},
	logged{requests(3, "", otherServices, "b2", "balancer"), nil},
	logged{requests(3, "balancer", service1+" "+service1At8050, "balancer", "192.0.2.1 2001:db8::1"), nil},
	logged{hold{by: "tcp udp", to: service1}, logLines(20, "proxy input", "client", service1)},
	logged{steps{echo{}, logToGroup, echo{}}, nil},
}}

var logOfLocalClients = testCase{name: "local-clients", steps: steps{
	farms{"web": oneBackend("snat", listen1+`, "*:53/tcp,udp"`, "b1", 0, "local-clients = true",
		unlimitedLog(`"input", "forward", "output"`)),
		"outside": oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b1", 0, remoteOnly,
			unlimitedLog(`"input"`))},
	logToGroup,
	logged{requests(3, "balancer", "192.0.2.1:80 192.0.2.1:53", "b1", "balancer"),
		sumOf(logLines(3, "web input", "192.0.2.1", "192.0.2.1:80 192.0.2.1:53"),
			logLines(3, "web output b1", "balancer", "10.2.0.11:80 10.2.0.11:53"))},
	logged{requests(3, "balancer", "[2001:db8::1]:80 [2001:db8::1]:53", "b1", "balancer"),
		sumOf(logLines(3, "web input", "2001:db8::1", "[2001:db8::1]:80 [2001:db8::1]:53"),
			logLines(3, "web output b1", "balancer", "[fd00:2::11]:80 [fd00:2::11]:53"))},
	logged{requests(3, "balancer", service2, "balancer", "192.0.2.2 2001:db8::2"), nil},
}}

var logOfABackendHere = testCase{name: "local-backend", steps: steps{
	farms{"web": unlimitedLog(`"input", "forward", "output"`) + farmWithLocalBackend("snat")},
	logToGroup,
	logged{request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1}, times: 3},
		logLines(3, "web input", "client", service1)},
}}

var logOfInterfaces = testCase{name: "interfaces", steps: steps{
	farms{"web": oneBackend("snat", listen1, "b1", 0, `interfaces = ["eth0"]`, unlimitedLog(`"input", "forward"`)),
		"proxy": localFarm(`"192.0.2.2/all", "2001:db8::2/all"`, `interfaces = ["eth0"]`, unlimitedLog(`"input"`))},
	logToGroup,
	logged{requests(3, "", service1, "b1", "balancer"),
		sumOf(logLines(3, "web input", "client", service1),
			logLines(3, "web forward b1", "client", "10.2.0.11:80 [fd00:2::11]:80"))},
	logged{requests(3, "", service2, "balancer", ""), logLines(3, "proxy input", "client", service2)},
	logged{requests(3, "b3", service1+" "+service2, "balancer", ""), nil},
}}

// logOfRoutedAddresses: no interface of the balancer has the service address.
var logOfRoutedAddresses = testCase{name: "routed-address", lab: netlab.Options{NoVIPs: true}, steps: steps{
	farms{"web": oneBackend("snat", listen1, "b1", 0, unlimitedLog(`"input", "forward"`))},
	logToGroup,
	logged{requests(3, "", service1, "b1", "balancer"),
		sumOf(logLines(3, "web input", "client", service1),
			logLines(3, "web forward b1", "client", "10.2.0.11:80 [fd00:2::11]:80"))},
}}

// logOnce: a conversation without answers logs its first packet only.
var logOnce = testCase{name: "conversation-logs-once", steps: steps{
	farms{"web": oneBackend("dnat", listen1, "b1", 9, unlimitedLog(`"input", "forward", "output"`))},
	logToGroup,
	logged{repeatedDatagrams(5),
		sumOf(udpLogLines(1, "web input", "client", service1),
			udpLogLines(1, "web forward b1", "client", "10.2.0.11:9 [fd00:2::11]:9"),
			udpLogLines(1, "web output b1", "client", "10.2.0.11:9 [fd00:2::11]:9"))},
}}

// logRate: each reason of each farm has its own bucket, for both families.
var logRate = testCase{name: "rate", steps: steps{
	farms{
		"web": oneBackend("dnat", listen1, "b1", 0, `log.on = ["input", "forward"]`, `log.rate = "3/hour"`),
		"all": oneBackend("dnat", `"192.0.2.2/all", "2001:db8::2/all"`, "b1", 0, `log.on = "input"`,
			`log.rate = "2/day"`),
	},
	logToGroup,
	logged{request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, times: 2},
		map[string]int{"web input: tcp client > 192.0.2.1:80": 2, "web forward b1: tcp client > 10.2.0.11:80": 2}},
	logged{request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, times: 9},
		map[string]int{"web input: tcp client > [2001:db8::1]:80": 1,
			"web forward b1: tcp client > [fd00:2::11]:80": 1}},
	logged{requests(5, "", service1, "b1", ""), nil},
	logged{request{by: "udp", to: service2, shares: shares{"b1:80": 1}, times: 5},
		map[string]int{"all input: udp client > 192.0.2.2:80": 2}},
}}

var logOfRefusals = testCase{name: "refusals", steps: steps{
	farms{"web": oneBackend("dnat", listen1, "b1", 0, unlimitedLog(`"input", "forward", "output"`)) +
		"state = \"down\"\n"},
	logToGroup,
	logged{refused{by: "tcp udp", to: service1}, logLines(1, "web input", "client", service1)},
}}

// logOfLimits: the reason limited names the limit, from the first dropped packet on.
func logOfLimits(mode string) testCase {
	web := func(limits string) farms {
		keys := []string{unlimitedLog(`"input", "limited"`), "[limits]\n" + limits}
		if mode == "local" {
			return farms{"web": localFarm(listen1, keys...)}
		}
		return farms{"web": oneBackend(mode, listen1, "b1", 0, keys...)}
	}
	return testCase{name: "limits-" + mode, steps: steps{
		web("new-per-client = { rate = \"1/day\", burst = 2 }"),
		logToGroup,
		logged{attempt{as: 0, by: "tcp", to: service1, times: 3, pass: 2},
			sumOf(tcpLogLines(logLines(2, "web input", "client", service1)),
				tcpLogLines(logLines(1, "web limited new-per-client", "client", service1)))},
		web("new-per-client = { rate = \"1/day\", burst = 2 }\nban = \"1h\""),
		logToGroup,
		logged{attempt{as: 1, by: "udp", to: service1, times: 4, pass: 2},
			sumOf(udpLogLines(2, "web input", "client", service1),
				udpLogLines(1, "web limited new-per-client", "client", service1),
				udpLogLines(1, "web limited banned", "client", service1))},
		web("new = { rate = \"1/day\", burst = 2 }"),
		logToGroup,
		logged{attempt{as: 2, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 2},
			map[string]int{"web input: tcp client > 192.0.2.1:80": 2, "web limited new: tcp client > 192.0.2.1:80": 1}},
		web("connections-per-client = 2"),
		logToGroup,
		logged{attempt{as: 3, by: "tcp", to: service1, times: 3, pass: 2, keep: true},
			sumOf(tcpLogLines(logLines(2, "web input", "client", service1)),
				tcpLogLines(logLines(1, "web limited connections-per-client", "client", service1)))},
	}}
}

// logOfTrials: a limit with the verdict log lets all packets pass and logs them.
var logOfTrials = testCase{name: "verdict-log-lets-pass", steps: steps{
	farms{"web": oneBackend("dnat", listen1, "b1", 0, unlimitedLog(`"limited"`), `log.prefix = "{reason} of {farm}:"`,
		"[limits]\nnew-per-client = { rate = \"1/day\", burst = 2 }\nverdict = \"log\"")},
	logToGroup,
	logged{attempt{as: 0, by: "tcp", to: service1, times: 5, pass: 5},
		tcpLogLines(logLines(3, "new-per-client of web:", "client", service1))},
}}

// logs: without connection tracking the farm logs each datagram, and each SYN.
func (w statelessPath) logs() testCase {
	farm := func(on string) farms {
		return farms{
			"web":   w.stateless(listen1, unlimitedLog(on), "b1:8081"),
			"range": w.stateless(listen2Ports, unlimitedLog(on), "b2"),
			"whole": w.stateless(`"192.0.2.3/all", "2001:db8::3/all"`, unlimitedLog(on), "b3"),
			"quiet": w.stateless(`"192.0.2.2:8083/tcp,udp", "[2001:db8::2]:8083/tcp,udp"`, ``, "b2"),
		}
	}
	forwarded := map[string]int{}
	on := `"input"`
	if w.farm == "" {
		on = `"input", "forward"`
		forwarded = sumOf(logLines(3, "web forward a-b1", "client", "10.2.0.11:8081 [fd00:2::11]:8081"),
			logLines(3, "range forward a-b2", "client",
				"10.2.0.12:8050 [fd00:2::12]:8050 10.2.0.12:443 [fd00:2::12]:443"),
			logLines(3, "whole forward a-b3", "client", "10.2.0.13:80 [fd00:2::13]:80"))
	}
	served := steps{
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, times: 3},
		requests(3, "", service2At8050+" "+service2At443, "b2", ""),
		requests(3, "", service3, "b3", ""),
	}
	return w.testCase("log",
		farm(on),
		logToGroup,
		logged{served, sumOf(logLines(3, "web input", "client", service1),
			logLines(3, "range input", "client", service2At8050+" "+service2At443),
			logLines(3, "whole input", "client", service3), forwarded)},
		logged{requests(3, "", "192.0.2.2:8083 [2001:db8::2]:8083", "b2", ""), nil},
		farms{"web": w.stateless(listen1, unlimitedLog(`"input"`), "b1:8081")},
		logToGroup,
		logged{hold{by: "tcp", to: service1}, tcpLogLines(logLines(20, "web input", "client", service1))},
		logged{echo{}, nil},
		nothingTracked,
		farms{"web": w.stateless(listen1, "log.on = \"input\"\nlog.rate = \"2/hour\"", "b1:8081")},
		logToGroup,
		logged{request{by: "udp", to: service1, shares: shares{"b1:8081": 1}, times: 5},
			map[string]int{"web input: udp client > 192.0.2.1:80": 2}},
	)
}

// logs: a dsr farm logs each datagram, and each SYN.
func (a dsrTopology) logs() testCase {
	return testCase{name: a.name + "-log", lab: a.lab, steps: steps{
		farms{"web": a.farm(listenAllKinds, unlimitedLog(`"input"`)),
			"quiet": a.farm(`"192.0.2.1:8081/tcp,udp", "[2001:db8::1]:8081/tcp,udp", "192.0.2.2:443/tcp,udp", ` +
				`"[2001:db8::2]:443/tcp,udp"`)},
		logToGroup,
		logged{directRequest{by: "tcp udp", to: service1 + " " + service1At8050 + " " + service2,
			shares: shares{"b1": 3, "b2": 1}, clients: 20},
			logLines(20, "web input", "client", service1+" "+service1At8050+" "+service2)},
		logged{directRequest{by: "tcp udp", to: "192.0.2.1:8081 192.0.2.2:443 [2001:db8::1]:8081 [2001:db8::2]:443",
			shares: shares{"b1": 3, "b2": 1}, clients: 20}, nil},
		// a pick that farms share is asked after the log
		farms{"web": a.farm(listen1, unlimitedLog(`"input"`), `scheduler = "hash"`)},
		logToGroup,
		logged{directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			logLines(20, "web input", "client", service1)},
		farms{"web": a.farm(listenAllKinds, "log.on = \"input\"\nlog.rate = \"2/hour\"")},
		logToGroup,
		logged{directRequest{by: "tcp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			map[string]int{"web input: tcp client > 192.0.2.1:80": 2}},
	}}
}
