package ruleset

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// An ingress is the place where farms without connection tracking take their packets: a base chain at the ingress of
// network interfaces, before anything else sees a packet, or one in prerouting, before connection tracking.
type ingress struct {
	Name      string
	Devices   []string // none: prerouting
	Slow      bool     // prerouting, for packets of Devices that the chain at their ingress leaves to the stack
	Maps      []*dispatchMap
	Fragments []*dispatchMap // later fragments, which have no ports
	Errors    []*dispatchMap // ICMP errors of routers and clients about the replies of backends
	Logs      []*dispatchMap // the chains that log a request before it is handed on

	Forwards     []*dsrPick       // picks that are asked first, see askFirst
	Translations []*statelessPick // picks of stateless farms that are asked first
	Replies      *replyMaps       // that the chain that asks first lets pass untracked; nil: another chain does

	OfTCP, OfDatagrams bool // farms take such packets here
	AsksOwn            bool // answers to questions of this machine come with a priority of their own

	met []frontend // with packets that come in here
}

// AsksFirst reports whether another chain asks maps before this one.
func (in *ingress) AsksFirst() bool { return len(in.Forwards)+len(in.Translations) > 0 }

// Ports and Addresses are the maps that the chain asks, with and without ports in their keys.
func (in *ingress) Ports() []*dispatchMap {
	ports, _ := byPorts(in.Maps)
	return ports
}

// Addresses is described at Ports.
func (in *ingress) Addresses() []*dispatchMap {
	_, addresses := byPorts(in.Maps)
	return addresses
}

// LogPorts and LogAddresses are the same of the maps for logging.
func (in *ingress) LogPorts() []*dispatchMap {
	ports, _ := byPorts(in.Logs)
	return ports
}

// LogAddresses is described at LogPorts.
func (in *ingress) LogAddresses() []*dispatchMap {
	_, addresses := byPorts(in.Logs)
	return addresses
}

// Neighbours reports whether neighbour discovery has to pass.
func (in *ingress) Neighbours() bool {
	return slices.ContainsFunc(in.Addresses(), func(m *dispatchMap) bool {
		return m.portless() && m.Family == addr.IP6
	})
}

func (in *ingress) table() TableFamily {
	if in.prerouting() {
		return Inet
	}
	return Netdev
}

// prerouting reports whether the chain is in prerouting, before connection tracking.
func (in *ingress) prerouting() bool { return len(in.Devices) == 0 || in.Slow }

// place says where the maps stand.
func (in *ingress) place(prefix string) mapPlace {
	of := dsrSection
	if in.prerouting() {
		of = statelessSection
	}
	return mapPlace{in.table(), of, in.Name + "/" + prefix, ""}
}

// dispatchUntracked leads the packets of farms without connection tracking to the chains that hand frames on, or
// rewrite requests.
func (l *linker) dispatchUntracked(served []frontend) {
	l.ingresses = ingresses(served)
	for _, in := range l.ingresses {
		in.met = in.meets(served)
	}
	l.findDatagrams(served)
	for _, in := range l.ingresses {
		l.dispatchRequests(in, in.met)
		l.dispatchFragments(in)
		l.dispatchErrors(in, in.met)
		l.markAnswers(in, in.met)
		l.forgedAt(in, in.met)
	}
}

// meets gives the frontends with packets that come in here. With a thousand interfaces these are few of all.
func (in *ingress) meets(served []frontend) (out []frontend) {
	for _, d := range served {
		if slow, ok := in.slowPathAt(d); ok {
			out = append(out, slow)
		} else if in.takes(d.farm) || in.passes(d.farm) {
			out = append(out, d)
		}
	}
	return out
}

// addIngressChains adds the base chains, once all is known that they do.
func (l *linker) addIngressChains() {
	for _, in := range l.ingresses {
		l.askFirst(in)
		if len(in.Maps)+len(in.Fragments)+len(in.Errors)+len(in.Logs) == 0 {
			continue
		}
		if in.Slow {
			l.addSlowPath(in)
			continue
		}
		template := "ingress"
		if in.prerouting() {
			template = "stateless"
		}
		l.rules.add(newChain(in.Name, in.place("").section, template).at(in.table()).with(in))
	}
	l.joinReplies()
	l.removeUnusedPicks()
}

// ingresses groups interfaces that the same farms take their packets from. Each interface belongs to one group: where
// two base chains met on it, the first one would decide, not the more specific frontend. Stateless farms without
// interfaces take their packets in prerouting.
func ingresses(served []frontend) []*ingress {
	var out []*ingress
	if slices.ContainsFunc(served, func(d frontend) bool {
		return d.farm.Mode == farm.Stateless && len(d.farm.Interfaces) == 0
	}) {
		out = append(out, &ingress{Name: "stateless"})
	}
	out = append(out, ingressesOf(served, (*service).devices)...)
	return append(out, slowIngresses(out, served)...)
}

// ingressesOf groups the interfaces at which the same farms want to meet their packets.
func ingressesOf(frontends []frontend, devices func(*service) []string) (out []*ingress) {
	takers := map[string]map[string]bool{}
	for _, d := range frontends {
		for _, device := range devices(d.farm) {
			if takers[device] == nil {
				takers[device] = map[string]bool{}
			}
			takers[device][d.farm.Name] = true
		}
	}
	same := map[string]*ingress{}
	for _, device := range slices.Sorted(maps.Keys(takers)) {
		farms := strings.Join(slices.Sorted(maps.Keys(takers[device])), " ")
		if same[farms] == nil {
			same[farms] = &ingress{}
			out = append(out, same[farms])
		}
		same[farms].Devices = append(same[farms].Devices, device)
	}
	for _, in := range out {
		in.Name = "ingress/" + shortened(in.Devices, maxInterfacesName)
	}
	return out
}

// How long the names of interfaces together may be as part of a name; the names of nft's objects end at 255 characters.
const (
	maxInterfacesName = 128
	maxPartName       = 48
)

// shortened joins names. Where they are too long, a hash replaces all but the first.
func shortened(names []string, longest int) string {
	all := strings.Join(names, "/")
	if len(all) > longest {
		all = fmt.Sprintf("%s/%016x", names[0], slots.Hash64(all))
	}
	return all
}

// devices are the interfaces that the farm takes its packets from, as far as they exist.
func (s *service) devices() []string { return s.ingressDevices }

func devicesOf(f *farm.Farm) []string {
	if !f.Mode.Untracked() {
		return nil
	}
	return f.PresentInterfaces()
}

// takes reports whether the farm takes its packets here.
func (in *ingress) takes(s *service) bool {
	switch {
	case in.Slow:
		return slices.Contains(s.slowAt, in.Devices[0])
	case len(in.Devices) == 0:
		return s.Mode == farm.Stateless && len(s.Interfaces) == 0
	}
	return slices.Contains(s.devices(), in.Devices[0])
}

// passes reports whether packets of a farm that takes them later can pass here.
func (in *ingress) passes(s *service) bool {
	switch {
	case in.takes(s) || s.Mode.Untracked() && len(s.Interfaces) > 0:
		return false
	case len(in.Devices) == 0 || len(s.Interfaces) == 0:
		return true
	}
	return slices.ContainsFunc(s.Interfaces, func(d string) bool { return slices.Contains(in.Devices, d) })
}

// mostGeneral gives the coverage of the frontends that take their packets here. Of packets that ICMP errors quote, a
// stateless farm takes only packets to a whole address.
func (in *ingress) mostGeneral(served []frontend, quoted bool) *coverage {
	out := &coverage{}
	for _, d := range served {
		if in.takes(d.farm) && (!quoted || d.farm.Mode == farm.DSR || d.Whole()) {
			out.add(d)
		}
	}
	return out
}

// dispatchRequests leads the packets of farms that take them here to their chains. Packets of other farms pass where a
// more general frontend of the same address would catch them.
func (l *linker) dispatchRequests(in *ingress, served []frontend) {
	general := in.mostGeneral(served, false)
	for _, d := range served {
		in.note(d)
		switch {
		case in.takes(d.farm) && d.farm.Mode == farm.Stateless:
			l.addTo(&in.Maps, in.place(""), d, string(l.requestVerdict(in, d)))
		case in.takes(d.farm):
			l.addTo(&in.Maps, in.place(""), d, string(l.dsrPick(d)))
		case in.passes(d.farm) && d.Specificity < general.at(d):
			l.addTo(&in.Maps, in.place(""), d, string(accept))
		}
	}
}

// requestVerdict gives the verdict on requests to a frontend of a stateless farm. At the ingress of interfaces the base
// chain takes out the answers to questions of this machine.
func (l *linker) requestVerdict(in *ingress, d frontend) verdict {
	if !in.prerouting() {
		return l.statelessPick(d)
	}
	return l.ownFirst(d, false, l.statelessPick(d))
}

// note records the protocols that a frontend takes here.
func (in *ingress) note(d frontend) {
	whole := d.Whole()
	if in.takes(d.farm) {
		in.OfTCP = in.OfTCP || d.farm.slow == nil && (whole || d.Protocol == farm.TCP)
		in.OfDatagrams = in.OfDatagrams || whole || d.Protocol == farm.UDP
	}
}

// dispatchFragments leads the later fragments of a datagram to the chain of its first fragment.
func (l *linker) dispatchFragments(in *ingress) {
	for _, d := range l.fragments[in] {
		l.addTo(&in.Fragments, in.place(""), d, string(l.dsrPick(d)))
	}
}

// findDatagrams finds the farms to which all datagrams of a protocol and address belong, nil where there are several,
// and the frontends with later fragments that are dispatched.
func (l *linker) findDatagrams(served []frontend) {
	l.datagrams, l.fragments, l.fragmented = map[datagram]*service{}, map[*ingress][]frontend{}, map[farmFamily]bool{}
	for _, d := range served {
		if d.farm.Mode != farm.DSR || d.Portless() {
			continue
		}
		at := d.datagram()
		if of, known := l.datagrams[at]; !known || of == d.farm {
			l.datagrams[at] = d.farm
		} else {
			l.datagrams[at] = nil
		}
	}
	for _, in := range l.ingresses {
		l.fragments[in] = l.fragmentFrontends(in)
		for _, d := range l.fragments[in] {
			l.fragmented[farmFamily{d.farm, d.Family}] = true
		}
	}
}

// fragmentFrontends gives the frontends with later fragments that are dispatched. Later fragments have no ports, so all
// frontends on the address by that protocol must pick the same backend by addresses only. Where they do not, a frontend
// on the whole address takes the fragments.
func (l *linker) fragmentFrontends(in *ingress) (out []frontend) {
	picks := map[datagram]string{} // "" where they differ
	for _, d := range in.met {
		if !d.Address.IsValid() {
			continue
		}
		pick := ""
		if in.takes(d.farm) && d.farm.Mode == farm.DSR && picksByAddresses(d.farm) {
			pick = d.farm.pickIdentity(l.assignment(d), d.Family) + l.hereName(d)
		}
		if d.holdsOthers(in.met) {
			pick = ""
		}
		agreeOnFragments(picks, d, pick, "")
	}
	maps.DeleteFunc(picks, func(_ datagram, pick string) bool { return pick == "" })
	for _, d := range in.met {
		if len(picks) == 0 {
			break
		}
		at := d.datagram()
		if picks[at] != "" {
			delete(picks, at)
			d.fragment = true
			out = append(out, d)
		}
	}
	return out
}

// picksByAddresses reports whether the first fragment of a datagram, which has ports, and the later ones get the same
// number. Of a fragment the kernel hashes symmetrically addresses and protocol (__skb_flow_dissect without
// FLOW_DISSECTOR_F_PARSE_1ST_FRAG).
func picksByAddresses(s *service) bool {
	on := s.HashOn
	if s.Persistence != nil {
		on = slices.Concat(on, s.Persistence.On)
	}
	return s.Scheduler == farm.SymmetricHash && s.Persistence == nil ||
		!s.PerPacket && !slices.Contains(on, farm.SourcePort) && !slices.Contains(on, farm.DestinationPort)
}

// pickIdentity is the same for two farms that pick the same backends for the same packets.
func (s *service) pickIdentity(a *slotAssignment, family addr.Family) string {
	if len(a.eligible) == 0 {
		return string(drop)
	}
	if s.Persistence != nil {
		return "persistence of " + s.Name
	}
	return string(s.Scheduler) + " " + a.maglevName(s, family)
}

// dispatchErrors leads ICMP errors about a reply to the backend that sent the reply. Errors about the replies of other
// farms pass where a more general frontend would catch them.
func (l *linker) dispatchErrors(in *ingress, served []frontend) {
	general := in.mostGeneral(served, true)
	at := in.place("error-")
	at.template = "errors-"
	for _, d := range served {
		d.quoted = true
		switch {
		case in.takes(d.farm) && d.farm.Mode == farm.DSR && picksByQuote(d.farm) && len(l.assignment(d).serving) > 0:
			l.addTo(&in.Errors, at, d, string(l.dsrPick(d)))
		case (in.takes(d.farm) || in.passes(d.farm)) && d.Specificity < general.at(d):
			l.addTo(&in.Errors, at, d, string(accept))
		}
	}
}

// picksByQuote reports whether the fields that the farm hashes are in the packet that an ICMP error quotes.
func picksByQuote(s *service) bool {
	return s.Scheduler != farm.SymmetricHash && !s.PerPacket && s.Persistence == nil &&
		!slices.Contains(s.HashOn, farm.SourceMAC) && !slices.Contains(s.HashOn, farm.DestinationMAC)
}

// ingressDevices are the interfaces of all base chains at an ingress, by name.
func (l *linker) ingressDevices() []string {
	var out []string
	for _, in := range l.ingresses {
		out = append(out, in.Devices...)
	}
	for _, g := range dataOf[*gate](&l.rules) {
		out = append(out, g.Devices...)
	}
	for _, r := range dataOf[*gatewayReplies](&l.rules) {
		out = append(out, r.Devices...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// interfaces are all interfaces that the kernel keeps in rules as numbers, by name.
func (l *linker) interfaces() []string {
	out := l.ingressDevices()
	for _, p := range dataOf[*dsrPick](&l.rules) {
		for _, s := range p.Steps {
			out = append(out, s.Device)
		}
	}
	for _, p := range dataOf[*statelessPick](&l.rules) {
		for _, s := range p.Steps {
			out = append(out, s.Device)
		}
	}
	for _, t := range dataOf[*statelessTarget](&l.rules) {
		for _, s := range t.Steps {
			out = append(out, s.Device)
		}
	}
	for _, r := range dataOf[*gatewayReplies](&l.rules) {
		out = append(out, r.forwards...)
	}
	for _, f := range dataOf[*flowtable](&l.rules) {
		out = append(out, f.Devices...)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(device string) bool { return device == "" })
}
