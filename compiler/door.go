package compiler

import (
	"cmp"
	"net/netip"
	"slices"
)

// A level ranks what a door may name: the more particular is asked first.
type level int

const (
	portLevel     level = iota // one port of an address
	rangeLevel                 // a range of ports of an address
	addressLevel               // a whole address, whatever the protocol
	anyPortLevel               // one port of every address of this machine
	anyRangeLevel              // a range of ports of every address of this machine
	fragmentLevel              // of an ingress: a protocol of an address, where there are no ports to see
	levels
)

// A door is one thing that a packet's destination can match: an address, a protocol and ports, of one farm and family.
type door struct {
	level    level
	family   Family
	address  netip.Addr // not valid on the any levels
	protocol Protocol   // not on addressLevel
	ports    Ports      // not on addressLevel
	farm     *Farm
	listen   *Listen
	number   int        // among the farm's doors
	backend  netip.Addr // of an any level, once chosen: it tells our connections from those that others translated
	quoted   bool       // it is looked for in the packet that an ICMP error quotes
	compared bool       // rules compare the ports, which are no part of its key then
}

// doors gives all doors of the farm, those of its own that fall together joined, in the order of levels and keys.
func (f *Farm) doors() []door {
	if f.derived.doors == nil {
		f.derived.doors = f.findDoors()
	}
	return f.derived.doors
}

func (f *Farm) findDoors() []door {
	var out []door
	for i := range f.Listen {
		l := &f.Listen[i]
		for _, family := range l.Families {
			if !l.Address.IsValid() && !f.reaches(family) {
				continue
			}
			for _, protocol := range l.Protocols {
				out = append(out, l.doors(f, family, protocol)...)
			}
		}
	}
	slices.SortStableFunc(out, compareDoors)
	out = join(out)
	for i := range out {
		out[i].number = i
	}
	return out
}

func (l *Listen) doors(f *Farm, family Family, protocol Protocol) []door {
	d := door{family: family, address: l.Address, protocol: protocol, farm: f, listen: l}
	if l.Whole() {
		d.level = addressLevel
		return []door{d}
	}
	out := make([]door, len(l.Ports))
	for i, ports := range l.Ports {
		d.ports, d.level = ports, rangeLevel
		if ports.Single() {
			d.level = portLevel
		}
		if !l.Address.IsValid() {
			d.level += anyPortLevel - portLevel
		}
		out[i] = d
	}
	return out
}

func compareDoors(a, b door) int {
	return cmp.Or(
		cmp.Compare(a.level, b.level),
		cmp.Compare(a.family, b.family),
		a.address.Compare(b.address),
		cmp.Compare(a.protocol, b.protocol),
		cmp.Compare(a.ports.First, b.ports.First),
	)
}

// meets says whether two doors of one level, in the order of compareDoors, have a packet in common.
func (d door) meets(next door) bool {
	return d.level == next.level && d.family == next.family && d.address == next.address &&
		d.protocol == next.protocol && d.ports.Last >= next.ports.First
}

// join makes one door of a farm's neighbouring doors that meet.
func join(sorted []door) []door {
	var out []door
	for _, d := range sorted {
		if n := len(out); n > 0 && out[n-1].meets(d) {
			out[n-1].ports.Last = max(out[n-1].ports.Last, d.ports.Last)
			continue
		}
		out = append(out, d)
	}
	return out
}

// conflicts tells of farms that meet on the same address, port and protocol on one level, where neither is the more
// particular. all are the doors of all farms, in the order of compareDoors.
func conflicts(all []door, faults *Diagnostics) {
	type meeting struct{ a, b *Listen }
	told := map[meeting]bool{}
	var widest door // of the doors so far, the one whose ports reach furthest
	for i, d := range all {
		if i > 0 && widest.meets(d) && widest.farm != d.farm && !told[meeting{widest.listen, d.listen}] {
			told[meeting{widest.listen, d.listen}] = true
			*faults = append(*faults, conflict(widest, d))
		}
		if i == 0 || !widest.meets(d) || d.ports.Last > widest.ports.Last {
			widest = d
		}
	}
}

func conflict(a, b door) Diagnostic {
	if a.farm.Name > b.farm.Name {
		a, b = b, a
	}
	return Diagnostic{
		Farm:    b.farm.Name,
		Place:   b.listen.Place,
		Message: "the farm " + a.farm.Name + " listens on " + overlap(a, b) + ", too",
		Hint:    "two farms may not meet on the same address, port and protocol",
		Also:    []Note{{a.listen.Place, "here it does"}},
	}
}

// overlap names what two doors have in common.
func overlap(a, b door) string {
	where := "every address of this machine"
	if a.address.IsValid() {
		where = a.address.String()
	}
	if a.level == addressLevel {
		return where + ", whatever the protocol"
	}
	ports, noun := Ports{max(a.ports.First, b.ports.First), min(a.ports.Last, b.ports.Last)}, " ports "
	if ports.Single() {
		noun = " port "
	}
	return where + ", " + string(a.protocol) + noun + ports.String()
}
