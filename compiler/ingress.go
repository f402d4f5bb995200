package compiler

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// An ingress is a base chain at the ingress of network interfaces, before all else that a packet meets, with the maps
// that it asks: of the farms without connection tracking that take their packets from the same interfaces.
type ingress struct {
	Name      string
	Devices   []string      // none: prerouting, before connection tracking
	Fragments []*verdictMap // later fragments, which have no ports
	Doors     []*verdictMap
	Errors    []*verdictMap // what routers and clients say about the backends' replies
	Logs      []*verdictMap // which chain writes a request to the log, before it is handed on
	direct
}

// ingressDevices are the interfaces of all ingresses, in the order of their names.
func (r *ruleset) ingressDevices() []string {
	var out []string
	for _, in := range r.ingresses {
		out = append(out, in.Devices...)
	}
	for _, g := range slices.Concat(r.gates, r.limitGates) {
		out = append(out, g.Devices...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// devices are all interfaces that rules name by their number, in the order of their names.
func (r *ruleset) devices() []string {
	out := r.ingressDevices()
	for _, f := range r.forwards {
		for _, s := range f.Steps {
			out = append(out, s.Device)
		}
	}
	for _, t := range r.ingressTranslations {
		for _, s := range t.Steps {
			out = append(out, s.Device)
		}
	}
	for _, h := range r.ingressEscortHomes {
		for _, s := range h.Steps {
			out = append(out, s.Device)
		}
	}
	if r.flows != nil {
		out = append(out, r.flows.Devices...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hand leads the doors of farms without connection tracking to the chains that hand frames on, or rewrite requests.
func (l *linker) hand(doors []door) {
	l.rules.ingresses = ingresses(doors)
	l.findDatagrams(doors)
	for _, in := range l.rules.ingresses {
		l.leadDoors(in, doors)
		l.leadFragments(in)
		l.leadErrors(in, doors)
		l.askDirectly(in)
	}
	l.findUnled()
}

const dropVerdict = "drop"

// ingresses are of the interfaces that the same farms take their packets from. Each interface is of one alone: where
// two base chains met on it, the one that was there first would decide, not the door that is the more particular.
// Stateless farms that name no interfaces take their packets in prerouting, just before connection tracking.
func ingresses(doors []door) []*ingress {
	var out []*ingress
	if slices.ContainsFunc(doors, func(d door) bool { return d.farm.Mode == Stateless && len(d.farm.Interfaces) == 0 }) {
		out = append(out, &ingress{Name: "stateless"})
	}
	return append(out, ingressesOf(doors, (*Farm).devices)...)
}

// ingressesOf puts interfaces together that the same farms want to meet their packets at.
func ingressesOf(doors []door, devices func(*Farm) []string) (out []*ingress) {
	takers := map[string]map[string]bool{}
	for _, d := range doors {
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
		in.Name = ingressName(in.Devices)
	}
	return out
}

// How long the names of interfaces together may be as part of a name; nft's end at 255.
const (
	longestInterfaces = 128
	longestPart       = 48
)

func ingressName(devices []string) string { return "ingress/" + shortened(devices, longestInterfaces) }

// shortened joins names, which if they are too long end in what tells them from others.
func shortened(names []string, longest int) string {
	all := strings.Join(names, "/")
	if len(all) > longest {
		all = fmt.Sprintf("%s/%016x", names[0], hash64(all))
	}
	return all
}

// devices are the interfaces that the farm takes its packets from, as far as they are there.
func (f *Farm) devices() []string {
	if !slices.Contains(frames, f.Mode) {
		return nil
	}
	return f.presentInterfaces()
}

func (f *Farm) presentInterfaces() []string {
	return slices.DeleteFunc(slices.Clone(f.Interfaces), func(d string) bool { return slices.Contains(f.absent, d) })
}

// takes says whether the farm takes its packets from here.
func (in *ingress) takes(f *Farm) bool {
	if len(in.Devices) == 0 {
		return f.Mode == Stateless && len(f.Interfaces) == 0
	}
	return slices.Contains(f.devices(), in.Devices[0])
}

// passes says whether packets of the farm, which takes them later on, can pass by here.
func (in *ingress) passes(f *Farm) bool {
	switch {
	case in.takes(f) || slices.Contains(frames, f.Mode) && len(f.Interfaces) > 0:
		return false
	case len(in.Devices) == 0 || len(f.Interfaces) == 0:
		return true
	}
	return slices.ContainsFunc(f.Interfaces, func(d string) bool { return slices.Contains(in.Devices, d) })
}

// general gives by address the most general level of a door whose packets are taken from here; of what is quoted, of
// those that take ICMP errors: of a stateless farm only a whole address does, and that like all else.
func (in *ingress) general(doors []door, quoted bool) map[netip.Addr]level {
	out := map[netip.Addr]level{}
	for _, d := range doors {
		if in.takes(d.farm) && (!quoted || d.farm.Mode == DSR || d.level == addressLevel) {
			out[d.address] = max(out[d.address], d.level)
		}
	}
	return out
}

func (l *linker) leadIn(to *[]*verdictMap, in *ingress, prefix string, d door, verdict string) {
	l.lead(to, in.Name+"/"+prefix, d, verdictTo(verdict))
}

// leadDoors leads the doors of the farms that take their packets from here, and lets those of others pass where a more
// general one of the same address would catch them.
func (l *linker) leadDoors(in *ingress, doors []door) {
	general := in.general(doors, false)
	for _, d := range doors {
		switch {
		case in.takes(d.farm) && d.farm.Mode == Stateless:
			l.leadIn(&in.Doors, in, "", d, l.translator(d))
		case in.takes(d.farm):
			l.leadIn(&in.Doors, in, "", d, l.hander(d))
		case in.passes(d.farm) && d.level < general[d.address]:
			l.leadIn(&in.Doors, in, "", d, "accept")
		}
	}
}

// A datagram is what its later fragments show of where it goes.
type datagram struct {
	protocol Protocol
	to       netip.Addr
}

// leadFragments leads the later fragments of a datagram to where its first one goes.
func (l *linker) leadFragments(in *ingress) {
	for _, d := range l.fragments[in] {
		l.leadIn(&in.Fragments, in, "", d, l.hander(d))
	}
}

// findDatagrams finds the farms that have all datagrams of a protocol to an address for themselves, nil where there are
// several, and those whose later fragments are led.
func (l *linker) findDatagrams(doors []door) {
	l.datagrams, l.fragments, l.fragmented = map[datagram]*Farm{}, map[*ingress][]door{}, map[dealt]bool{}
	for _, d := range doors {
		if d.farm.Mode != DSR || d.level > rangeLevel {
			continue
		}
		at := datagram{d.protocol, d.address}
		if of, known := l.datagrams[at]; !known || of == d.farm {
			l.datagrams[at] = d.farm
		} else {
			l.datagrams[at] = nil
		}
	}
	for _, in := range l.rules.ingresses {
		l.fragments[in] = l.fragmentDoors(in, doors)
		for _, d := range l.fragments[in] {
			l.fragmented[dealt{d.farm, d.family}] = true
		}
	}
}

// fragmentDoors are where later fragments are led. They have no ports, so whatever listens on the address by that
// protocol has to choose the same backend by addresses alone; else they take the way of the whole address.
func (l *linker) fragmentDoors(in *ingress, doors []door) (out []door) {
	ways := map[datagram]string{} // "" where they part
	for _, d := range doors {
		if !in.takes(d.farm) && !in.passes(d.farm) || d.level > addressLevel {
			continue
		}
		way := ""
		if in.takes(d.farm) && d.farm.Mode == DSR && byAddresses(d.farm) {
			way = l.deal(d.farm, d.family).way(d.farm, d.family)
		}
		for _, protocol := range []Protocol{TCP, UDP, SCTP} {
			at := datagram{protocol, d.address}
			switch before, known := ways[at]; {
			case d.protocol == protocol && !known:
				ways[at] = way
			case (d.protocol == protocol || d.level == addressLevel) && known && before != way:
				ways[at] = ""
			}
		}
	}
	for _, d := range doors {
		at := datagram{d.protocol, d.address}
		if ways[at] != "" {
			delete(ways, at)
			d.level = fragmentLevel
			out = append(out, d)
		}
	}
	return out
}

// byAddresses says whether the first fragment of a datagram, which has ports, and the later ones, which don't, are of the
// same number. What the kernel hashes symmetrically of any fragment are addresses and protocol (__skb_flow_dissect
// without FLOW_DISSECTOR_F_PARSE_1ST_FRAG).
func byAddresses(f *Farm) bool {
	on := f.HashOn
	if f.Persistence != nil {
		on = slices.Concat(on, f.Persistence.On)
	}
	return f.Scheduler == SymmetricHash && f.Persistence == nil || !slices.ContainsFunc(on, func(k HashKey) bool { return k == SourcePort || k == DestinationPort })
}

// leadErrors leads ICMP errors about a reply to the backend that sent it. Those about the replies of others pass where
// a more general door would catch them.
func (l *linker) leadErrors(in *ingress, doors []door) {
	general := in.general(doors, true)
	for _, d := range doors {
		d.quoted = true
		switch {
		case in.takes(d.farm) && d.farm.Mode == DSR && quotable(d.farm) && len(l.deal(d.farm, d.family).backends) > 0:
			l.leadIn(&in.Errors, in, "error-", d, l.hander(d))
		case (in.takes(d.farm) || in.passes(d.farm)) && d.level < general[d.address]:
			l.leadIn(&in.Errors, in, "error-", d, "accept")
		}
	}
}

// quotable says whether what the farm chooses by can be read off the packet that an ICMP error quotes.
func quotable(f *Farm) bool {
	return f.Scheduler != SymmetricHash && f.Persistence == nil && !slices.ContainsFunc(f.HashOn, func(k HashKey) bool { return k == SourceMAC || k == DestinationMAC })
}

// without gives the farm without what hangs on interfaces that are absent: of a farm that works at ingress these
// interfaces and the backends behind them. Other farms are met further on.
func (f *Farm) without(absent func(device string) bool, told *Diagnostics) *Farm {
	if !slices.ContainsFunc(f.namedInterfaces(), absent) {
		return f
	}
	left := *f
	f = &left
	f.derived = derived{}
	f.Backends = slices.Clone(f.Backends)
	f.FlowOffload = f.present(f.FlowOffload, "flow-offload", absent, told)
	switch {
	case len(f.Interfaces) == 0:
		return f
	case !slices.Contains(frames, f.Mode):
		f.absent = slices.DeleteFunc(slices.Clone(f.Interfaces), func(d string) bool { return !absent(d) })
		return f
	}
	here := f.present(f.Interfaces, "interfaces", absent, told)
	f.absent = slices.DeleteFunc(slices.Clone(f.Interfaces), func(d string) bool { return slices.Contains(here, d) })
	for i := range f.Backends {
		b := &f.Backends[i]
		device := f.deviceOf(*b)
		b.cutOff = device != "" && absent(device)
		if b.cutOff && !slices.Contains(f.absent, device) {
			*told = append(*told, f.absence(b.Place, "backend "+b.Name+": the interface "+device))
		}
	}
	return f
}

// namedInterfaces are all that the farm names.
func (f *Farm) namedInterfaces() []string {
	out := slices.Concat(f.FlowOffload, f.Interfaces)
	if len(f.Interfaces) == 0 {
		return out
	}
	for _, b := range f.Backends {
		if device := f.deviceOf(b); device != "" {
			out = append(out, device)
		}
	}
	return out
}

// present gives those of the key's devices that are there, and tells of the others.
func (f *Farm) present(devices []string, key string, absent func(device string) bool, told *Diagnostics) []string {
	return slices.DeleteFunc(slices.Clone(devices), func(device string) bool {
		gone := absent(device)
		if gone {
			*told = append(*told, f.absence(f.at(key), key+": "+device))
		}
		return gone
	})
}

func (f *Farm) absence(at Place, what string) Diagnostic {
	return Diagnostic{Severity: Warning, Farm: f.Name, Place: at, Message: what + " is not there: what hangs on it is left out"}
}

// deviceOf is the interface that the backend is behind.
func (f *Farm) deviceOf(b Backend) string {
	if b.Interface == "" && len(f.Interfaces) > 0 {
		return f.Interfaces[0]
	}
	return b.Interface
}

// rawAddress writes an address as nft compares raw payload with.
func rawAddress(a netip.Addr) string { return fmt.Sprintf("0x%x", a.AsSlice()) }

// number is the protocol's in the IP header (IANA, assigned internet protocol numbers).
func (p Protocol) number() int { return map[Protocol]int{TCP: 6, UDP: 17, SCTP: 132}[p] }

type ingressView struct {
	Name                                string
	Devices                             []string
	Ports, Addresses, Fragments, Errors []*mapView
	Logs, LogPorts, LogAddresses        []*mapView
	Neighbours                          bool // neighbour discovery has to be let by
	Direct                              *directView
}

// Asks says whether the ingress asks anything but what it asks first.
func (v ingressView) Asks() bool {
	return len(v.Ports)+len(v.Addresses)+len(v.Fragments)+len(v.Errors)+len(v.Logs) > 0
}

func newIngressView(in *ingress) ingressView {
	v := ingressView{Name: in.Name, Devices: in.Devices, Fragments: views(in.Fragments), Errors: views(in.Errors)}
	v.Ports, v.Addresses = partByPorts(views(in.Doors))
	v.Neighbours = slices.ContainsFunc(v.Addresses, func(m *mapView) bool { return m.Family == IP6 })
	v.Direct = newDirectView(in.direct)
	v.Logs = views(in.Logs)
	v.LogPorts, v.LogAddresses = partByPorts(v.Logs)
	return v
}
