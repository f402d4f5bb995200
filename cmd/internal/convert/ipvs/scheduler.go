package ipvs

import (
	"fmt"
	"slices"
)

// scheduler sets the scheduler. IPVS has wlc if a service names none.
func (i *importer) scheduler() {
	if i.Scheduler.Value == "" {
		i.Scheduler = Option{i.At, "wlc"}
	}
	name, at := i.Scheduler.Value, i.Scheduler.At
	set := func(scheduler string, hashOn ...string) {
		i.farm.Set(at, scheduler, "scheduler")
		if len(hashOn) > 0 {
			i.farm.Set(at, hashOn, "hash-on")
		}
	}
	switch name {
	case "rr", "wrr":
		i.turns(name, set)
	case "lc", "wlc", "sed", "nq":
		i.turns(name, set)
		i.Lose(at, "scheduler "+name+" counts open connections, which no scheduler of farmc does",
			"the farm has "+i.farm.Get("scheduler").(string)+"; give a backend the key connections to bound it")
	case "sh", "mh":
		set(map[string]string{"sh": "hash", "mh": "maglev"}[name], i.hashed(name)...)
	case "dh":
		set("hash", "destination-address")
	case "lblc", "lblcr":
		set("hash", "destination-address")
		i.Lose(at, "scheduler "+name+" counts open connections, which no scheduler of farmc does",
			"the farm has a hash of the destination address")
	case "fo", "ovf":
		i.ranks(name)
	case "twos":
		set("random")
		i.Lose(at, "scheduler twos counts open connections, which no scheduler of farmc does", "the farm has random")
	default:
		i.Lose(at, "farmc does not know the scheduler "+name, "choose one of farms.d(5); the farm has the default")
	}
	i.flags(name)
	if i.OnePacket.File != "" {
		i.Lose(i.OnePacket, "one-packet scheduling: farmc keeps the datagrams of a client's port with one backend",
			"set timeouts.udp to the shortest time that suits (1s), or per-packet = true in mode stateless or dsr")
	}
}

// turns sets round-robin, or in mode dsr maglev. The schedulers without weights have equal ones.
func (i *importer) turns(name string, set func(string, ...string)) {
	set("round-robin")
	if i.untracked() {
		set("maglev", "source-address", "source-port")
		i.Note(i.Scheduler.At, "scheduler "+name+" in mode dsr needs connection tracking",
			"the farm has maglev by the address and port of the client, which shares alike")
	}
	if name == "rr" || name == "lc" {
		i.equalWeights()
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
