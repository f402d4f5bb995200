// Package probe checks one backend once: does it answer as the [health] of its farm expects? It knows the protocols of
// checks. It knows no schedule, no rise and fall, and no words to the API: package checker has them.
//
// Order of the files: probe.go (Run), result.go and reason.go (results, and the words for errors), dial.go and
// source_port.go (connections), then a file for each type: tcp.go, http.go, tls.go with certificate.go, udp.go, dns.go,
// icmp.go, exec.go, file.go. regular.go opens the files that farms name.
//
// # Connection tracking
//
// A tracked connection that ends normally keeps its conntrack entry for 120 s, and one that is never answered does the
// same. 10,000 checks per second would hold 1.2 million entries, and the table of most machines has 262,144. Checks
// therefore do two things:
//
//   - Their source port depends on the backend alone, and on the turn of the check: each backend has four ports. The
//     next check from the same port takes the entry of the last one, so a backend has four entries at most, at any
//     rate, even if it never answers.
//   - They close by reset (SO_LINGER with 0 s). A reset leaves no socket in TIME_WAIT, which would hold the port, and
//     the kernel gives an entry that was reset to the next connection at once. Type tcp resets in place of the last
//     packet of the handshake: such an entry is not ASSURED, so the kernel drops it first when the table is full.
//
// Entries after 10,000 checks of one backend, on Linux 6.18:
//
//	closed normally, any port       9,985, for 120 s
//	reset, any port                 3,730, for 10 s
//	reset, four ports               4, for 10 s
//	never answered, any port        7,726, for 120 s
//	never answered, four ports      4, for 120 s
//
// (The kernel chooses some ports again.) Refused checks leave no entry: the kernel deletes it with the reset of the
// backend. The identifier of type icmp is the same for all checks of a backend.
//
// A notrack rule would leave none. But most firewalls of hosts accept the packets of established connections and drop
// others. They would drop the answers to untracked checks, and all backends would fail at once.
//
// # Be aware
//
// If a port or identifier is taken, the kernel chooses another one: two checks of a backend at the same time are no
// fault. Sockets of UDP share no port, so of 10,000 checks of type udp that wait at the same time some get other ports.
//
// Run needs no privilege, except for ICMP where net.ipv4.ping_group_range excludes the group of the process.
//
// Text of a backend or a program reaches a Reason by printable alone.
package probe

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"farmc/compiler/farm"
)

// A Target is a backend, and the check that it gets. A backend with addresses of both families is two targets.
type Target struct {
	Address netip.Addr
	Port    uint16 // 0 in types without ports
	Farm    string
	Backend string
	Check   farm.Health
}

// Run checks the backend once. It returns after the timeout of the check at the latest, with some milliseconds to end a
// program of type exec. The result of a check that ctx has ended is Unknown.
func Run(ctx context.Context, t Target) Result {
	return run(ctx, t, farm.ChecksDir)
}

// run is Run with another directory of programs.
func run(ctx context.Context, t Target, programs string) Result {
	start := time.Now()
	c := &check{Target: t, ctx: ctx, start: start, deadline: start.Add(t.Check.Timeout), programs: programs}
	r := c.run()
	if ctx.Err() != nil {
		r = unknown("check ended before its result")
	}
	r.Took = time.Since(start)
	return r
}

// A check is one check on its way.
type check struct {
	Target
	ctx             context.Context
	start, deadline time.Time
	programs        string // directory
}

func (c *check) run() Result {
	switch c.Check.Type {
	case farm.HealthTCP:
		return c.tcp()
	case farm.HealthHTTP:
		return c.http()
	case farm.HealthHTTPS:
		return c.https()
	case farm.HealthTLS:
		return c.tls()
	case farm.HealthUDP:
		return c.udp()
	case farm.HealthDNS:
		return c.dns()
	case farm.HealthICMP:
		return c.icmp()
	case farm.HealthExec:
		return c.exec()
	case farm.HealthFile:
		return c.file()
	case farm.HealthNone:
		return unknown("no check")
	}
	panic(fmt.Sprintf("health type %q", c.Check.Type)) // package farm reads the types above
}
