package ruleset

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// limitsHook checks limits that need conntrack, right after connection tracking.
var limitsHook = baseChain{name: "limits", section: limitSection, prefix: "limits-", any: "limits-any"}

// A limitChain checks packets for one farm of one family against its limits. There are two kinds: before connection
// tracking, which packets of an offender do not reach, and right after it. Each limit may be nil.
type limitChain struct {
	Name    string
	Family  addr.Family
	Only    []string  // the interfaces that the farm's packets come in by; none: all
	Allowed []clients // clients without limits
	Origin  *diag.Origin

	Banned               *limit
	Flags                *limit // strict-tcp, by the flags of a packet
	Unknown              *limit // strict-tcp, by its connection
	Synproxy             bool   // an ACK may be a cookie, which opens no connection yet
	Resets               *limit
	NewPerClient         *limit
	New                  *limit
	ConnectionsPerClient *limit
	Connections          *limit
}

// A limit is the set that counts packets or connections, and the verdict over the limit.
type limit struct {
	Template  string
	Family    addr.Family
	Set       string      // of the clients, or of the farm's only count
	PerClient *dynamicSet // the set of the clients; nil: none
	Overflow  string      // the set of clients that found no room in it
	Seed      string      // of their hash
	Parts     int         // of the farm's connections: the number of counts that they are spread over
	Counter   string
	Chain     string  // of the packets of banned clients; "": none
	Closing   bool    // segments that close a connection pass; all packets are TCP
	Synproxy  bool    // of the chain
	Then      verdict // "": the packet passes
	Others    verdict // the same for a client that shares its count with others
	Origin    *diag.Origin
}

// An overLimit is the chain of packets over a limit, where their verdict takes more than one rule.
type overLimit struct {
	Family addr.Family
	Log    *logRule
	Bans   string        // the set that the client is added to; "": none
	Lasts  time.Duration // how long the client stays there
	Then   verdict
	Origin *diag.Origin
}

// A dynamicSet is a set that packets fill. Its limit is declared with it, so that another limit is another set, and the
// same limit is the same set after a load. A set without a size grows with its elements, up to 65535; one with a size
// takes its memory at once.
type dynamicSet struct {
	Keys    string // nft's type
	Entries int    // its size; 0: the kernel's default
	Lasts   time.Duration
	Expires bool // elements have a timeout
	Rate    farm.Limit
	Count   int
}

// limits dispatches the packets of farms with limits to their limit chains.
func (l *linker) limits(served, tracked []frontend) {
	for _, g := range limitGates(served) {
		l.fillGate(g, served, l.earlyLimits)
	}
	everyPacket := false
	h := l.dispatch(limitsHook, tracked, func(d frontend) verdict {
		name, chain := l.trackedLimits(d)
		everyPacket = everyPacket || chain != nil && (chain.Unknown != nil || chain.Resets != nil)
		return goTo(name)
	})
	if h != nil {
		h.EveryPacket = everyPacket
	}
}

// limitGates are the places before connection tracking: ingress, if the farm takes its packets there, else prerouting.
func limitGates(served []frontend) (out []*gate) {
	for _, in := range ingressesOf(served, func(s *service) []string {
		if !s.hasEarlyLimits() {
			return nil
		}
		return s.devices()
	}) {
		out = append(out, &gate{Name: "limits-" + in.Name, Section: limitSection, Devices: in.Devices, Before: 5})
	}
	return append(out, &gate{Name: "limits-untracked", Section: limitSection, Before: 5})
}

// hasEarlyLimits reports whether a limit of the farm is checked before connection tracking, or without it.
func (s *service) hasEarlyLimits() bool {
	limits := s.Limits
	return limits.Ban > 0 || limits.StrictTCP || s.Mode.Untracked() && limits.ResetsPerClient != farm.Limit{}
}

// earlyLimits gives the chain before connection tracking; "" if the farm needs none at the gate.
func (l *linker) earlyLimits(g *gate, d frontend) string {
	s, untracked := d.farm, d.farm.Mode.Untracked()
	in := ingress{Devices: g.Devices}
	here := in.takes(s) || !untracked && len(g.Devices) == 0
	if !here || !s.hasEarlyLimits() {
		return ""
	}
	name, _ := l.limitChain(d, "limits-untracked", func(c *limitChain) {
		if s.Limits.Ban > 0 {
			bans := dynamicSet{Keys: addressType(d.Family), Expires: true}
			c.Banned = l.limit(d, farm.Banned, s.banSet(d.Family), bans)
			l.letClose(s, c.Banned)
		}
		if s.Limits.StrictTCP {
			l.tcpFlags()
			c.Flags = l.limit(d, farm.StrictTCP, "", dynamicSet{})
		}
		if untracked { // the gate stands at the farm's interfaces
			c.Resets = l.resetLimit(d)
		} else {
			c.Only = l.only(s.Interfaces)
		}
	})
	return name
}

// letClose lets the packets that close the open connections of banned clients pass. Else conntrack would keep the
// connections for five days after the backend has lost its client, and count them, so that connections-per-client would
// ban the client again at once.
func (l *linker) letClose(s *service, banned *limit) {
	holdsBack := s.Limits.Verdict != farm.VerdictLog
	closes := slices.ContainsFunc(s.frontends, func(d frontend) bool { return d.takesTCP() })
	if !holdsBack || !closes || s.Mode.Untracked() {
		return
	}
	if !slices.ContainsFunc(s.frontends, func(d frontend) bool { return d.Protocol != farm.TCP }) {
		banned.Closing = true
		return
	}
	banned.Chain = s.ownName("banned")
	l.rules.add(newChain(banned.Chain, limitSection, "of-banned-client").with(banned))
}

// maxCounted is the number of connections that are counted together. The kernel looks at each of them when one more
// comes (nf_conncount): with 12,000 in one count that takes 2.5 ms, and a flood of 400 SYNs a second takes all of a
// processor. So more connections are counted in parts, over which a hash spreads them. Parts fill up unevenly: at about
// 75 % of the limit the first parts are full.
const maxCounted = 256

// trackedLimits gives the chain right after connection tracking; "" and nil if the farm needs none there.
func (l *linker) trackedLimits(d frontend) (string, *limitChain) {
	s, limits := d.farm, d.farm.Limits
	limits.Ban, limits.Clients, limits.Verdict, limits.Synproxy = 0, 0, "", farm.Synproxy{}
	if limits == (farm.Limits{}) {
		return "", nil
	}
	return l.limitChain(d, "limits", func(c *limitChain) {
		c.Only, c.Synproxy = l.only(s.Interfaces), s.Limits.Synproxy.On
		if limits.StrictTCP {
			c.Unknown = l.limit(d, farm.StrictTCP, "", dynamicSet{})
		}
		c.Resets = l.resetLimit(d)
		if limits.NewPerClient != (farm.Limit{}) {
			c.NewPerClient = l.perClient(d, farm.NewPerClient, dynamicSet{Rate: limits.NewPerClient})
		}
		if limits.New != (farm.Limit{}) {
			c.New = l.limit(d, farm.New, s.ownName("new"), dynamicSet{Keys: "mark", Rate: limits.New})
		}
		if limits.ConnectionsPerClient > 0 {
			set := dynamicSet{Count: limits.ConnectionsPerClient}
			c.ConnectionsPerClient = l.perClient(d, farm.ConnectionsPerClient, set)
		}
		if limits.Connections > 0 {
			parts := (limits.Connections + maxCounted - 1) / maxCounted
			set := dynamicSet{Keys: "mark", Count: limits.Connections / parts}
			c.Connections = l.limit(d, farm.Connections, s.ownName("connections"), set)
			c.Connections.Parts = parts
		}
	})
}

// limitChain gives the farm's chain of the kind, which fill completes.
func (l *linker) limitChain(d frontend, kind string, fill func(*limitChain)) (string, *limitChain) {
	s := d.farm
	o := newChain(s.ownName(kind+"-"+d.Family.Suffix()), limitSection, "limits-of-farm")
	return o.Name, obtain(&l.rules, o, func() *limitChain {
		c := &limitChain{Name: o.Name, Family: d.Family, Allowed: l.allowed(s, d.Family), Origin: s.Origin("limits")}
		fill(c)
		return c
	})
}

func (l *linker) resetLimit(d frontend) *limit {
	if rate := d.farm.Limits.ResetsPerClient; rate != (farm.Limit{}) {
		return l.perClient(d, farm.ResetsPerClient, dynamicSet{Rate: rate})
	}
	return nil
}

// perClient gives a limit that counts clients one by one, as long as there is room for them. Clients without room share
// counts by a hash: none goes without a limit, and a client is held back only if it shares its count with an offender.
// There are as many counts as the overflow set has room for, so it is never full. All farms share it, each with counts
// of its own: a set for each would double the time that thousands of farms take to load.
func (l *linker) perClient(d frontend, why farm.Reason, m dynamicSet) *limit {
	m.Keys, m.Lasts, m.Expires = addressType(d.Family), m.Rate.Refill(), m.Rate != farm.Limit{}
	if d.farm.Limits.Clients != farm.DefaultClients {
		m.Entries = d.farm.Limits.Clients
	}
	c := l.limit(d, why, d.farm.ownName(string(why)+"-"+d.Family.Suffix()), m)
	c.PerClient, c.Overflow, c.Others = &m, overflowPrefix+string(why), c.Then
	c.Then = l.overLimit(d, why, true)
	l.dynamicSet(c.Overflow, dynamicSet{Keys: "mark", Expires: m.Expires})
	return c
}

// limit gives a limit with its set, if it has one, and its counter.
func (l *linker) limit(d frontend, why farm.Reason, set string, m dynamicSet) *limit {
	s := d.farm
	c := &limit{Family: d.Family, Set: set, Counter: s.ownName(string(why)), Origin: s.limitOrigin(why)}
	c.Then = l.overLimit(d, why, false)
	if set != "" {
		l.dynamicSet(set, m)
	}
	l.counter(c.Counter, limitSection, c.Origin)
	return c
}

// overflowPrefix begins the names of the sets of clients without room.
const overflowPrefix = "crowd/"

func (l *linker) dynamicSet(name string, m dynamicSet) {
	of := limitSection
	if strings.HasPrefix(name, overflowPrefix) {
		of = sharedSection
	}
	l.rules.add(newSet(name, of, "dynamic-set").with(&m))
}

// overLimit gives the verdict on packets over a limit, or the chain that comes to it. A farm that bans adds an offender
// to its ban set.
func (l *linker) overLimit(d frontend, why farm.Reason, offends bool) verdict {
	s := d.farm
	then := l.limitVerdict(s, why)
	name := s.ownName("limited/" + string(why))
	c := &overLimit{Family: d.Family, Then: then, Origin: s.limitOrigin(why)}
	c.Log = l.logRule(s, farm.LogEvent{On: farm.OnLimited, Reason: string(why)})
	if offends && s.Limits.Ban > 0 {
		c.Bans, c.Lasts = s.banSet(d.Family), s.Limits.Ban
		name += "-" + d.Family.Suffix()
		if c.Log == nil { // one chain for all reasons
			name, c.Origin = s.ownName("offender-"+d.Family.Suffix()), s.limitOrigin(farm.Banned)
		}
	}
	if c.Log == nil && c.Bans == "" {
		return then
	}
	l.rules.add(newChain(name, limitSection, "over-limit").with(c))
	if then == noVerdict {
		return jumpTo(name) // the next limit follows
	}
	return goTo(name)
}

// limitVerdict gives the farm's verdict on packets over a limit. A reset in answer to a segment of an open connection
// would close it for the client alone.
func (l *linker) limitVerdict(s *service, why farm.Reason) verdict {
	switch s.Limits.Verdict {
	case farm.VerdictReject:
		l.staticChain("refuse", limitSection)
		if why == farm.Banned && !s.Mode.Untracked() {
			l.staticChain("refuse-opening", limitSection)
			return goTo("refuse-opening")
		}
		return goTo("refuse")
	case farm.VerdictDrop:
		return drop
	}
	return noVerdict
}

// limitOrigin is the origin of the limit.
func (s *service) limitOrigin(why farm.Reason) *diag.Origin {
	if why == farm.Banned {
		return s.Origin("limits.ban")
	}
	return s.Origin("limits." + string(why))
}

// tcpFlags adds the set of the combinations of flags that strict-tcp lets pass.
func (l *linker) tcpFlags() {
	o := newSet("tcp-flags", sharedSection, "tcp-flags")
	for _, flags := range []string{"syn", "syn | ack", "ack", "fin | ack", "rst", "rst | ack"} {
		o.elements.add(element{key: flags})
	}
	l.rules.add(o)
}

// BanSet is the name of the set of table inet farmc that holds the farm's banned clients.
func BanSet(name string, family addr.Family) string { return ownName(name, "banned-"+family.Suffix()) }

func (s *service) banSet(family addr.Family) string { return BanSet(s.Name, family) }

// Timeout is the timeout of elements.
func (m *dynamicSet) Timeout() string { return seconds(m.Lasts) }

// Timeout is how long a ban lasts.
func (c *overLimit) Timeout() string { return seconds(c.Lasts) }

// seconds writes a time in seconds, or in milliseconds.
func seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", d/time.Millisecond)
}

// Limits are the chain's limits in the order in which a packet meets them, each with its template.
func (c *limitChain) Limits() (out []*limit) {
	for _, next := range []struct {
		template string
		limit    *limit
	}{
		{"banned", c.Banned},
		{"flags", c.Flags},
		{"unknown", c.Unknown},
		{"resets", c.Resets},
		{"opening", c.opening()},
		{"new-per-client", c.NewPerClient},
		{"new", c.New},
		{"connections-per-client", c.ConnectionsPerClient},
		{"connections", c.Connections},
	} {
		if next.limit != nil {
			next.limit.Template, next.limit.Seed = next.template, overflowSeed(c.Name)
			next.limit.Synproxy = c.Synproxy
			out = append(out, next.limit)
		}
	}
	return out
}

// opening is the rule before the limits on connections that are being opened; nil without these.
func (c *limitChain) opening() *limit {
	if c.NewPerClient != nil || c.New != nil || c.ConnectionsPerClient != nil || c.Connections != nil {
		return &limit{}
	}
	return nil
}

// Client is the field that identifies a client.
func (c *limit) Client() string { return clientField(c.Family) }

// Client is the field that identifies a client.
func (c *overLimit) Client() string { return clientField(c.Family) }

func clientField(f addr.Family) string {
	if f == addr.IP6 {
		return "ip6 saddr & ffff:ffff:ffff:ffff::"
	}
	return "ip saddr"
}

// overflowSeed gives each farm another order of the counts that farms share.
func overflowSeed(chain string) string { return fmt.Sprintf("%#x", uint32(slots.Hash64(chain))) }
