package ipvs

import (
	"fmt"
	"slices"
)

// A choice is the scheduler of a farm in the place of one of IPVS.
type choice struct {
	scheduler     string
	hashOn        []string
	counts        bool // the scheduler of IPVS counts open connections
	alike         bool // weights have no effect
	perConnection bool // each connection has another backend, which needs connection tracking or per-packet
}

// leastConnections is the scheduler of farms by open connections.
const leastConnections = "least-connections"

var (
	byDestination = []string{"destination-address"}
	choices       = map[string]choice{
		"rr":    {scheduler: "round-robin", perConnection: true, alike: true},
		"wrr":   {scheduler: "round-robin", perConnection: true},
		"lc":    {scheduler: leastConnections, perConnection: true, alike: true, counts: true},
		"wlc":   {scheduler: leastConnections, perConnection: true, counts: true},
		"sed":   {scheduler: leastConnections, perConnection: true, counts: true},
		"nq":    {scheduler: leastConnections, perConnection: true, counts: true},
		"twos":  {scheduler: leastConnections, perConnection: true, counts: true},
		"dh":    {scheduler: "hash", hashOn: byDestination},
		"lblc":  {scheduler: "hash", hashOn: byDestination, counts: true},
		"lblcr": {scheduler: "hash", hashOn: byDestination, counts: true},
	}
)

// scheduler sets the scheduler. IPVS has wlc if a service names none.
func (i *importer) scheduler() {
	if i.Scheduler.Value == "" {
		i.Scheduler = Option{i.At, "wlc"}
	}
	name, at := i.Scheduler.Value, i.Scheduler.At
	c, known := choices[name]
	switch {
	case known:
		i.choose(name, c)
	case name == "sh":
		i.set("hash", i.hashed(name))
	case name == "mh":
		i.set("maglev", i.hashed(name))
	case name == "fo" || name == "ovf":
		i.ranks(name)
	default:
		i.Lose(at, "farmc does not know the scheduler "+name, "choose one of farms.d(5); the farm has the default")
	}
	i.flags(name)
	i.onePacket(c)
}

// set sets the scheduler of the farm, and the parts of packets that it hashes.
func (i *importer) set(scheduler string, hashOn []string) {
	i.farm.Set(i.Scheduler.At, scheduler, "scheduler")
	if len(hashOn) > 0 {
		i.farm.Set(i.Scheduler.At, hashOn, "hash-on")
	}
}

// choose sets the scheduler of a choice, or one that needs no connection tracking in mode dsr.
func (i *importer) choose(name string, c choice) {
	instead, hashOn := c.scheduler, c.hashOn
	if c.perConnection && i.untracked() {
		instead, hashOn = i.withoutTracking(name, c)
	}
	i.set(instead, hashOn)
	if c.alike {
		i.equalWeights()
	}
	switch {
	case !c.counts:
	case instead == leastConnections:
		i.NoteLeastConnections(i.Scheduler.At, "scheduler "+name)
	case c.perConnection:
		i.Lose(i.Scheduler.At, "scheduler "+name+" counts open connections, which mode dsr does not track",
			"the farm has "+instead)
	default:
		i.Lose(i.Scheduler.At, "scheduler "+name+" sends a destination to another server by open connections",
			"the farm has a hash of the destination address")
	}
}

// withoutTracking is a scheduler with hashed fields in the place of one that chooses for each connection.
func (i *importer) withoutTracking(name string, c choice) (instead string, hashOn []string) {
	switch {
	case i.perPacket() && c.counts:
		return "round-robin", nil
	case i.perPacket():
		return c.scheduler, nil
	case !c.counts:
		i.Note(i.Scheduler.At, "scheduler "+name+" in mode dsr needs connection tracking",
			"the farm has maglev by the address and port of the client, which shares alike")
	}
	return "maglev", []string{"source-address", "source-port"}
}

// perPacket reports whether a backend for each datagram is possible: farms in mode dsr with datagrams of UDP alone have
// it.
func (i *importer) perPacket() bool {
	notUDP := func(a Address) bool { return a.Protocol != "udp" }
	return i.OnePacket.File != "" && i.untracked() && i.Persistence == nil && len(i.Addresses) > 0 &&
		!slices.ContainsFunc(i.Addresses, notUDP)
}

// onePacket translates one-packet scheduling. A scheduler that hashes gives each datagram of a client the same server.
func (i *importer) onePacket(c choice) {
	hashes := len(c.hashOn) > 0 || i.Scheduler.Value == "sh" || i.Scheduler.Value == "mh"
	switch {
	case i.OnePacket.File == "" || hashes && i.untracked():
	case i.perPacket():
		i.farm.Set(i.OnePacket, true, "per-packet")
	default:
		i.Lose(i.OnePacket, "one-packet scheduling: farmc keeps the datagrams of a client's port with one backend",
			"set timeouts.udp to the shortest time that suits (1s), or per-packet = true in mode stateless or dsr")
	}
}

// equalWeights removes weights that the scheduler ignores. Weight 0 stays.
func (i *importer) equalWeights() {
	for _, s := range i.Servers {
		if s.Weight > 1 {
			s.Weight = 1
		}
	}
}

// hashed gives the keys that sh or mh hashes.
func (i *importer) hashed(name string) []string {
	isPort := func(f Option) bool { return f.Value == name+"-port" || f.Value == "flag-2" }
	if slices.ContainsFunc(i.Flags, isPort) {
		return []string{"source-address", "source-port"}
	}
	return []string{"source-address"}
}

// flags looks at the flags of the scheduler. A farm always has the fallback.
func (i *importer) flags(scheduler string) {
	fallback := false
	for _, f := range i.Flags {
		switch f.Value {
		case scheduler + "-fallback", "flag-1":
			fallback = true
		case scheduler + "-port", "flag-2":
		default:
			i.Lose(f.At, fmt.Sprintf("scheduler %s has no flag %s in farmc", scheduler, f.Value), "leave it out")
		}
	}
	if hashes := scheduler == "sh" || scheduler == "mh"; hashes && !fallback {
		i.Note(i.Scheduler.At, "without "+scheduler+"-fallback IPVS refuses clients of a server with weight 0",
			"farmc gives them another backend")
	}
}

// ranks turns the weights of fo and ovf into priorities: the highest weight serves alone.
func (i *importer) ranks(name string) {
	if name == "ovf" {
		i.Lose(i.Scheduler.At, "scheduler ovf sends connections beyond a server's weight to the next one",
			"farmc does so only when a backend is down; give the backends of one priority the key connections")
	}
	var weights []int
	for _, s := range i.Servers {
		if s.Weight > 0 {
			weights = append(weights, s.Weight)
		}
	}
	slices.Sort(weights)
	weights = slices.Compact(weights)
	for _, s := range i.Servers {
		if n, found := slices.BinarySearch(weights, s.Weight); found {
			s.priority, s.Weight = len(weights)-n, 1
		}
	}
	if len(weights) < len(i.Servers) && len(weights) > 0 {
		i.Note(i.Scheduler.At, "servers of equal weight share connections in farmc",
			"give them different priorities if one of them shall serve alone")
	}
}
