package ruleset

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
)

// Replies to this machine are left alone: a health checker of this machine gets the replies of backends.
// The kernel's answer (fib) costs a packet of IPv4 500 instructions, and one of IPv6 1500. So rules compare the
// addresses of the machine: one costs 60 and 160, a set of any number 170 and 350.

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

// A leftAddresses is the addresses in rules that leave packets of IPv6 to the machine to the stack. Each rule compares
// the last 4 bytes first, and the whole address only if these are the same. So another packet costs 70 instructions for
// an address, and 200 for a set.
type leftAddresses struct {
	Compared []leftAddress
	Set      string // of all addresses; "": they are compared
	Ends     string // the set of their last 4 bytes
}

// A leftAddress is an address of the machine, with its last 4 bytes.
type leftAddress struct {
	Address netip.Addr
	End     string
}

// leave gives the addresses for rules in a chain of table netdev.
func (l *linker) leave(own ownAddresses) (out leftAddresses) {
	for _, a := range own.Compared {
		out.Compared = append(out.Compared, leftAddress{a, end(a)})
	}
	if own.Set != "" {
		out.Set, out.Ends = own.Set, own.Set+"/ends"
		l.addEnds(out.Ends)
	}
	return out
}

// addEnds adds the set of the last 4 bytes of the machine's IPv6 addresses.
func (l *linker) addEnds(name string) {
	o := newSet(name, gatewaySection, "own-ends").at(Netdev)
	obtain(&l.rules, o, func() *ownSet {
		for _, a := range l.machineAddresses() {
			if addr.FamilyOf(a) == addr.IP6 {
				o.elements.addOnce(element{key: end(a)})
			}
		}
		return &ownSet{o, addr.IP6}
	})
}

// end is the last 4 bytes of an IPv6 address.
func end(a netip.Addr) string { return fmt.Sprintf("%#x", lastBytes(a)) }
