package ruleset

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// The connections of a backend are counted in sets in which each element has a limit of its own, for all farms
// together. The kernel adds a connection to the count when a rule asks about its element, and keeps it there while the
// connection lives, wherever the connection went in the end. So a rule must not ask about a connection that is to go to
// another backend: a set holds the full backends, and the connection that fills a backend adds it there. Packets of any
// client remove it again, some times a second: they ask with a destination that no connection has, so that the count is
// right again a moment later.

// A backendLimits is the part of a chain that limits the connections of a farm's backends in one family.
type backendLimits struct {
	Family   addr.Family
	Key      string // a backend's key in the sets, once its ID is in the packet
	Admit    string // the chain that counts a connection and goes to the target; "": the chain itself does
	SkipFull string // the chain that finds a backend that is not full
	Tries    int    // how many backends there are beside the first
	Next     *nextBackend
	Target   string
	Origin   *diag.Origin
}

// Rounds is one entry for each other backend.
func (b *backendLimits) Rounds() []*backendLimits { return slices.Repeat([]*backendLimits{b}, b.Tries) }

// A nextBackend is the map from a backend ID to the ID of the next backend that serves, with the chain that goes on to
// it.
type nextBackend struct {
	*object
	Family  addr.Family
	Prefix  keyPrefix
	Next    string // the chain that goes on to the next backend
	AllFull string // the chain that refuses a connection, as all backends are full
	Origin  *diag.Origin
}

// A limitedBackend is a backend with its key and limit.
type limitedBackend struct {
	Key    uint32
	Limit  int // 0: none, though the backend may have had one until the last load
	Origin *diag.Origin
}

// limitsBackends reports whether a backend of the family has a limit.
func (s *service) limitsBackends(family addr.Family) bool { return s.traitsOf(family).limitsBackends }

func (s *service) findsLimits(family addr.Family) bool {
	for i := range s.Backends {
		if b := &s.Backends[i]; b.Connections > 0 && b.State != farm.Down && b.Address.Has(family) {
			return true
		}
	}
	return false
}

// backendLimits has the connections of the farm's backends counted.
func (l *linker) backendLimits(d frontend, a *slotAssignment, target *natTarget) *backendLimits {
	s := d.farm
	l.refuse()
	b := &backendLimits{
		Family:   d.Family,
		Key:      fmt.Sprintf("%s ^ 0x%x", destinationEnd(d.Family), l.keyMask(s)),
		SkipFull: s.ownName("pass-over-" + d.Family.Suffix()),
		Tries:    len(a.serving) - 1,
		Target:   target.Name,
		Origin:   s.Origin("scheduler"),
	}
	if s.Persistence != nil {
		b.Admit = s.ownName("enter-" + d.Family.Suffix())
		b.Tries++ // from a backend that does not serve itself
		l.addLimitChain(b.Admit, "admit", b)
	}
	l.addLimitChain(b.SkipFull, "skip-full", b)
	b.Next = l.nextBackend(d, target.Prefix)
	if b.Tries > 0 {
		l.addLimitChain(b.Next.Next, "next-backend", b.Next)
	}
	return b
}

// destinationEnd is the field of a packet with the last 4 bytes of its destination.
func destinationEnd(family addr.Family) string {
	return [...]string{addr.IP4: "@nh,128,32", addr.IP6: "@nh,288,32"}[family]
}

func (l *linker) addLimitChain(name, template string, data any) {
	l.rules.add(newChain(name, backendLimitSection, template).with(data))
}

// nextBackend gives the map of all farms with the key prefix in their target map, or a farm's own.
func (l *linker) nextBackend(d frontend, prefix keyPrefix) *nextBackend {
	name := func(part string) string {
		switch prefix {
		case frontendPrefix:
			return part + "-" + d.Family.Suffix()
		case addressPrefix:
			return part + "-all-" + d.Family.Suffix()
		}
		return d.farm.ownName(part + "-" + d.Family.Suffix())
	}
	o := newMap(name("next"), backendLimitSection, "next-backends")
	return obtain(&l.rules, o, func() *nextBackend {
		n := &nextBackend{object: o, Family: d.Family, Prefix: prefix, Next: name("next"), AllFull: name("full")}
		if prefix == noPrefix {
			n.Origin = d.farm.Origin("scheduler")
		}
		l.addLimitChain(n.AllFull, "all-full", n)
		return n
	})
}

// add adds the frontend's backends.
func (n *nextBackend) add(d frontend, a *slotAssignment) {
	begin := ""
	if n.Prefix != noPrefix {
		begin = d.key() + " . "
	} else if n.elements.size() > 0 {
		return
	}
	for _, b := range a.eligible {
		n.elements.add(d.farm.backendElement(b, begin+a.ids[b.Name].String(), a.ids[a.next(b).Name].String()))
	}
}

// keyMask is XORed into the keys of the farm's backends, so that farms that share a backend address count separately.
func (l *linker) keyMask(s *service) uint32 {
	if mask, ok := l.keyMasks[s]; ok {
		return mask
	}
	var keys []uint32
	for _, family := range addr.Families {
		for _, id := range s.countableIDs(family) {
			keys = append(keys, lastBytes(id))
		}
	}
	mask := uint32(slots.Hash64(s.Name))
	for slices.ContainsFunc(keys, func(key uint32) bool { return l.takenKeys[key^mask] }) {
		mask++
	}
	for _, key := range keys {
		l.takenKeys[key^mask] = true
	}
	l.keyMasks[s] = mask
	l.countBackends(s, mask)
	return mask
}

// countBackends gives the farm's limited backends an element in the sets. A drained backend keeps it, as it may be up
// again with connections that are still open.
func (l *linker) countBackends(s *service, mask uint32) {
	for _, b := range s.limitedBackends(mask) {
		if b.Limit == 0 {
			continue
		}
		atLimit, counts := l.limitSet("backend-brims"), l.limitSet("backend-counts")
		l.limitSet("full-backends")
		atLimit.elements.add(element{key: fmt.Sprintf("0x%x ct count over %d", b.Key, b.Limit-1), origin: b.Origin})
		counts.elements.add(element{key: fmt.Sprintf("0x%x ct count %d", b.Key, b.Limit), origin: b.Origin})
	}
}

// limitSet gives one of the sets of limited backends, of all farms.
func (l *linker) limitSet(name string) *object {
	return l.rules.add(newSet(name, sharedSection, name))
}

func (s *service) limitedBackends(mask uint32) []limitedBackend {
	ids := [...]map[string]netip.Addr{addr.IP4: s.countableIDs(addr.IP4), addr.IP6: s.countableIDs(addr.IP6)}
	var out []limitedBackend
	for _, b := range s.Backends {
		family := addr.IP4
		if !b.Address.Has(addr.IP4) {
			family = addr.IP6
		}
		if b.State != farm.Down {
			key := lastBytes(ids[family][b.Name]) ^ mask
			out = append(out, limitedBackend{key, b.Connections, s.backendOrigin(b)})
		}
	}
	return out
}

// The base chains that look for backends with room again: before connection tracking, so that their lookups belong to
// no connection.
var (
	recheckHook = baseChain{
		name: "relief", section: backendLimitSection, prefix: "relief-", any: "relief-any",
	}
	recheckLocalHook = baseChain{
		name: "relief-output", section: backendLimitSection, prefix: "relief-remote-", any: "relief-local-any",
	}
)

// A recheck is the chain that finds a farm's backends that have room again.
type recheck struct {
	Family   addr.Family
	Backends []limitedBackend
	Origin   *diag.Origin
}

// Nowhere makes of the farm's address one that no connection has.
func (r *recheck) Nowhere() string {
	return [...]string{addr.IP4: "240.0.0.0", addr.IP6: "ff00::"}[r.Family]
}

// recheckFull leads the packets of farms with limited backends to the chain that finds out which have room again.
func (l *linker) recheckFull(frontends []frontend) {
	l.dispatchBoth(recheckHook, recheckLocalHook, frontends, func(d frontend) verdict {
		if !d.farm.limitsBackends(d.Family) || len(l.assignment(d).eligible) == 0 {
			return noVerdict
		}
		return goTo(l.recheck(d))
	})
}

func (l *linker) recheck(d frontend) string {
	s := d.farm
	o := newChain(s.ownName("relief-"+d.Family.Suffix()), backendLimitSection, "recheck")
	obtain(&l.rules, o, func() *recheck {
		return &recheck{Family: d.Family, Backends: s.limitedBackends(l.keyMask(s)), Origin: s.Origin("scheduler")}
	})
	return o.Name
}
