package packettest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/statedir"
)

// A farm does not take a port on which a program of the balancer listens, unless it says so.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	skipShort(t)
	for _, c := range takeOverCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := quietTestbed(t)
			for _, step := range append(steps{c.before}, c.steps...) {
				if step == nil {
					continue
				}
				if err := step.do(s); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// quietTestbed is a testbed whose balancer serves nothing.
func quietTestbed(t *testing.T) *testbed {
	t.Helper()
	s := &testbed{Lab: netlab.Test(t, netlab.Options{}), t: t, ctx: t.Context()}
	must(t, s.Serve(22, 80, 8081))
	s.engine = &live.Engine{Store: statedir.NewStore(t.TempDir()), Log: t.Logf}
	return s
}

// serves starts servers of TCP and UDP on the balancer, on all addresses of both families.
type serves []uint16

func (p serves) do(s *testbed) error {
	_, err := s.Balancer.Serve(p...)
	return err
}

// listens opens a listening socket of TCP, or a socket of UDP, on the balancer.
type listens struct{ network, address string }

func (l listens) do(s *testbed) error {
	return s.Balancer.Do(func() error {
		if strings.HasPrefix(l.network, "udp") {
			c, err := net.ListenPacket(l.network, l.address)
			if err == nil {
				s.t.Cleanup(func() { c.Close() })
			}
			return err
		}
		c, err := net.Listen(l.network, l.address)
		if err == nil {
			s.t.Cleanup(func() { c.Close() })
		}
		return err
	})
}

// asksBriefly opens a socket of UDP as for a question to a name server, which ends soon.
var asksBriefly = stepFunc(func(s *testbed) error {
	return s.Balancer.Do(func() error {
		c, err := net.ListenPacket("udp4", "0.0.0.0:51820")
		if err == nil {
			time.AfterFunc(500*time.Millisecond, func() { c.Close() })
		}
		return err
	})
})

// plain are farms as they are written, without take-over.
type plain map[string]string

func (p plain) do(s *testbed) error { return s.applyPlain(p) }

func (s *testbed) applyPlain(p plain) error {
	files := farms{}
	for name, text := range p {
		files[name] = "# take-over is not set\n" + text
	}
	return files.do(s)
}

// refuses are farms that apply does not load, with a part of its fault.
type refuses struct {
	plain
	says string
}

func (r refuses) do(s *testbed) error {
	err := s.applyPlain(r.plain)
	if !errors.Is(err, live.ErrFaulty) || !strings.Contains(err.Error(), r.says) ||
		!strings.Contains(err.Error(), "take-over = true") {
		return fmt.Errorf("apply says %v, not %q", err, r.says)
	}
	return nil
}

// isolating has farms with faults left out.
var isolating = stepFunc(func(s *testbed) error {
	s.engine.Isolate = true
	return nil
})

// findsPort expects the finding about a port, or no finding if it says nothing.
type findsPort string

func (f findsPort) do(s *testbed) error {
	found, err := s.found()
	text := ""
	for _, o := range found {
		if o.Kind == "port" {
			_, what, _ := strings.Cut(o.Text(), " ") // behind the name of the program
			text += what
		}
	}
	if err != nil || text != string(f) {
		return fmt.Errorf("found %q, %v, not %q", text, err, string(f))
	}
	return nil
}

const (
	ssh        = "192.0.2.1:22 [2001:db8::1]:22"
	listenSSH  = `"192.0.2.1:22", "[2001:db8::1]:22"`
	listenHTTP = `"192.0.2.1:80", "[2001:db8::1]:80"`
)

var (
	sshOfBalancer = request{by: "tcp", to: ssh, shares: shares{"balancer:22": 1}}
	sshOfBackend  = request{by: "tcp", to: ssh, shares: shares{"b1:22": 1}, sees: "balancer"}
)

func sshFarm(listen string, keys ...string) string {
	return oneBackend("snat", listen, "b1", 0, keys...)
}

var takeOverCases = []struct {
	name   string
	before step
	steps
}{
	{"service-address", serves{22}, steps{
		refuses{plain{"web": sshFarm(listenSSH)}, "(22/tcp)"}, sshOfBalancer}},
	{"any-address", serves{22}, steps{
		refuses{plain{"web": sshFarm(`"*:22"`)}, "(22/tcp)"}, sshOfBalancer}},
	{"range-of-any-address", serves{22}, steps{
		refuses{plain{"web": sshFarm(`"*:1-65535/tcp"`)}, "(22/tcp)"}, sshOfBalancer}},
	{"own-address-with-a-range", serves{22}, steps{
		refuses{plain{"web": sshFarm(`"10.2.0.1:1-1000/tcp"`)}, "(22/tcp)"}, sshOfBalancer}},
	{"whole-address", serves{22}, steps{
		refuses{plain{"web": sshFarm(`"10.2.0.1/all"`)}, "(22/udp)"},
		sshOfBalancer}},
	{"network", serves{22}, steps{
		refuses{plain{"web": sshFarm(`"192.0.2.0/28:22"`)}, "(22/tcp)"},
		refuses{plain{"web": sshFarm(`"2001:db8::/64/all"`)}, "(22/tcp)"},
		plain{"web": sshFarm(`"192.0.2.32/28:22", "[2001:db8:1::/64]:22"`)}, sshOfBalancer}},
	{"network-that-is-routed-here", listens{"tcp4", "0.0.0.0:22"}, steps{
		runOn{"balancer", "ip route add local 192.0.2.32/28 dev lo"},
		refuses{plain{"web": sshFarm(`"192.0.2.32/28:22"`)}, "(22/tcp)"}}},
	{"local-farm-inside-a-network", listens{"tcp4", "192.0.2.1:22"}, steps{
		plain{"all": sshFarm(`"192.0.2.0/28/all"`), "ssh": localFarm(`"192.0.2.1:22"`)},
		refuses{plain{"all": sshFarm(`"192.0.2.0/28/all"`)}, "farm ssh left it to the program"}}},
	{"farm-on-loopback", listens{"tcp4", "127.0.0.1:22"}, steps{
		refuses{plain{"web": sshFarm(`"127.0.0.1:22"`)}, "(22/tcp)"},
		plain{"web": sshFarm(`"127.0.0.2:22", "192.0.2.1:22", "*:22"`)}}},
	{"any-address-beside-a-farm-on-loopback", listens{"tcp4", "127.0.0.1:22"}, steps{
		plain{"admin": sshFarm(`"127.0.0.1:80"`), "web": sshFarm(`"*:22"`)}, findsPort(""),
		refuses{plain{"admin": sshFarm(`"127.0.0.1:22"`), "web": sshFarm(`"*:22"`)}, "(22/tcp)"}}},
	{"udp", listens{"udp4", "0.0.0.0:123"}, steps{
		refuses{plain{"ntp": sshFarm(`"192.0.2.1:123/udp"`)}, "(123/udp)"},
		plain{"ntp": sshFarm(`"192.0.2.1:123/tcp"`)}}},
	{"udp-that-stays", listens{"udp4", "0.0.0.0:51820"}, steps{
		refuses{plain{"ntp": sshFarm(`"192.0.2.1:50000-52000/udp"`)}, "(51820/udp)"}}},
	{"udp-of-a-short-question", asksBriefly, steps{plain{"ntp": sshFarm(`"192.0.2.1:50000-52000/udp"`)}}},
	{"both-families-by-one-socket", listens{"tcp", "[::]:22"}, steps{
		refuses{plain{"web": sshFarm(`"192.0.2.1:22"`)}, "(22/tcp)"}}},
	{"ip6-only", listens{"tcp6", "[::]:22"}, steps{
		refuses{plain{"web": sshFarm(`"[2001:db8::1]:22"`)}, "(22/tcp)"},
		plain{"web": sshFarm(`"192.0.2.1:22"`)}}},
	{"stateless", serves{22}, steps{
		refuses{plain{"web": oneBackend("stateless", listenSSH, "b1", 0)}, "(22/tcp)"}}},
	{"take-over", serves{22}, steps{
		plain{"web": sshFarm(listenSSH, "take-over = true")}, sshOfBackend, findsPort("")}},
	{"no-longer-take-over", serves{22}, steps{
		plain{"web": sshFarm(listenSSH, "take-over = true")}, plain{"web": sshFarm(listenSSH)}, sshOfBackend,
		findsPort("listens on 22/tcp, and the farm takes its connections (farm web)")}},
	{"program-comes-later", plain{"web": sshFarm(listenSSH)}, steps{
		sshOfBackend, serves{22}, sshOfBackend,
		plain{"web": sshFarm(listenSSH), "more": sshFarm(listenHTTP)}, sshOfBackend,
		findsPort("listens on 22/tcp, and the farm takes its connections (farm web)"),
		refuses{plain{"web": sshFarm(listenSSH + `, "192.0.2.2:22"`)}, "(22/tcp)"}, sshOfBackend}},
	{"isolated", serves{22}, steps{
		plain{"more": sshFarm(listenHTTP)}, isolating,
		refuses{plain{"web": sshFarm(`"192.0.2.1:22"`), "more": sshFarm(listenHTTP),
			"third": sshFarm(`"192.0.2.3:80", "[2001:db8::3]:80"`)}, "(22/tcp)"},
		sshOfBalancer, request{by: "tcp", to: service3, shares: shares{"b1:80": 1}, sees: "balancer"}}},
	// the farm of the program keeps the port from the one that takes the whole address
	{"local-farm-inside-a-whole-address", listens{"tcp4", "0.0.0.0:22"}, steps{
		plain{"all": sshFarm(`"192.0.2.1/all"`), "ssh": localFarm(`"192.0.2.1:22"`)},
		refuses{plain{"all": sshFarm(`"192.0.2.1/all"`)}, "farm ssh left it to the program"},
		isolating,
		refuses{plain{"all": sshFarm(`"192.0.2.1/all"`), "more": sshFarm(`"192.0.2.2:80", "[2001:db8::1]:80"`)},
			"(22/tcp)"},
		request{by: "tcp", to: "192.0.2.2:80 [2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer"}}},
	{"backend-here", serves{80, 8081}, steps{
		plain{"web": farmWithLocalBackend("dnat")},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1}}, findsPort("")}},
	{"farm-that-is-down", serves{22}, steps{plain{"web": sshFarm(listenSSH, `state = "down"`)}, sshOfBalancer}},
	{"loopback", listens{"tcp4", "127.0.0.1:22"}, steps{plain{"web": sshFarm(listenSSH)}, sshOfBackend}},
	{"another-address", listens{"tcp4", "192.0.2.2:22"}, steps{
		plain{"web": sshFarm(listenSSH)}, sshOfBackend, refuses{plain{"web": sshFarm(`"*:22"`)}, "(22/tcp)"}}},
	{"address-of-another-machine", serves{22}, steps{
		plain{"web": sshFarm(`"203.0.113.99:22"`)}, findsPort("")}},
}
