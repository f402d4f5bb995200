package ruleset

import (
	"cmp"
	"maps"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// link joins services into one ruleset, and reports faults between farms. There is no script if there are faults. With
// the script it gives the rules that do not depend on the machine.
func link(services []*service, machine Machine, faults *diag.Diagnostics) (*Script, *portableRules) {
	all := allFrontends(services)
	marked := markedFarms(services)
	checkFrontends(all, faults)
	checkGroups(services, faults)
	farm.MarkedSourceConflicts(marked, faults)
	if faults.Faulty() {
		return nil, nil
	}
	l := newLinker(machine, faults)
	portable := l.add(all)
	portable.marked = marked
	l.translateSources(portable)
	if faults.Faulty() {
		return nil, nil
	}
	script := l.script()
	script.Ingress, script.Interfaces = l.ingressDevices(), l.interfaces()
	return script, portable
}

// translateSources adds the rules that translate sources, once the others are there.
func (l *linker) translateSources(after *portableRules) {
	l.sourceNAT(after.established)
	l.outgoing(after.tracked)
	l.markedSources(after.marked)
}

// script renders the rules.
func (l *linker) script() *Script {
	script := l.rules.render()
	script.Sources, script.ServedPorts = l.routes.sources, l.servedPorts
	script.routes = l.routes.farms
	return script
}

// allFrontends gives the frontends of all services, most specific first. Pointers are sorted, as frontends are large.
func allFrontends(services []*service) []frontend {
	var sorted []*frontend
	for _, s := range services {
		for i := range s.frontends {
			sorted = append(sorted, &s.frontends[i])
		}
	}
	slices.SortStableFunc(sorted, func(a, b *frontend) int { return a.Compare(b.Frontend) })
	all := make([]frontend, len(sorted))
	for i, d := range sorted {
		all[i] = *d
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
func checkFrontends(all []frontend, faults *diag.Diagnostics) {
	frontends := make([]farm.Frontend, len(all))
	for i, d := range all {
		frontends[i] = d.Frontend
	}
	farm.Conflicts(frontends, faults)
	farm.AmbiguousReplies(frontends, faults)
	farm.OutgoingConflicts(outgoingFarms(all), faults)
}

// outgoingFarms gives the farms with outgoing, by name.
func outgoingFarms(all []frontend) (out []*farm.Farm) {
	known := map[*farm.Farm]bool{}
	for _, d := range all {
		if f := d.farm.Farm; len(f.Outgoing) > 0 && !known[f] {
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

	slots        int // of all farms together
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
	}
}

// The base chains that translate new connections: from outside, and from this machine.
var (
	preroutingHook = baseChain{name: "prerouting", section: dispatchSection, any: "any"}
	outputHook     = baseChain{name: "output", section: dispatchSection, prefix: "remote-", any: "local-any"}
)

// keepConntrack is the chain that keeps connection tracking on, and carries the digest of the script.
const keepConntrack = "keep-conntrack"

// add adds the objects of all features but source NAT, in the order in which a packet meets them.
func (l *linker) add(all []frontend) *portableRules {
	l.staticChain(keepConntrack, dispatchSection)
	l.hook(preroutingHook)
	l.access(all)
	served := selected(all, func(d *frontend) bool { return !d.farm.Down })
	tracked := selected(served, func(d *frontend) bool { return !d.farm.Mode.Untracked() })
	l.translate(tracked)
	l.renewClients(tracked)
	l.recheckFull(tracked)
	l.setHelpers(tracked)
	established := l.established(tracked)
	l.setMarks(established)
	l.offload(established)
	l.dropInvalid(tracked)
	l.queue(tracked, established)
	l.dispatchUntracked(served)
	l.ownQuestions(served)
	l.limits(served, tracked)
	l.rewriteReplies(served)
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
		return goTo(l.forgedFirst(d, l.natPick(d)))
	})
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
