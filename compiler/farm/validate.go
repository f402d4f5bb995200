package farm

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/slots"
	"farmc/compiler/toml"
)

// validate reports missing and contradictory keys of a farm.
func validate(t *toml.Table, f *Farm) {
	if f.Mode != Local && len(f.Backends) == 0 && !t.Has("backends") && !t.Misspelt("backends") {
		t.Fault(t.Place, `[backends.b1] and below it address = "10.0.0.11"`,
			"no backends: connections have nowhere to go")
	}
	if !slices.Contains([]Scheduler{Hash, Maglev, ""}, f.Scheduler) && t.Has("hash-on") {
		t.Fault(t.At("hash-on"), `scheduler = "hash"`, "hash-on has no effect with the scheduler %s", f.Scheduler)
	}
	if f.Scheduler != Maglev && f.Scheduler != "" && t.Has("table-size") {
		t.Fault(t.At("table-size"), `scheduler = "maglev"`, "table-size has no effect with the scheduler %s",
			f.Scheduler)
	}
	if addressesKnown(t, f) {
		validateFamilies(t, f)
		validateBackends(t, f)
	}
	validateTableSize(t, f)
	validateLoopback(t, f)
	validateWholeAddress(t, f)
	localClientsHaveNoMAC(t, f)
	namesDiffer(t, f)
	backendsDiffer(t, f)
	movedBackendsDiffer(t, f)
	sourcesDiffer(t, f)
	sctpKeepsPorts(t, f)
	rangesKeepPorts(t, f)
	validateMoves(t, f)
	statelessMoves(t, f)
	validateHelper(t, f)
	validateInvalid(t, f)
	validateTimeouts(t, f)
	validateHairpin(t, f)
	validateOutgoing(t, f)
	validateIngress(t, f)
	validateAnnounce(t, f)
	validatePerPacket(t, f)
	validateZone(t, f)
	validateOffloadAll(t, f)
	validateGateway(t, f)
	validatePrefix(t, f)
	validatePersistence(t, f)
	validateSessions(t, f)
	validateAccess(t, f)
	validateLimits(t, f)
	validateSynproxy(t, f)
	validateMarkReplies(t, f)
	validateHealth(t, f)
}

// validateTableSize finds a maglev table that is too small for its backends: one of them would get no slot, and no
// client.
func validateTableSize(t *toml.Table, f *Farm) {
	if f.TableSize == 0 {
		return
	}
	for _, family := range addr.Families {
		weights := f.weights(family)
		if sum := slots.Sum(weights); sum > 0 && f.TableSize*slices.Min(weights) < sum {
			faultOrWarn(f)(t, t.At("table-size"), fmt.Sprintf("table-size = %d", slots.MaglevSize(weights)),
				"table-size: %d slots are too few for %s: one of the backends, by its weight, would get none",
				f.TableSize, family)
			return
		}
	}
}

// addressesKnown reports whether all addresses of the farm could be read. Otherwise checks of its families would
// mislead.
func addressesKnown(t *toml.Table, f *Farm) bool {
	said, known := countValues(t, "listen"), len(f.Listen)
	for _, b := range t.Subs("backends") {
		said += max(countValues(b, "address"), 1) // one is missing
	}
	known += len(f.Hosts)
	for _, b := range f.Backends {
		for _, family := range addr.Families {
			if b.Host == "" && b.Address.Has(family) {
				known++
			}
		}
	}
	return said == known
}

// countValues counts the values of a key in the files.
func countValues(t *toml.Table, key string) int {
	v, ok := t.Raw(key)
	items, isList := v.Data.([]toml.Value)
	switch {
	case !ok:
		return 0
	case isList:
		return len(items)
	}
	return 1
}

// faultOrWarn reports a fault of a farm. A farm with hostnames gets a warning: an answer of DNS, which can change, must
// not keep other farms from being loaded.
func faultOrWarn(f *Farm) func(t *toml.Table, at diag.Place, hint, format string, args ...any) {
	if len(f.Hosts) > 0 {
		return (*toml.Table).WarnWithHint
	}
	return (*toml.Table).Fault
}

func validateFamilies(t *toml.Table, f *Farm) {
	report := faultOrWarn(f)
	for _, l := range f.Listen {
		for _, family := range l.Families {
			if l.Address.IsValid() && len(f.Backends) > 0 && !f.reaches(family) {
				report(t, l.Place, "NAT between the families does not exist", "listen: no backend has an %s address",
					family)
			}
		}
		if !l.Address.IsValid() && len(l.Families) == 1 && len(f.Backends) > 0 && !f.reaches(l.Families[0]) {
			report(t, l.Place, "NAT between the families does not exist", "listen: no backend has an %s address",
				l.Families[0])
		}
	}
	for _, family := range addr.Families {
		if f.Source.Has(family) && len(f.Listen) > 0 && !f.Listens(family) {
			t.Fault(t.At("source-address"), "", "source-address: the farm does not listen on %s, so %s has no effect",
				family, f.Source[family])
		}
	}
	masquerades := slices.ContainsFunc(addr.Families[:], func(family addr.Family) bool {
		return f.Listens(family) && !f.Source.Has(family)
	})
	if f.Masquerade && len(f.Listen) > 0 && !masquerades {
		t.Fault(t.At("source-address"), "", "source-address: each family has an address, so masquerade has no effect")
	}
}

func validateBackends(t *toml.Table, f *Farm) {
	if len(f.Listen) == 0 {
		return
	}
	for _, b := range f.Backends {
		used := false
		for _, family := range addr.Families {
			used = used || b.Address.Has(family) && f.Listens(family)
			if b.Host == "" && b.Source.Has(family) && !(b.Address.Has(family) && f.Listens(family)) {
				t.Fault(t.Sub("backends").Sub(b.FileName()).At("source-address"), "",
					"backend %s: source-address: it is sent no %s, so %s has no effect", b.Name, family,
					b.Source[family])
			}
		}
		if !used && (b.Address.Has(addr.IP4) || b.Address.Has(addr.IP6)) {
			t.Fault(b.Place, "NAT between the families does not exist",
				"backend %s has no address of a family that the farm listens on", b.Name)
		}
	}
}

func validateWholeAddress(t *toml.Table, f *Farm) {
	whole := slices.IndexFunc(f.Listen, Listen.Portless)
	if whole < 0 {
		return
	}
	wholeAddressMoves(t, f, f.Listen[whole])
	for _, b := range f.Backends {
		if b.Port != 0 {
			t.FaultWithNote(t.Sub("backends").Sub(b.FileName()).At("port"),
				f.Listen[whole].portlessNote(),
				`backend %s: port has no effect: listen "%s" matches protocols without ports`, b.Name, f.Listen[whole])
		}
	}
	for _, k := range f.HashOn {
		if k == SourcePort || k == DestinationPort {
			t.FaultWithNote(t.At("hash-on"), f.Listen[whole].portlessNote(),
				`hash-on: %s needs ports, but listen "%s" matches protocols without ports`, k, f.Listen[whole])
		}
	}
}

// rangesKeepPorts refuses a backend port for a range in mode stateless. Replies would all come from that port, so the
// port that the client used would be unknown.
func rangesKeepPorts(t *toml.Table, f *Farm) {
	ranged := slices.IndexFunc(f.Listen, func(l Listen) bool {
		return slices.ContainsFunc(l.Ports, func(p Ports) bool { return !p.Single() })
	})
	if f.Mode != Stateless || ranged < 0 {
		return
	}
	refusePorts(t, f, diag.Note{Place: f.Listen[ranged].Place, Message: "listens on a range"},
		"can't send a range of ports to one, as replies would not tell which one was asked for")
}

// refusePorts refuses the ports of backends in mode stateless.
func refusePorts(t *toml.Table, f *Farm, note diag.Note, reason string) {
	for _, b := range f.Backends {
		if b.Port != 0 {
			t.FaultWithNote(t.Sub("backends").Sub(b.FileName()).At("port"), note,
				"backend %s: mode stateless %s", b.Name, reason)
		}
	}
}

// sctpKeepsPorts refuses another port for SCTP in mode stateless. SCTP's checksum is a CRC32c over the ports. No rule
// can correct it; connection tracking does.
func sctpKeepsPorts(t *toml.Table, f *Farm) {
	sctp := slices.IndexFunc(f.Listen, func(l Listen) bool { return slices.Contains(l.Protocols, SCTP) })
	if f.Mode != Stateless || sctp < 0 {
		return
	}
	refusePorts(t, f, diag.Note{Place: f.Listen[sctp].Place, Message: "takes sctp"},
		"can't rewrite the port of sctp, as no rule can mend its checksum")
}

// validateHelper refuses a helper for protocols that it cannot read.
func validateHelper(t *toml.Table, f *Farm) {
	for _, l := range f.Listen {
		if f.Helper != "" && !slices.ContainsFunc(helperProtocols[f.Helper],
			func(p Protocol) bool { return slices.Contains(l.Protocols, p) }) {
			t.FaultWithNote(t.At("helper"), diag.Note{Place: l.Place, Message: "here"},
				"helper: %s reads %s, which the farm does not listen on everywhere", f.Helper,
				strings.Join(texts(helperProtocols[f.Helper]), " and "))
		}
	}
	for _, l := range f.Listen {
		if helpersOfIP4[f.Helper] && slices.Contains(l.Families, addr.IP6) &&
			(l.Address.IsValid() || f.reaches(addr.IP6)) {
			t.FaultWithNote(t.At("helper"), diag.Note{Place: l.Place, Message: "here"},
				"helper: %s reads IPv4 alone, and the farm listens on IPv6", f.Helper)
		}
	}
	if f.Helper != "" && f.LocalClients {
		t.Fault(t.At("helper"), "", "helper: can't be had with local-clients")
	}
}

func localClientsHaveNoMAC(t *toml.Table, f *Farm) {
	for _, k := range f.HashOn {
		if f.LocalClients && (k == SourceMAC || k == DestinationMAC) {
			t.Fault(t.At("hash-on"), "", "hash-on: %s can't be had with local-clients: what this machine sends has "+
				"none yet", k)
		}
	}
}

func namesDiffer(t *toml.Table, f *Farm) {
	seen := make(map[string]*Backend, len(f.Backends))
	for i := range f.Backends {
		b := &f.Backends[i]
		folded := strings.ToLower(b.Name)
		if other, ok := seen[folded]; ok {
			t.FaultWithNote(b.Place, diag.Note{Place: other.Place, Message: "the other one"},
				"the names of the backends %s and %s differ by case alone", other.Name, b.Name)
		}
		seen[folded] = b
	}
}

// backendsDiffer finds a server that is listed twice. It is nearly always a mistake, and the destination of a
// connection could not tell the two backends apart.
func backendsDiffer(t *toml.Table, f *Farm) {
	seen := make(map[netip.AddrPort]*Backend, len(f.Backends))
	port := f.onlyPort()
	for i := range f.Backends {
		b := &f.Backends[i]
		for _, family := range addr.Families {
			if !b.Address.Has(family) || len(b.Ports) > 0 {
				continue
			}
			at := netip.AddrPortFrom(b.Address[family], cmp.Or(b.Port, port))
			if other, ok := seen[at]; ok {
				t.FaultWithNote(b.Place, diag.Note{Place: other.Place, Message: "the other one"},
					"backend %s is the same server as backend %s: %s", b.Name, other.Name, socket(at))
			}
			seen[at] = b
		}
	}
}

// onlyPort is the port that every client asks for; 0 if there are several.
func (f *Farm) onlyPort() uint16 {
	var all []Ports
	for _, l := range f.Listen {
		all = append(all, l.Ports...)
		if l.Portless() {
			return 0
		}
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(p Ports) bool { return p != all[0] || !p.Single() }) {
		return 0
	}
	return all[0].First
}

// sourcesDiffer finds backends with one address and different sources. The source of a connection is looked up by the
// address of its backend.
func sourcesDiffer(t *toml.Table, f *Farm) {
	for _, family := range addr.Families {
		seen := make(map[netip.Addr]*Backend, len(f.Backends))
		for i := range f.Backends {
			b := &f.Backends[i]
			if !b.Address.Has(family) {
				continue
			}
			other, ok := seen[b.Address[family]]
			if ok && other.Source[family] != b.Source[family] {
				t.FaultWithNote(b.Place, diag.Note{Place: other.Place, Message: "the other one"},
					"backend %s has the address of backend %s, so they can't have different sources", b.Name,
					other.Name)
			}
			if ok && other.Mark != b.Mark {
				t.FaultWithNote(b.Place, diag.Note{Place: other.Place, Message: "the other one"},
					"backend %s has the address of backend %s, so they can't have different marks", b.Name, other.Name)
			}
			seen[b.Address[family]] = b
		}
	}
}

// validateInvalid refuses a key that has no effect on the farm's packets.
func validateInvalid(t *toml.Table, f *Farm) {
	byTCP := func(l Listen) bool { return l.Whole() || slices.Contains(l.Protocols, TCP) }
	if t.Has("invalid") && len(f.Listen) > 0 && !slices.ContainsFunc(f.Listen, byTCP) {
		t.Fault(t.At("invalid"), "", "invalid has no effect: the farm does not listen on tcp")
	}
}

// validateLinkLocal checks that no packet has to be forwarded to or from a link-local address, which belongs to one
// link.
func validateLinkLocal(t *toml.Table, f *Farm) {
	for _, l := range f.Listen {
		if l.Address.Is6() && l.Address.IsLinkLocalUnicast() && f.Mode != Local && f.Mode != DSR {
			t.Fault(l.Place, "another address of this machine",
				"listen: %s is link-local, and mode %s forwards packets", l.Address, f.Mode)
		}
	}
}

// validateIngress checks the keys that modes at the ingress hook need.
func validateIngress(t *toml.Table, f *Farm) {
	validateLinkLocal(t, f)
	if f.Mode != DSR && f.Mode != Stateless {
		return
	}
	if f.Mode == DSR && len(f.Interfaces) == 0 && !t.Has("interfaces") {
		t.Fault(t.At("mode"), `interfaces = ["eth0"], if requests arrive there`,
			"mode dsr needs interfaces: it takes packets from there, before the stack sees them")
	}
	for _, l := range f.Listen {
		if !l.Address.IsValid() {
			t.Fault(l.Place, "name the address", `listen: "*" can't be had in mode %s: %s`, f.Mode, map[Mode]string{
				DSR:       "backends have to own the address that clients ask for",
				Stateless: "a reply could not be led back to one address"}[f.Mode])
		}
		if l.Portless() && (slices.Contains(l.Protocols, ICMP) || slices.Contains(l.Protocols, ICMPv6)) {
			t.Fault(l.Place, `"`+networkText(l.Network())+`/all", or mode = "dnat"`, "listen: icmp can't be had in "+
				"mode %s: ICMP errors about other services of the address could not be told from its packets", f.Mode)
		}
		if f.Mode == Stateless && l.Bits > 0 {
			t.Fault(l.Place, `name the addresses, or mode = "dnat"`, "listen: the network %s can't be had in mode "+
				"stateless: a reply does not tell which address of the network it belongs to", l.Network())
		}
	}
	for _, b := range f.Backends {
		if b.Interface == "" && len(f.Interfaces) > 1 {
			t.Fault(b.Place, `interface = "`+f.Interfaces[0]+`"`,
				"backend %s: the farm has several interfaces, so interface has to say where the backend is", b.Name)
		}
		if b.State == Drain && f.Persistence == nil {
			t.WarnWithHint(cmp.Or(b.StateAt, t.Sub("backends").Sub(b.FileName()).Place),
				`persistence = { on = ["source-address", "source-port"] }, for a while before the drain`,
				`backend %s: state "drain" acts like "down" in mode %s: there are no tracked connections to keep`,
				b.Name, f.Mode)
		}
	}
}
