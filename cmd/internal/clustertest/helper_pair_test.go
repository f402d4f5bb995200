package clustertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// newPair makes a site of two balancers with keepalived, of which the first is active. The router and the backends send
// packets to floating addresses. Only conntrackd lets the second balancer know connections of the first.
func newPair(t *testing.T, farmc string, c pairCase) *site {
	t.Helper()
	needProgram(t, "keepalived")
	needProgram(t, "conntrackd")
	s := &site{Lab: netlab.Test(t, netlab.Options{Balancers: 2}), t: t, dir: t.TempDir(), farmc: farmc,
		scheduler: c.scheduler}
	must(t, s.Serve(8081))
	if c.speaks {
		s.speak(80)
	} else {
		must(t, s.Serve(80))
	}
	s.floatingRoutes()
	for i, h := range s.Balancers {
		b := &balancer{Host: h, number: i + 1}
		s.balancers = append(s.balancers, b)
		must(t, h.Sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", "1"))
		s.writeFarm(b, dnat)
		s.writeFarm(b, snat)
		s.startWatch(b)
		s.await(b.watch, "loaded in")
		if c.reported {
			s.startConntrackd(b)
		}
		s.startKeepalived(b)
		s.awaitActive(s.balancers[0])
	}
	time.Sleep(2 * time.Second) // until the second balancer knows the first
	return s
}

// spoken is the line that backends send each half second.
var spoken = []byte("are you there?\n")

// speak has the backends speak on a port by TCP: first who they are, and then a line each half second.
func (s *site) speak(port int) {
	s.t.Helper()
	for _, b := range s.Backends {
		must(s.t, b.Do(func() error {
			l, err := net.Listen("tcp", fmt.Sprint(":", port))
			if err == nil {
				s.t.Cleanup(func() { l.Close() })
				go acceptAll(l, b.Name)
			}
			return err
		}))
	}
}

func acceptAll(l net.Listener, backend string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, err := fmt.Fprintf(c, "%s %s %s\n", backend, c.LocalAddr(), c.RemoteAddr())
			for ; err == nil; _, err = c.Write(spoken) {
				time.Sleep(exchangeInterval)
			}
		}()
	}
}

// floatingRoutes makes floating addresses the next hop to services, and the gateway of backends.
func (s *site) floatingRoutes() {
	s.t.Helper()
	for _, m := range []mode{dnat, snat} {
		s.run(s.Router, "ip", "route", "add", m.address("tcp4").String(), "via", "10.1.0.100")
		s.run(s.Router, "ip", "-6", "route", "add", m.address("tcp6").String(), "via", "fd00:1::100")
	}
	for _, b := range s.Backends {
		s.run(b, "ip", "route", "replace", "default", "via", "10.2.0.100")
		// Each IPv6 route has a metric: replace would add a second one.
		s.run(b, "ip", "-6", "route", "delete", "default")
		s.run(b, "ip", "-6", "route", "add", "default", "via", "fd00:2::100")
	}
}

// startConntrackd starts conntrackd with the example. The second balancer has the addresses exchanged.
func (s *site) startConntrackd(b *balancer) {
	text := readExample(s.t, "conntrackd.conf")
	if b.number == 2 {
		text = strings.NewReplacer("IPv4_address 10.2.0.2\n\t\tIPv4_Destination_Address 10.2.0.3",
			"IPv4_address 10.2.0.3\n\t\tIPv4_Destination_Address 10.2.0.2").Replace(text)
	}
	s.start(b.Host, "conntrackd", "-C", s.writePairFile(b, "conntrackd.conf", text))
}

// awaitReported waits until the second balancer knows n connections of the first.
func (s *site) awaitReported(n int) {
	s.t.Helper()
	file := filepath.Join(s.dir, s.balancers[1].Name, "conntrackd.conf")
	s.retry("connections are reported", func() error {
		known, err := s.balancers[1].Run(s.t.Context(), "", "conntrackd", "-C", file, "-e")
		if got := strings.Count(known, "ESTABLISHED"); err == nil && got < n {
			err = fmt.Errorf("%d of %d", got, n)
		}
		return err
	})
}

// startKeepalived starts keepalived with the example and its script.
func (s *site) startKeepalived(b *balancer) {
	script := s.writePairFile(b, "take-over.sh", readExample(s.t, "take-over.sh"))
	must(s.t, os.Chmod(script, 0o755))
	own := strings.NewReplacer("router_id balancer1", "router_id "+b.Name,
		"priority 150", fmt.Sprintf("priority %d", 200-50*b.number), "/etc/keepalived/take-over.sh", script)
	file := s.writePairFile(b, "keepalived.conf", own.Replace(readExample(s.t, "keepalived.conf")))
	s.start(b.Host, "keepalived", "-n", "-l", "-P", "-f", file, "-p", file+".pid", "-r", file+".vrrp.pid")
}

// writePairFile writes a file of a balancer, with paths of its own in place of paths of the machine.
func (s *site) writePairFile(b *balancer, name, text string) string {
	s.t.Helper()
	directory := filepath.Join(s.dir, b.Name)
	must(s.t, os.MkdirAll(directory, 0o755))
	own := strings.NewReplacer("/etc/conntrackd/", directory+"/", "/var/lock/", directory+"/", "/var/run/",
		directory+"/")
	file := filepath.Join(directory, name)
	must(s.t, os.WriteFile(file, []byte(own.Replace(text)), 0o644))
	return file
}

// awaitActive waits until a balancer has the floating addresses.
func (s *site) awaitActive(b *balancer) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		has := s.run(b.Host, "ip", "address")
		if strings.Contains(has, " 10.1.0.100/") && strings.Contains(has, " 10.2.0.100/") &&
			strings.Contains(has, " fd00:1::100/") && strings.Contains(has, " fd00:2::100/") {
			return
		}
	}
	s.t.Fatalf("%s does not become active", b.Name)
}
