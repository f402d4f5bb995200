package packettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/statedir"
)

// needs skips the test if this machine lacks a program. make test installs them where it may, and names those that are
// missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	skipShort(t)
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		t.Skipf("no %s here", p)
	}
}

// starts runs a program on the balancer until the end of the test.
func (s *testbed) starts(command string) {
	s.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(s.ctx), "sh", "-c", "exec "+command)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	must(s.t, s.Balancer.Do(cmd.Start))
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// playProgram checks that the rules of a program stop the farm, and that the remedy lets packets pass. The prefix
// stands before the commands.
func (c findingCase) playProgram(s *testbed, prefix string) {
	must(s.t, farms{"web": c.farm}.do(s))
	found, err := s.found()
	if err != nil || len(found) != 1 || found[0].Kind != c.kind || !strings.Contains(found[0].Text(), c.says) {
		s.t.Fatalf("found %+v, %v", found, err)
	}
	s.t.Log(found[0].Text(), "|", found[0].Hint())
	for _, command := range found[0].Commands {
		if c.tool != "" && !strings.HasPrefix(command, c.tool) {
			s.t.Errorf("the remedy is %q", command)
		}
	}
	if c.connects(s) && c.served.do(s) == nil {
		s.t.Error("packets pass in spite of the finding")
	}
	must(s.t, runs(prefix+"set -e; "+strings.Join(found[0].Commands, "; ")).do(s))
	must(s.t, c.served.do(s))
	if found, err := s.found(); len(found) > 0 || err != nil {
		s.t.Errorf("found %+v after the remedy, %v", found, err)
	}
}

const (
	statelessInBothDirections = `
		mode   = "stateless"
		listen = ["192.0.2.1:80"]
		[backends.b1]
		address = "10.2.0.11"
	`
	localAt8081 = `
		mode   = "local"
		listen = ["192.0.2.1:8081"]
	`
)

// asksLocal asks the balancer itself.
var asksLocal = request{by: "tcp", to: "192.0.2.1:8081", shares: shares{"balancer:8081": 1}, times: 1}

// ufw writes below /etc, so each command runs in a mount namespace with a copy.
func TestFindingsOfUfw(t *testing.T) {
	t.Parallel()
	needs(t, "ufw", "iptables", "unshare")
	for _, c := range []findingCase{
		{name: "snat", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop", tool: "ufw ",
			says: "chain FORWARD of table ip filter drops the forwarded packets"},
		{name: "dnat", farm: oneBackend("dnat", listen4, "b1", 0), served: asksDNAT4, kind: "drop", tool: "ufw ",
			says: "chain FORWARD of table ip filter drops the forwarded packets"},
		{name: "stateless", farm: statelessInBothDirections, served: asksDNAT4, kind: "drop", tool: "ufw ",
			says: "chain FORWARD of table ip filter drops"},
		{name: "local", farm: localAt8081, served: asksLocal, kind: "drop", tool: "ufw ",
			says: "drops the packets to a backend on this machine"},
		{name: "dsr", farm: dsrHere, served: asksHere, kind: "drop", tool: "ufw ",
			says: "drops the packets to a backend on this machine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir := newTestbed(t, netlab.Options{}), t.TempDir()
			must(t, errors.Join(exec.Command("cp", "-a", "/etc/ufw", dir).Run(),
				exec.Command("cp", "/etc/default/ufw", dir+"/default").Run()))
			wrapper := fmt.Sprintf("#!/bin/sh\nexec unshare -m sh -c 'mount --bind %[1]s/ufw /etc/ufw; "+
				"mount --bind %[1]s/default /etc/default/ufw; exec /usr/sbin/ufw \"$@\"' ufw \"$@\"\n", dir)
			must(t, os.MkdirAll(dir+"/bin", 0o755))
			must(t, os.WriteFile(filepath.Join(dir, "bin", "ufw"), []byte(wrapper), 0o755))
			prefix := "PATH=" + dir + "/bin:$PATH; "
			must(t, runs(prefix+"ufw allow 22,443/tcp; ufw --force enable").do(s))
			c.playProgram(s, prefix)
		})
	}
}

// firewalld runs with a bus and a configuration of its own.
func TestFindingsOfFirewalld(t *testing.T) {
	t.Parallel()
	needs(t, "firewalld", "firewall-cmd", "dbus-daemon")
	for _, c := range []findingCase{
		{name: "stateless", farm: statelessInBothDirections, served: asksDNAT4, kind: "drop", tool: "firewall-cmd ",
			says: "of table inet firewalld, by its chain filter_FWD_public, drops the forwarded packets"},
		{name: "local", farm: localAt8081, served: asksLocal, kind: "drop", tool: "firewall-cmd ",
			says: "drops the packets to a backend on this machine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestbed(t, netlab.Options{})
			c.playProgram(s, s.startsFirewalld())
		})
	}
	for _, mode := range []string{"snat", "dnat"} { // it accepts translated packets
		t.Run(mode, func(t *testing.T) {
			s := newTestbed(t, netlab.Options{})
			s.startsFirewalld()
			must(t, farms{"web": oneBackend(mode, listen4, "b1", 0)}.do(s))
			must(t, map[string]request{"snat": asksSNAT4, "dnat": asksDNAT4}[mode].do(s))
			if found, err := s.found(); len(found) > 0 || err != nil {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

// startsFirewalld returns the setting with which firewall-cmd finds the bus.
func (s *testbed) startsFirewalld() (prefix string) {
	dir, err := os.MkdirTemp("", "fw") // the path of a socket has 108 bytes
	must(s.t, err)
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	must(s.t, os.WriteFile(dir+"/bus.conf", []byte(`<!DOCTYPE busconfig PUBLIC
		"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
		"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig><type>system</type><listen>unix:path=`+dir+`/bus</listen><policy context="default">
		<allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/>
		</policy></busconfig>`),
		0o644))
	prefix = "export DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + dir + "/bus; "
	s.starts("dbus-daemon --config-file=" + dir + "/bus.conf --nofork --nopidfile")
	must(s.t, runs("until [ -S "+dir+"/bus ]; do sleep 0.05; done").do(s))
	s.starts("env DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + dir + "/bus firewalld --nofork --nopid --system-config " + dir +
		" --log-file " + dir + "/log")
	// firewall-cmd, a program in Python, takes half a second of CPU to ask the same
	must(s.t, eventually{runs(prefix + "dbus-send --system --print-reply --dest=org.fedoraproject.FirewallD1 " +
		"/org/fedoraproject/FirewallD1 org.freedesktop.DBus.Properties.Get string:org.fedoraproject.FirewallD1 " +
		"string:state 2>&1 | grep RUNNING")}.do(s))
	return prefix
}

// Two machines run keepalived. The one without the address gets no advice to take it: both would answer for it. The
// finding goes when the address comes, and the other way round.
func TestFindingsOfKeepalived(t *testing.T) {
	t.Parallel()
	needs(t, "keepalived")
	const web = `
		mode   = "snat"
		listen = ["10.2.0.50:80"]
		[backends.b1]
		address = "10.2.0.11"
	`
	first := newTestbed(t, netlab.Options{OneArmed: true, Pair: true})
	second := &testbed{Lab: &netlab.Lab{Balancer: first.Second}, t: t, ctx: first.ctx}
	second.engine = &live.Engine{Store: statedir.Store{Dir: t.TempDir()}, Log: t.Logf}
	master := first.runsKeepalived("MASTER", 150)
	must(t, runs("until ip address show | grep -q 10.2.0.50; do sleep 0.1; done").do(first))
	second.runsKeepalived("BACKUP", 100)
	time.Sleep(3500 * time.Millisecond) // more than the time after which a backup becomes master

	serves := request{by: "tcp", to: "10.2.0.50:80", shares: shares{"b1:80": 1}, sees: "10.2.0.1", times: 1}
	must(t, farms{"web": web}.do(first))
	must(t, farms{"web": web}.do(second))
	must(t, serves.do(first))
	must(t, first.hasAddress(true))
	must(t, second.hasAddress(false))

	master.Process.Signal(os.Interrupt)
	must(t, runs("until ip address show | grep -q 10.2.0.50; do sleep 0.1; done").do(second))
	serves.sees = "10.2.0.2"
	must(t, serves.do(first))
	must(t, second.hasAddress(true))
	must(t, first.hasAddress(false))
}

// hasAddress checks that the absence of the address is the only finding, and that its advice is no command.
func (s *testbed) hasAddress(has bool) error {
	found, err := s.found()
	switch {
	case err != nil:
		return err
	case has && len(found) > 0:
		return fmt.Errorf("found %+v with the address", found)
	case has:
		return nil
	case len(found) != 1 || found[0].Kind != "address" || len(found[0].Commands) > 0 ||
		!strings.HasPrefix(found[0].Hint(), "right on a VRRP backup") ||
		strings.Contains(found[0].Hint(), "ip address"):
		return fmt.Errorf("found %+v without the address", found)
	}
	return nil
}

func (s *testbed) runsKeepalived(state string, priority int) *exec.Cmd {
	dir := s.t.TempDir()
	must(s.t, os.WriteFile(dir+"/keepalived.conf", fmt.Appendf(nil, `
		vrrp_instance web {
			state %s
			interface eth0
			virtual_router_id 51
			priority %d
			advert_int 1
			virtual_ipaddress {
				10.2.0.50/24 dev eth0
			}
		}
	`, state, priority), 0o644))
	cmd := exec.CommandContext(context.WithoutCancel(s.ctx), "keepalived", "--dont-fork", "--vrrp", "--log-console",
		"--use-file", dir+"/keepalived.conf", "--pid", dir+"/pid", "--vrrp_pid", dir+"/vrrp")
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	must(s.t, s.Balancer.Do(cmd.Start))
	s.t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	return cmd
}
