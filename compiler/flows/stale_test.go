package flows

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// oneFarm is a farm with the backends b1, at 10.0.0.1, and so on.
func oneFarm(t *testing.T, name, text string) *farm.Farm {
	t.Helper()
	var told diag.Diagnostics
	farms := new(farm.Cache).Read([]farm.Dir{{FS: fstest.MapFS{name + ".toml": {Data: []byte(text)}}}}, &told)
	if told.Faulty() {
		t.Fatal(told)
	}
	return farms[0]
}

func newStale(before map[string]farm.Description, after ...*farm.Farm) *Stale {
	slices.SortFunc(after, func(a, b *farm.Farm) int { return strings.Compare(a.Name, b.Name) })
	return NewStale(farm.NewDifference(before, after))
}

const (
	cutWeb  = "listen = '192.0.2.1:80/tcp,udp'\n"
	cutB1   = "[backends.b1]\naddress = '10.0.0.1'\n"
	cutB2   = "[backends.b2]\naddress = '10.0.0.2'\nport = 8080\n"
	cutMail = "listen = '192.0.2.1/all'\n"
	cutNet  = "listen = '192.0.2.0/28:80/tcp,udp'\n"
	cutPart = "listen = '192.0.2.0/30:80/tcp,udp'\n"
)

// Each case has a UDP and a TCP connection to 10.0.0.1:80, opened to 192.0.2.1:80, and tells which of them are cut.
func TestStale(t *testing.T) {
	web := map[string]string{"web": cutWeb + cutB1 + cutB2}
	cases := []struct {
		rule          string
		before, after map[string]string
		server        string // 10.0.0.1:80 if empty
		udp, tcp      bool   // are cut
	}{
		{"nothing changed", web, web, "", false, false},
		{"a backend drains", web, map[string]string{"web": cutWeb + cutB1 + "state = 'drain'\n" + cutB2}, "", false,
			false},
		{"a backend goes down", web, map[string]string{"web": cutWeb + cutB1 + "state = 'down'\n" + cutB2}, "", true,
			true},
		{"another backend goes down", web, map[string]string{"web": cutWeb + cutB1 + cutB2 + "state = 'down'\n"}, "",
			false, false},
		{"a backend is gone", web, map[string]string{"web": cutWeb + cutB2}, "", true, false},
		{"a backend has another name", web,
			map[string]string{"web": cutWeb + "[backends.x]\naddress = '10.0.0.1'\n" + cutB2}, "", false, false},
		{"a backend has another port", web, map[string]string{"web": cutWeb + cutB1 + "port = 81\n" + cutB2}, "", true,
			false},
		{"to another port of the machine", web, map[string]string{"web": cutWeb + cutB2}, "10.0.0.1:81", false, false},
		{"to the port that the backend says", web, map[string]string{"web": cutWeb + cutB1}, "10.0.0.2:8080", true,
			false},
		{"the farm is gone", web, nil, "", true, false},
		{"the farm is down", web, map[string]string{"web": "state = 'down'\n" + cutWeb + cutB1}, "", true, false},
		{"the farm has another name", web, map[string]string{"site": cutWeb + cutB1 + cutB2}, "", false, false},
		{"the farm listens elsewhere", web,
			map[string]string{"web": "listen = '192.0.2.1:81/tcp,udp'\n" + cutB1 + cutB2}, "", true, false},
		{"the farm listens here, too", web,
			map[string]string{"web": "listen = '192.0.2.1:80-81/tcp,udp'\n" + cutB1 + cutB2}, "", false, false},
		{"another farm takes the port out of the whole address", map[string]string{"mail": cutMail + cutB1},
			map[string]string{"mail": cutMail + cutB1, "web": cutWeb + cutB2}, "", true, false},
		{"the more particular farm has it down", map[string]string{"mail": cutMail + cutB1, "web": cutWeb + cutB1},
			map[string]string{"mail": cutMail + cutB1, "web": cutWeb + cutB1 + "state = 'down'\n"}, "", true, true},
		{"the more general farm has it down", map[string]string{"mail": cutMail + cutB1, "web": cutWeb + cutB1},
			map[string]string{"mail": cutMail + cutB1 + "state = 'down'\n", "web": cutWeb + cutB1}, "", false, false},
		{"a farm takes the address out of the network", map[string]string{"net": cutNet + cutB1},
			map[string]string{"net": cutNet + cutB1, "web": cutWeb + cutB2}, "", true, false},
		{"a farm takes a part out of the network", map[string]string{"net": cutNet + cutB1},
			map[string]string{"net": cutNet + cutB1, "part": cutPart + cutB2}, "", true, false},
		{"a backend of the part goes down", map[string]string{"net": cutNet + cutB1, "part": cutPart + cutB1},
			map[string]string{"net": cutNet + cutB1, "part": cutPart + cutB1 + "state = 'down'\n"}, "", true, true},
		{"the network is down beside the part", map[string]string{"net": cutNet + cutB1, "part": cutPart + cutB1},
			map[string]string{"net": cutNet + cutB1 + "state = 'down'\n", "part": cutPart + cutB1}, "", false, false},
		{"another network", map[string]string{"net": cutNet + cutB1},
			map[string]string{"net": "listen = '192.0.2.16/28:80/tcp,udp'\n" + cutB1}, "", true, false},
		{"another protocol is added", map[string]string{"net": cutNet + cutB1},
			map[string]string{"net": cutNet + cutB1, "vpn": "listen = '192.0.2.1/esp'\n" + cutB1}, "", false, false},
		{"somebody else's, before the network", nil, map[string]string{"net": cutNet + cutB1}, "10.9.9.9:80", true,
			false},
		{"somebody else's, sent there", nil,
			map[string]string{"web": "listen = '192.0.2.2:80/tcp,udp'\n" + cutB1 + "state = 'down'\n"}, "", false,
			false},
		{"somebody else's, before the farm", nil, web, "10.9.9.9:80", true, false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			before := map[string]farm.Description{}
			for name, text := range c.before {
				before[name] = oneFarm(t, name, text).Description()
			}
			var after []*farm.Farm
			for name, text := range c.after {
				after = append(after, oneFarm(t, name, text))
			}
			server := netip.MustParseAddrPort("10.0.0.1:80")
			if c.server != "" {
				server = netip.MustParseAddrPort(c.server)
			}
			stale := newStale(before, after...)
			of := Connection{Protocol: farm.UDP.Number(), To: netip.MustParseAddrPort("192.0.2.1:80"), Server: server,
				Translated: true, Answered: true}
			udp := stale.Contains(of)
			of.Protocol = farm.TCP.Number()
			if tcp := stale.Contains(of); udp != c.udp || tcp != c.tcp {
				t.Errorf("cut: udp %t, tcp %t; want %t, %t", udp, tcp, c.udp, c.tcp)
			}
			seen := stale.Anywhere || len(stale.Services) > 0
			for _, a := range stale.Servers {
				seen = seen || a == server.Addr()
			}
			if udp && !seen {
				t.Error("nobody would look at it")
			}
		})
	}
}

// Flows from before the farm, without translation: connections end by themselves, other flows would bypass it for ever.
func TestStaleFlowsOlderThanTheFarm(t *testing.T) {
	of := Connection{Protocol: farm.UDP.Number(), To: netip.MustParseAddrPort("192.0.2.1:80"),
		Server: netip.MustParseAddrPort("192.0.2.1:80"), Answered: true}
	for _, listen := range []string{"192.0.2.1:80/udp", "192.0.2.1:1-100/udp", "192.0.2.1/all", "*:80/udp"} {
		after := []*farm.Farm{oneFarm(t, "web", "listen = '"+listen+"'\n"+cutB1)}
		fresh := newStale(nil, after...)
		if !fresh.Contains(of) || fresh.None() {
			t.Errorf("%s: not cut", listen)
		}
		tcp := of
		tcp.Protocol = farm.TCP.Number()
		if fresh.Contains(tcp) {
			t.Errorf("%s: TCP is cut", listen)
		}
		if same := newStale(map[string]farm.Description{"web": after[0].Description()}, after...); same.Contains(of) ||
			!same.None() {
			t.Errorf("%s: cut by a load that changes nothing", listen)
		}
	}
}

// A connection that its backend never answered has nothing to finish, so it goes with the backend.
func TestStaleConnectionsWithoutAnswer(t *testing.T) {
	web := map[string]farm.Description{"web": oneFarm(t, "web", cutWeb+cutB1+cutB2).Description()}
	for _, c := range []struct {
		rule  string
		after string
		cut   bool
	}{
		{"nothing changed", cutWeb + cutB1 + cutB2, false},
		{"the backend drains", cutWeb + cutB1 + "state = 'drain'\n" + cutB2, true},
		{"the backend is gone", cutWeb + cutB2, true},
		{"another backend drains", cutWeb + cutB1 + cutB2 + "state = 'drain'\n", false},
	} {
		stale := newStale(web, oneFarm(t, "web", c.after))
		of := Connection{Protocol: farm.TCP.Number(), To: netip.MustParseAddrPort("192.0.2.1:80"),
			Server: netip.MustParseAddrPort("10.0.0.1:80"), Translated: true}
		if got := stale.Contains(of); got != c.cut {
			t.Errorf("%s: cut %t, want %t", c.rule, got, c.cut)
		}
		if c.cut && !slices.Contains(stale.Servers, of.Server.Addr()) {
			t.Errorf("%s: entries with the backend's address are not looked at", c.rule)
		}
		if of.Answered = true; stale.Contains(of) {
			t.Errorf("%s: a connection that was answered is cut", c.rule)
		}
	}
}
