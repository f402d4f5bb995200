package compiler

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A limiter is a chain in which packets for one farm are held against its limits. There are two kinds of it: before
// connection tracking, which an offender is not to reach, and right after it, of what only connection tracking knows.
// Each limit may be nil.
type limiter struct {
	Name    string
	Family  Family
	Only    []string  // the interfaces that the farm's packets come in by; none: all
	Allowed []clients // whom no limit is for

	Banned               *limiterStep
	Flags                *limiterStep // strict-tcp, of what a packet shows by itself
	Unknown              *limiterStep // strict-tcp, of what belongs to no connection
	Resets               *limiterStep
	NewPerClient         *limiterStep
	New                  *limiterStep
	ConnectionsPerClient *limiterStep
	Connections          *limiterStep
	Origin               *Origin
}

// opens says whether anything of the limiter is about connections that are being opened.
func (c *limiter) opens() bool {
	return c.NewPerClient != nil || c.New != nil || c.ConnectionsPerClient != nil || c.Connections != nil
}

// A limiterStep says what is counted where, and what becomes of what is too much.
type limiterStep struct {
	Set     string  // of the clients, or of the farm's only count
	Each    *memory // what is counted of each client
	Crowd   string  // of the clients that found no place in it
	Parts   int     // of connections of the farm: how many counts these fall into
	Counter string
	Then    string // the end of the rule; "": the packet passes
	Others  string // the same of a client of the crowd, whom nobody can tell from others
	Origin  *Origin
}

// An excess is a chain for what is too much, where that takes more than one rule.
type excess struct {
	Name   string
	Family Family
	Log    *logRule
	Bans   string        // the set in which the client is put; "": none
	Ban    time.Duration // for how long
	Then   string
	Origin *Origin
}

// A memory is a set that the kernel fills.
type memory struct {
	Name    string
	Keys    string // nft's word for their type
	Size    int    // 0: as the kernel has it
	Timeout time.Duration
	Forgets bool // elements come with a timeout
	Rate    Limit
	Count   int
	Origin  *Origin
}

// limit leads the doors of farms with limits to where these are.
func (l *linker) limit(served, tracked []door) {
	for _, g := range limitGates(served) {
		l.leadGate(g, served, l.outerLimiter)
		if len(g.Doors) > 0 {
			l.rules.limitGates = append(l.rules.limitGates, g)
		}
	}
	l.leadSome(&l.rules.limited, "limits-", tracked, l.innerLimiter)
	slices.SortFunc(l.rules.memories, func(a, b memory) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.limiters, func(a, b *limiter) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.excesses, func(a, b excess) int { return cmp.Compare(a.Name, b.Name) })
}

// limitGates are where packets of the doors are before connection tracking: at ingress, if their farm takes them
// there, else in prerouting.
func limitGates(doors []door) []*gate {
	var out []*gate
	for _, in := range ingressesOf(doors, func(f *Farm) []string {
		if !f.Limits.outside(f) {
			return nil
		}
		return f.devices()
	}) {
		out = append(out, &gate{Name: "limits-" + in.Name, Devices: in.Devices, Before: 5})
	}
	return append(out, &gate{Name: "limits-untracked", Before: 5})
}

// outside says whether a limit of the farm holds before connection tracking, or without it.
func (l Limits) outside(f *Farm) bool {
	return l.Ban > 0 || l.StrictTCP || slices.Contains(frames, f.Mode) && l.ResetsPerClient != Limit{}
}

// outerLimiter gives the chain before connection tracking; "" if the farm needs none there.
func (l *linker) outerLimiter(g *gate, d door) string {
	f, untracked := d.farm, slices.Contains(frames, d.farm.Mode)
	in := ingress{Devices: g.Devices}
	here := in.takes(f) || !untracked && len(g.Devices) == 0
	if !here || !f.Limits.outside(f) {
		return ""
	}
	c, isNew := l.addLimiter(d, "limits-untracked")
	if !isNew {
		return c.Name
	}
	if f.Limits.Ban > 0 {
		c.Banned = l.step(d, Banned, memory{Name: bans(f, d.family), Keys: clientType(d.family), Forgets: true})
	}
	if f.Limits.StrictTCP {
		c.Flags = l.step(d, StrictTCP, memory{})
	}
	if untracked {
		c.Resets = l.resets(d)
		c.Only = nil // the gate has them
	}
	return c.Name
}

// mostCounted is how many connections are counted together. The kernel looks at each of them when one more comes
// (nf_conncount): with 12,000 in one count that takes 2.5 ms, and a flood of 400 SYNs a second all of a processor. So
// more of them are counted in parts, into which they fall by a hash. Parts fill up unevenly: at about 75 % of the limit
// the first of them are full.
const mostCounted = 256

// innerLimiter gives the chain right after connection tracking; "" if the farm needs none there.
func (l *linker) innerLimiter(d door) string {
	f, limits := d.farm, d.farm.Limits
	limits.Ban, limits.Clients, limits.Verdict = 0, 0, ""
	if limits == (Limits{}) {
		return ""
	}
	c, isNew := l.addLimiter(d, "limits")
	if !isNew {
		return c.Name
	}
	if limits.StrictTCP {
		c.Unknown = l.step(d, StrictTCP, memory{})
	}
	c.Resets = l.resets(d)
	if limits.NewPerClient != (Limit{}) {
		c.NewPerClient = l.perClient(d, NewPerClient, memory{Rate: limits.NewPerClient})
	}
	if limits.New != (Limit{}) {
		c.New = l.step(d, New, memory{Name: ownName(f, "new"), Keys: "mark", Rate: limits.New})
	}
	if limits.ConnectionsPerClient > 0 {
		c.ConnectionsPerClient = l.perClient(d, ConnectionsPerClient, memory{Count: limits.ConnectionsPerClient})
	}
	if limits.Connections > 0 {
		parts := (limits.Connections + mostCounted - 1) / mostCounted
		c.Connections = l.step(d, Connections, memory{Name: ownName(f, "connections"), Keys: "mark", Count: limits.Connections / parts})
		c.Connections.Parts = parts
	}
	l.rules.watchesOpen = l.rules.watchesOpen || c.Unknown != nil || c.Resets != nil
	return c.Name
}

func (l *linker) addLimiter(d door, kind string) (c *limiter, isNew bool) {
	name := ownName(d.farm, kind+"-"+d.family.Suffix())
	if c = l.limiters[name]; c != nil {
		return c, false
	}
	c = &limiter{Name: name, Family: d.family, Only: d.farm.Interfaces, Allowed: l.allowed(d.farm, d.family), Origin: d.farm.origin("limits")}
	l.limiters[name] = c
	l.rules.limiters = append(l.rules.limiters, c)
	return c, true
}

func (l *linker) resets(d door) *limiterStep {
	if limit := d.farm.Limits.ResetsPerClient; limit != (Limit{}) {
		return l.perClient(d, ResetsPerClient, memory{Rate: limit})
	}
	return nil
}

// perClient is a step that counts clients one by one, as long as there is room for them. Those that find none are
// counted by a number that a few of them share: nobody goes free then, and one of them has to meet another in the same
// number to be held back for it. There are as many numbers as the crowd's set has room for, so that one is never full.
// All farms share it, each with numbers of its own; a set for each would double the time that thousands take to load.
func (l *linker) perClient(d door, why Reason, m memory) *limiterStep {
	m.Name, m.Keys = ownName(d.farm, string(why)+"-"+d.family.Suffix()), clientType(d.family)
	m.Timeout, m.Forgets = m.Rate.refill(), m.Rate != Limit{}
	if d.farm.Limits.Clients != usualClients {
		m.Size = d.farm.Limits.Clients
	}
	s := l.step(d, why, m)
	s.Each = &m
	s.Crowd, s.Then, s.Others = "crowd/"+string(why), l.excess(d, why, true), s.Then
	l.remember(memory{Name: s.Crowd, Keys: "mark", Forgets: m.Forgets, Origin: s.Origin})
	return s
}

// step adds what a step needs to the table.
func (l *linker) step(d door, why Reason, m memory) *limiterStep {
	f := d.farm
	s := &limiterStep{Set: m.Name, Counter: ownName(f, string(why)), Then: l.excess(d, why, false), Origin: f.limitOrigin(why)}
	if m.Name != "" {
		m.Origin = s.Origin
		l.remember(m)
	}
	l.counted(s.Counter, s.Origin)
	return s
}

func (l *linker) remember(m memory) {
	if !l.memories[m.Name] {
		l.memories[m.Name] = true
		l.rules.memories = append(l.rules.memories, m)
	}
}

// excess gives the end of a rule for what is too much: a verdict, or the chain that comes to it. An offender is banned
// for it, if the farm bans.
func (l *linker) excess(d door, why Reason, offends bool) string {
	f := d.farm
	then := map[Verdict]string{VerdictDrop: "drop", VerdictReject: "goto refuse", VerdictLog: ""}[f.Limits.Verdict]
	l.rules.refuses = l.rules.refuses || f.Limits.Verdict == VerdictReject
	x := excess{Name: ownName(f, "limited/"+string(why)), Family: d.family, Then: then, Origin: f.limitOrigin(why)}
	x.Log = l.write(f, false, event{on: OnLimited, reason: string(why)})
	if offends && f.Limits.Ban > 0 {
		x.Bans, x.Ban = bans(f, d.family), f.Limits.Ban
		x.Name += "-" + d.family.Suffix()
		if x.Log == nil {
			x.Name, x.Origin = ownName(f, "offender-"+d.family.Suffix()), f.limitOrigin(Banned) // whatever the reason
		}
	}
	if x.Log == nil && x.Bans == "" {
		return then
	}
	if !l.memories[x.Name] {
		l.memories[x.Name] = true
		l.rules.excesses = append(l.rules.excesses, x)
	}
	if then == "" {
		return "jump " + x.Name // and on to the next limit
	}
	return "goto " + x.Name
}

// limitOrigin is where the limit that is the reason is from.
func (f *Farm) limitOrigin(why Reason) *Origin {
	key := "limits." + string(why)
	if why == Banned {
		key = "limits.ban"
	}
	return f.origin(key)
}

// bans is the name of the set of a farm's banned clients.
func bans(f *Farm, family Family) string { return ownName(f, "banned-"+family.Suffix()) }

func clientType(f Family) string { return "ipv" + view{f}.IP() + "_addr" }

// Long is the timeout.
func (m memory) Long() string { return timeWord(m.Timeout) }

type excessView struct {
	excess
	view
}

// Long is how long the ban lasts.
func (x excessView) Long() string { return timeWord(x.Ban) }

// timeWord writes a time in nft's words.
func timeWord(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", d/time.Millisecond)
}

type limiterView struct {
	*limiter
	view
}

// Those are the clients whom no limit is for.
func (c limiterView) Those() []allowedView {
	out := make([]allowedView, len(c.Allowed))
	for i, who := range c.Allowed {
		out[i] = allowedView{clientsView{who, c.view}, c.Origin}
	}
	return out
}

type allowedView struct {
	clientsView
	Origin *Origin
}

// Steps are the limiter's own, in the order of reasons, each with the template of its rules.
func (c limiterView) Steps() []limitView {
	var out []limitView
	for _, s := range []struct {
		form string
		step *limiterStep
	}{
		{"banned", c.Banned}, {"flags", c.Flags}, {"unknown", c.Unknown}, {"resets", c.Resets}, {"opening", nil},
		{"new-per-client", c.NewPerClient}, {"new", c.New}, {"connections-per-client", c.ConnectionsPerClient}, {"connections", c.Connections},
	} {
		switch {
		case s.form == "opening" && c.opens():
			out = append(out, limitView{Form: s.form, limiterStep: &limiterStep{}})
		case s.step != nil:
			out = append(out, limitView{s.form, c.view, seedOf(c.Name), s.step})
		}
	}
	return out
}

// seedOf gives the numbers of a crowd that is many farms' another order for each.
func seedOf(name string) string { return fmt.Sprintf("%#x", uint32(hash64(name))) }

type limitView struct {
	Form string
	view
	Seed string
	*limiterStep
}

// Client is what a client is told by.
func (s limitView) Client() string {
	if s.family == IP6 {
		return "ip6 saddr & ffff:ffff:ffff:ffff::"
	}
	return "ip saddr"
}

// Client is described at limitView.
func (x excessView) Client() string { return limitView{view: x.view}.Client() }
