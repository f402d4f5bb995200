package ruleset

import (
	"net/netip"
	"slices"

	"farmc/compiler/addr"
)

// Replies to this machine are left alone: a health checker of this machine gets the replies of backends.
// The kernel's answer (fib) costs a packet 420 instructions. So rules compare the addresses of the machine: one costs
// 50, a set of any number 120.

// maxComparedAddresses is the number of addresses up to which each of them is compared.
const maxComparedAddresses = 2

// An ownAddresses tells packets to this machine. The zero ownAddresses asks the kernel.
type ownAddresses struct {
	Known    bool         // the addresses of the machine are known
	Compared []netip.Addr // all of them, if they are few
	Set      string       // of all of them; "": they are compared
}

// ownAddresses gives the addresses of the machine of one family, for rules in a table.
func (l *linker) ownAddresses(table TableFamily, family addr.Family) ownAddresses {
	all := l.machineAddresses()
	if len(all) == 0 {
		return ownAddresses{}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool {
		return addr.FamilyOf(a) != family
	})
	if len(all) <= maxComparedAddresses {
		return ownAddresses{Known: true, Compared: all}
	}
	o := newSet("this-machine-"+family.Suffix(), gatewaySection, "own-addresses").at(table)
	obtain(&l.rules, o, func() *ownSet {
		for _, a := range all {
			o.elements.add(element{key: a.String()})
		}
		return &ownSet{o, family}
	})
	return ownAddresses{Known: true, Set: o.Name}
}

// machineAddresses gives the addresses of the machine, in order; none: they are not known. They are asked for once.
func (l *linker) machineAddresses() []netip.Addr {
	if l.machine.Addresses != nil && !l.located {
		l.addresses = l.machine.Addresses()
	}
	l.located = true
	return l.addresses
}

// isHere reports whether the machine is known to have an address.
func (l *linker) isHere(a netip.Addr) bool {
	_, here := slices.BinarySearchFunc(l.machineAddresses(), a, netip.Addr.Compare)
	return here
}

// An ownSet is the set of the machine's addresses of one family.
type ownSet struct {
	*object
	Family addr.Family
}
