package ruleset

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// linkServices joins services into one ruleset, and reports faults between farms. There is no script if there are
// faults. With the script, l gets the rules that do not depend on the machine, unless elements were taken over from
// the last script.
func (s *Services) linkServices(
	l *linked, services []*service, from *linkState, machine Machine, faults *diag.Diagnostics,
) {
	all := sortedFrontends(services)
	checkFrontends(all, faults)
	checkGroups(services, faults)
	marked := markedFarms(services)
	farm.MarkedSourceConflicts(marked, faults)
	if faults.Faulty() {
		return
	}
	before := len(*faults)
	linker, taken := s.newLinker(machine, faults), s.takeOver(from, l.farms, services, all)
	if taken {
		linker.slots, linker.routes.farms = s.takenSlots(services), s.takenRoutes(from)
	}
	portable := linker.add(s.remaining(all))
	portable.marked = marked
	linker.translateSources(portable)
	switch {
	case taken && (faults.Faulty() || !s.addTaken(from, services, &linker.rules)):
		*faults = (*faults)[:before]
		s.linkServices(l, services, nil, machine, faults)
	case !faults.Faulty():
		if taken {
			linker.near = from.size
		}
		l.script = linker.script()
		l.state = s.newLinkState(l.farms, services, linker, l.script.size())
		l.script.Ingress, l.script.Interfaces = linker.ingressDevices(), linker.interfaces()
		if !taken {
			portable.near, l.portable = l.script.size(), portable
		}
	}
}

// newLinker makes the linker of services.
func (s *Services) newLinker(machine Machine, faults *diag.Diagnostics) *linker {
	l := newLinker(machine, faults)
	l.services = s
	return l
}

// remaining gives the frontends whose elements are not taken over.
func (s *Services) remaining(all []*frontend) []frontend {
	n := 0
	for _, d := range all {
		if !s.isTaken(d.farm) {
			n++
		}
	}
	out := make([]frontend, 0, n)
	for _, d := range all {
		if !s.isTaken(d.farm) {
			out = append(out, *d)
		}
	}
	return out
}

// translateSources adds the rules that translate sources, once the others are there.
func (l *linker) translateSources(after *portableRules) {
	l.sourceNAT(after.established)
	l.outgoing(after.tracked)
	l.markedSources(after.marked)
}

// script renders the rules.
func (l *linker) script() *Script {
	script := l.rules.render(l.near)
	script.Sources, script.ServedPorts = l.routes.sources, l.servedPorts
	script.routes = l.routes.farms
	return script
}

// sortedFrontends gives the frontends of all services, most specific first, and ranks them. They are pointers, as
// frontends are large.
func sortedFrontends(services []*service) (all []*frontend) {
	for _, s := range services {
		for i := range s.frontends {
			all = append(all, &s.frontends[i])
		}
	}
	slices.SortStableFunc(all, func(a, b *frontend) int { return a.Compare(b.Frontend) })
	for i, d := range all {
		d.farm.ranks[d.number] = i
	}
	return all
}

// selected gives the frontends for which keep holds: the same slice if it holds for all of them, as it mostly does.
func selected(all []frontend, keep func(*frontend) bool) []frontend {
	n := first(all, keep)
	if n == len(all) {
		return slices.Clip(all)
	}
	out := slices.Clone(all[:n])
	for i := n + 1; i < len(all); i++ {
		if keep(&all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

// first is the number of frontends before the first one for which keep does not hold.
func first(all []frontend, keep func(*frontend) bool) int {
	for i := range all {
		if !keep(&all[i]) {
			return i
		}
	}
	return len(all)
}

// checkFrontends reports frontends that farms cannot share, and replies that could belong to two of them.
func checkFrontends(all []*frontend, faults *diag.Diagnostics) {
	frontends := make([]farm.Frontend, len(all))
	for i, d := range all {
		frontends[i] = d.Frontend
	}
	farm.Conflicts(frontends, faults)
	checkZones(all, faults)
	farm.OffloadConflicts(farmsWith(all, (*farm.Farm).OffloadConcerns), faults)
	checkMarks(all, faults)
	farm.AmbiguousReplies(frontends, faults)
	farm.OutgoingConflicts(farmsWith(all, func(f *farm.Farm) bool { return len(f.Outgoing) > 0 }), faults)
}

// checkZones reports interfaces in two zones, and zones that break connections of other farms.
func checkZones(all []*frontend, faults *diag.Diagnostics) {
	zoned := farmsWith(all, func(f *farm.Farm) bool { return f.Zone != 0 })
	if len(zoned) == 0 {
		return
	}
	farm.ZoneConflicts(zoned, faults)
	synproxied := farmsWith(all, func(f *farm.Farm) bool { return f.Zone == 0 && f.Limits.Synproxy.On })
	farm.ZonesOfSynproxy(zoned, synproxied, faults)
}

// checkMarks reports marks of connections that rules would take for those of uplinks.
func checkMarks(all []*frontend, faults *diag.Diagnostics) {
	if slices.ContainsFunc(all, func(d *frontend) bool { return len(d.farm.MarkReplies) > 0 }) {
		farm.MarkConflicts(farmsWith(all, (*farm.Farm).MarksConnections), faults)
	}
}

// farmsWith gives the farms that have something, by name.
func farmsWith(all []*frontend, has func(*farm.Farm) bool) (out []*farm.Farm) {
	known := map[*farm.Farm]bool{}
	for _, d := range all {
		if f := d.farm.Farm; has(f) && !known[f] {
			known[f] = true
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *farm.Farm) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// A linker adds the objects of all farms to a ruleset, and keeps the decisions that farms take together.
type linker struct {
	rules   ruleset
	machine Machine
	faults  *diag.Diagnostics
	near    scriptSize // of a script of nearly the same rules; 0: none is known

	services *Services // with the facts that are kept of all farms

	slots        int // of all farms together
	tableSlots   int // of frontends with a table in maps of their kind
	assignments  map[farmFamily]*slotAssignment
	added        map[frontend]bool // to maps that farms without connection tracking share
	keyMasks     map[*service]uint32
	takenKeys    map[uint32]bool // of backends with a limit
	clientGroups map[clientsOf][]clients

	ingresses  []*ingress
	datagrams  map[datagram]*service
	fragments  map[*ingress][]frontend
	fragmented map[farmFamily]bool

	routes      routeTable
	servedPorts []uint16 // of the machine, if farms keep them from backends
	asksPorts   bool     // servedPorts is known

	fewPersistent bool                      // see hasFewPersistent
	directTargets map[farmFamily]*natTarget // of the farms that translate directly

	zones map[int]*zone // by number; 0: nil

	addresses []netip.Addr // of the machine
	located   bool         // addresses were asked for

	timeoutProfiles map[farm.Timeouts]*timeoutProfile
	askedTimeouts   map[string]int // of the machine; nil: not asked yet, or not known
}

func newLinker(machine Machine, faults *diag.Diagnostics) *linker {
	return &linker{
		machine:      machine,
		faults:       faults,
		assignments:  map[farmFamily]*slotAssignment{},
		added:        map[frontend]bool{},
		keyMasks:     map[*service]uint32{},
		takenKeys:    map[uint32]bool{},
		clientGroups: map[clientsOf][]clients{},

		directTargets: map[farmFamily]*natTarget{},
	}
}

// The base chains that translate new connections: from outside, and from this machine.
var (
	preroutingHook = baseChain{name: "prerouting", section: dispatchSection, any: "any"}
	outputHook     = baseChain{name: "output", section: dispatchSection, prefix: "remote-", any: "local-any",
		opens: true}
)

// keepConntrack is the chain that keeps connection tracking on, and carries the digest of the script.
const keepConntrack = "keep-conntrack"

// add adds the objects of all features but source NAT, in the order in which a packet meets them.
func (l *linker) add(all []frontend) *portableRules {
	l.staticChain(keepConntrack, dispatchSection)
	l.hook(preroutingHook)
	served := selected(all, func(d *frontend) bool { return !d.farm.Down })
	l.setZones(all)
	l.access(all)
	tracked := selected(served, func(d *frontend) bool { return !d.farm.Mode.Untracked() })
	l.fewPersistent = hasFewPersistent(tracked)
	l.translate(tracked)
	l.guardLoopback(tracked)
	l.renewClients(tracked)
	l.recheckFull(tracked)
	l.setHelpers(tracked)
	established := l.established(tracked)
	l.setMarks(established)
	l.markReplies(tracked)
	l.offload(tracked, established)
	l.dropInvalid(tracked)
	l.queue(tracked, established)
	l.dispatchUntracked(served)
	l.ownQuestions(served)
	l.limits(served, tracked)
	l.keepSynproxy(all)
	l.synproxy(tracked)
	l.rewriteReplies(served)
	l.markUntracked(served)
	l.gatewayReplies(served)
	l.log(tracked, established)
	l.logRequests(served)
	l.addIngressChains()
	l.sortLimitSets()
	return &portableRules{objects: maps.Clone(l.rules.objects), established: established, tracked: tracked,
		assignments: l.assignments}
}

// translate dispatches new connections to the chains that pick their backend: connections from outside, and for
// farms with local-clients also connections that this machine opens.
func (l *linker) translate(tracked []frontend) {
	l.dispatchBoth(preroutingHook, outputHook, tracked, func(d frontend) verdict {
		if d.farm.Mode == farm.Local {
			return noVerdict
		}
		return goTo(l.synproxyFirst(d, l.forgedFirst(d, l.natPick(d))))
	})
	l.pickFirst()
}

// established gives the frontends of farms with eligible backends, as the connections show them once the backend is
// chosen. Connections through a frontend on every address are recognised by port and backend together: the port alone
// could belong to the NAT of another program.
func (l *linker) established(tracked []frontend) []frontend {
	isSame := func(d *frontend) bool {
		return d.Specificity < farm.AnyAddressPort && len(l.assignment(*d).eligible) > 0
	}
	if first(tracked, isSame) == len(tracked) {
		return tracked
	}
	out := make([]frontend, 0, len(tracked))
	for _, d := range tracked {
		backends := l.assignment(d).eligible
		if len(backends) > 0 && d.Specificity < farm.AnyAddressPort {
			out = append(out, d)
			continue
		}
		for i, b := range backends {
			d.backend = b.Address[d.Family]
			same := func(o farm.Backend) bool { return o.Address[d.Family] == d.backend }
			if !slices.ContainsFunc(backends[:i], same) {
				out = append(out, d)
			}
		}
	}
	return out
}

// sortLimitSets puts the elements of limited backends in the order of their farms.
func (l *linker) sortLimitSets() {
	for _, name := range []string{"backend-brims", "backend-counts"} {
		if o := l.rules.objects[objectID{Inet, KindSet, name}]; o != nil {
			slices.SortStableFunc(o.elements.single, func(a, b element) int {
				return cmp.Compare(a.origin.Farm, b.origin.Farm)
			})
		}
	}
}
