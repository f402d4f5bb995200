package clustertest

import (
	"os"
	"path/filepath"
)

// frrDaemons is the directory of FRR's daemons, which are in no PATH.
const frrDaemons = "/usr/lib/frr/"

// otherNetwork is one that the administrator announces.
const otherNetwork = "2001:db8:aa::/48"

// powerOnFRR starts farmc watch and FRR on the first balancer, whose addresses the example has. It returns the
// directory of FRR's sockets.
func (s *site) powerOnFRR(b *balancer) (sockets string) {
	s.t.Helper()
	if os.Getuid() != 0 {
		s.t.Skip("FRR changes to a user of its own")
	}
	needProgram(s.t, frrDaemons+"bgpd")
	for _, m := range modes {
		s.writeFarm(b, m)
	}
	s.startWatch(b)
	sockets = s.frrDirectory(b)
	s.startFRR(b, sockets, "zebra")
	s.startFRR(b, sockets, "bfdd", "--bfdctl", filepath.Join(sockets, "bfdd.sock"))
	b.routing = s.startFRR(b, sockets, "bgpd")
	example, err := filepath.Abs(filepath.Join(examples, "frr.conf"))
	must(s.t, err)
	s.run(b.Host, "vtysh", "--vty_socket", sockets, "-f", example)
	s.run(b.Host, "vtysh", "--vty_socket", sockets, "-c", "configure terminal", "-c", "router bgp 64512",
		"-c", "address-family ipv6 unicast", "-c", "network "+otherNetwork)
	ipv6, err := filepath.Abs(filepath.Join(examples, "frr-ipv6.sh"))
	must(s.t, err)
	s.start(b.Host, "bash", ipv6, "--vty_socket", sockets)
	return sockets
}

// frrDirectory makes a directory that FRR's user may write.
func (s *site) frrDirectory(b *balancer) string {
	s.t.Helper()
	directory, err := os.MkdirTemp("", "frr")
	must(s.t, err)
	s.t.Cleanup(func() { os.RemoveAll(directory) })
	s.run(b.Host, "chown", "frr:frr", directory)
	return directory
}

// startFRR starts a daemon, and waits until vtysh can reach it.
func (s *site) startFRR(b *balancer, sockets, name string, args ...string) *program {
	s.t.Helper()
	file := func(name string) string { return filepath.Join(sockets, name) }
	p := s.start(b.Host, frrDaemons+name, append([]string{"-f", "/dev/null", "-i", file(name + ".pid"),
		"-z", file("zserv.api"), "--vty_socket", sockets, "-A", "127.0.0.1"}, args...)...)
	s.awaitFile(file(name + ".vty"))
	return p
}
