package ruleset

import (
	"fmt"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

// With synproxy the kernel (nft_synproxy) answers the SYNs of clients itself, with a cookie as its sequence number. The
// ACK of a client returns the cookie. Then the kernel sends a SYN to the service as the client would, and translates
// sequence numbers and timestamps from then on. The way of a connection:
//
//   - Connection tracking does not see the SYN of the client (synproxy-untracked). It is not translated, so it comes to
//     the input hook, if the service's address is one of this machine. Other SYNs are tracked as without synproxy.
//   - The ACK with the cookie belongs to no connection: it is invalid, or new where nf_conntrack_tcp_loose lets
//     connection tracking pick up open connections. The nat chain leaves it alone (synproxy-first).
//   - The SYN of the kernel passes the output hook with the client's address. The maps for connections of this machine
//     lead it to a backend, and limits count it there: a forged source opens no connection.
//
// The kernel answers the SYN-ACK of the backend itself, and translates the timestamp of that ACK twice
// (ipv4_synproxy_hook, seen on 6.18). Linux from 6.15 on drops such an ACK in the state SYN-RECV, and the connection
// stands still for a second. Backends take an ACK without timestamps.

// The hooks of farms with synproxy: SYNs before connection tracking, segments that the kernel answers or that return a
// cookie, and connections that the kernel opens for clients.
var (
	synproxyHook = baseChain{name: "synproxy-untracked", section: limitSection, prefix: "synproxy-",
		any: "synproxy-any"}
	cookieHook = baseChain{name: "cookies", section: limitSection, prefix: "cookies-", any: "cookies-any"}
	openedHook = baseChain{name: "synproxy-opened", section: limitSection, prefix: "opened-", any: "opened-any"}
)

// A synproxyChain leads a farm's SYNs of one family by connection tracking.
type synproxyChain struct {
	Only    []string
	Allowed []clients // clients without limits: their SYNs are tracked
	Counter string
	Origin  *diag.Origin
}

// A cookieChain answers SYNs, and takes the cookies: one chain for all farms that announce the same.
type cookieChain struct {
	Only        []string
	MSS         int
	WindowScale int
	Next        string // the chain that does so, after this one has compared the interface
	Origin      *diag.Origin
}

// synproxied reports whether the kernel answers SYNs to the frontend. Where no backend serves, a client must be refused
// before it takes its connection for open.
func (l *linker) synproxied(d frontend) bool {
	return d.farm.Limits.Synproxy.On && d.takesTCP() && len(l.assignment(d).serving) > 0
}

// keepSynproxy keeps the kernel's synproxy in place for all farms with synproxy, also those that are down or without a
// backend. It translates the timestamps of open connections, which stall without it.
func (l *linker) keepSynproxy(all []frontend) {
	for i := range all {
		if d := &all[i]; d.farm.Limits.Synproxy.On && d.takesTCP() {
			l.cookiesOfKind(*d)
		}
	}
}

// synproxy dispatches the segments of farms with synproxy.
func (l *linker) synproxy(tracked []frontend) {
	of := func(chain func(frontend) string) func(frontend) verdict {
		return func(d frontend) verdict {
			if !l.synproxied(d) {
				return noVerdict
			}
			return goTo(chain(d))
		}
	}
	if l.dispatch(synproxyHook, tracked, of(l.synproxyChain)) == nil {
		return
	}
	l.dispatch(cookieHook, tracked, of(l.cookieChain))
	l.staticChain("synproxy-input", limitSection)
	l.dispatch(openedHook, tracked, of(l.openedChain))
}

func (l *linker) synproxyChain(d frontend) string {
	s := d.farm
	o := newChain(s.ownName("synproxy-"+d.Family.Suffix()), limitSection, "synproxy-of-farm")
	obtain(&l.rules, o, func() *synproxyChain {
		c := &synproxyChain{Only: l.only(s.Interfaces), Allowed: l.allowed(s, d.Family),
			Counter: CookieCounter(s.Name), Origin: s.Origin("limits.synproxy")}
		l.counter(c.Counter, limitSection, c.Origin)
		return c
	})
	return o.Name
}

// CookieCounter is the name of the counter of SYNs that the kernel answers for a farm.
func CookieCounter(farm string) string { return ownName(farm, "synproxy") }

// headerDifference is how much longer the header of IPv6 is than that of IPv4.
const headerDifference = 20

func (l *linker) cookieChain(d frontend) string {
	s, next := d.farm, l.cookiesOfKind(d)
	if len(s.Interfaces) == 0 {
		return next
	}
	c := cookieChain{Only: l.only(s.Interfaces), Next: next, Origin: s.Origin("interfaces")}
	own := s.ownName("cookies-" + d.Family.Suffix())
	l.rules.add(newChain(own, limitSection, "cookies-of-kind").with(c))
	return own
}

// cookiesOfKind gives the chain of all farms that announce the same.
func (l *linker) cookiesOfKind(d frontend) string {
	c := cookieChain{MSS: d.farm.Limits.Synproxy.MSS, WindowScale: d.farm.Limits.Synproxy.WindowScale}
	if d.Family == addr.IP6 {
		c.MSS -= headerDifference
	}
	c.Origin = d.farm.Origin("limits.synproxy")
	name := fmt.Sprintf("cookies-%d-%d", c.MSS, c.WindowScale)
	l.rules.add(newChain(name, limitSection, "cookies-of-kind").with(c))
	return name
}

// openedChain gives the chain of connections that the kernel opens for clients of the farm.
func (l *linker) openedChain(d frontend) string {
	l.staticChain("opened-without-limits", limitSection)
	limits, chain := l.trackedLimits(d)
	if chain == nil || chain.opening() == nil {
		return "opened-without-limits"
	}
	name := d.farm.ownName("opened-" + d.Family.Suffix())
	l.rules.add(newChain(name, limitSection, "opened").with(limits))
	return name
}

// A synproxyStep stands before a chain for connections of a farm with synproxy.
type synproxyStep struct{ Next string }

// synproxyFirst gives the chain that leaves cookies alone, before another chain for the frontend's connections.
func (l *linker) synproxyFirst(d frontend, next string) string {
	if next == "" || !l.synproxied(d) {
		return next
	}
	return l.synproxyStep("synproxy-first", next)
}

func (l *linker) synproxyStep(template, next string) string {
	name := template + "/" + next
	l.rules.add(newChain(name, limitSection, template).with(synproxyStep{next}))
	return name
}

// exceptLocal gives the verdict on connections that this machine sends to a farm without local clients. The kernel
// opens connections for clients of other machines.
func (l *linker) exceptLocal(d frontend, v verdict) verdict {
	if !l.synproxied(d) {
		return accept
	}
	return goTo(l.synproxyStep("synproxy-remote", v.chain()))
}
