package farm

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// validateMoves checks the moved ports against the ports that the farm listens on, and warns of several ports that end
// at one.
func validateMoves(t *toml.Table, f *Farm) {
	if f.Mode == Local || f.Mode == DSR {
		return
	}
	listened := f.listenedPorts()
	checkMoves(t, f.Ports, listened)
	if len(f.Ports) > 0 && len(f.Backends) > 0 && !f.anyBackend(func(b *Backend) bool { return b.inheritsPorts }) {
		t.Fault(t.At("ports"), "", "ports has no effect: each backend has a port, or ports of its own")
	}
	for i := range f.Backends {
		b := &f.Backends[i]
		if len(b.Ports) == 0 || b.inheritsPorts {
			continue
		}
		in := t.Sub("backends").Sub(b.FileName())
		checkMoves(in, b.Ports, listened)
		if b.Port != 0 {
			in.FaultWithNote(in.At("ports"), diag.Note{Place: in.At("port"), Message: "the port"},
				"backend %s: port and ports exclude each other", b.Name)
		}
	}
	warnOfJoinedPorts(t, f, listened)
}

// listenedPorts gives the ports of all entries of listen, in order and without overlaps.
func (f *Farm) listenedPorts() []Ports {
	var all []Ports
	for _, l := range f.Listen {
		all = append(all, l.Ports...)
	}
	return JoinedPorts(all)
}

// checkMoves finds moved ports on which the farm does not listen.
func checkMoves(t *toml.Table, moves PortMap, listened []Ports) {
	for _, move := range moves {
		if len(listened) > 0 && !slices.ContainsFunc(listened, func(p Ports) bool {
			return p.First <= move.From.First && move.From.Last <= p.Last
		}) {
			t.Fault(move.place, "listen on them, or leave them out", "ports: the farm does not listen on %s",
				portWords(move.From))
		}
	}
}

func portWords(p Ports) string {
	if p.Single() {
		return "port " + p.String()
	}
	return "all of the ports " + p.String()
}

// warnOfJoinedPorts warns of a backend that gets the connections to several ports on one: it cannot tell the services
// apart.
func warnOfJoinedPorts(t *toml.Table, f *Farm, listened []Ports) {
	onePort := len(listened) == 1 && listened[0].Single()
	if onePort || f.Mode == Stateless { // there its replies are ambiguous
		return
	}
	for i := range f.Backends {
		b := &f.Backends[i]
		from, to, joined := b.joinedPorts(listened)
		if !joined {
			continue
		}
		key := "ports"
		if b.Port != 0 {
			key = "port"
		}
		in := t.Sub("backends").Sub(b.FileName())
		if b.inheritsPorts {
			in = t
		}
		t.WarnWithHint(in.At(key), `ports = { 80 = 8080, 443 = 8443 } gives each port its own`,
			"backend %s: connections to the ports %s end at one port, %d", b.Name, from, to)
		return
	}
}

// joinedPorts gives ports of the farm that the backend gets on one port.
func (b *Backend) joinedPorts(listened []Ports) (from string, to uint16, joined bool) {
	var all []PortMove
	for _, p := range listened {
		all = append(all, b.Moves(p)...)
	}
	slices.SortStableFunc(all, func(a, b PortMove) int { return int(a.To.First) - int(b.To.First) })
	for i, move := range all {
		if move.From.Count() > 1 && move.To.Single() {
			return move.From.String(), move.To.First, true
		}
		if i > 0 && all[i-1].To.overlaps(move.To) {
			to = move.To.First
			return fmt.Sprintf("%d and %d", all[i-1].askedFor(to), move.askedFor(to)), to, true
		}
	}
	return "", 0, false
}

// askedFor gives the port of the farm that is moved to a port.
func (m PortMove) askedFor(to uint16) uint16 {
	if m.From.Count() != m.To.Count() {
		return m.From.First
	}
	return m.From.First + (to - m.To.First)
}

// statelessMoves refuses moved ports that mode stateless cannot lead back, those of SCTP, and parts of ranges: each
// range of listen has rules of its own.
func statelessMoves(t *toml.Table, f *Farm) {
	if f.Mode != Stateless {
		return
	}
	for _, table := range portTables(t, f) {
		for _, move := range table.moves {
			switch run, part := f.rangeInPart(move.From); {
			case part:
				t.Fault(move.place, "a range for each of them in listen, or mode dnat",
					"ports: mode stateless moves whole ranges, and %s is not all of %s in listen", move.From, run)
			case f.takesSCTP(move.From):
				t.Fault(move.place, "", "ports: mode stateless can't rewrite the port of sctp, as no rule can mend "+
					"its checksum")
			}
		}
	}
}

// A portTable is a key ports, of the farm or of a backend.
type portTable struct {
	name  string
	moves PortMap
}

// portTables gives the keys ports of the farm and of its backends.
func portTables(t *toml.Table, f *Farm) []portTable {
	out := []portTable{{"", f.Ports}}
	for _, b := range f.Backends {
		if !b.inheritsPorts {
			out = append(out, portTable{"backend " + b.Name + ": ", b.Ports})
		}
	}
	return out
}

// rangeInPart gives a range in listen of which some ports, and not all, are among the ports.
func (f *Farm) rangeInPart(ports Ports) (Ports, bool) {
	for _, l := range f.Listen {
		for _, run := range l.Ports {
			if run.overlaps(ports) && (run.First < ports.First || run.Last > ports.Last) {
				return run, true
			}
		}
	}
	return Ports{}, false
}

func (f *Farm) takesSCTP(on Ports) bool {
	return slices.ContainsFunc(f.Listen, func(l Listen) bool {
		return slices.Contains(l.Protocols, SCTP) && slices.ContainsFunc(l.Ports, on.overlaps)
	})
}

// wholeAddressMoves refuses moved ports of a farm that takes a whole address.
func wholeAddressMoves(t *toml.Table, f *Farm, whole Listen) {
	for _, table := range portTables(t, f) {
		if len(table.moves) > 0 {
			t.FaultWithNote(table.moves[0].place, whole.portlessNote(),
				`%sports has no effect: listen "%s" matches protocols without ports`, table.name, whole)
		}
	}
}

// movedBackendsDiffer finds two backends with one address, one of them with moved ports, that get the connections to a
// port on the same port.
func movedBackendsDiffer(t *toml.Table, f *Farm) {
	if !f.MovesPorts() {
		return
	}
	seen, listened := map[netip.Addr][]*Backend{}, f.listenedPorts()
	for i := range f.Backends {
		b := &f.Backends[i]
		for _, a := range b.Address.All() {
			for _, other := range seen[a] {
				if port := b.samePort(other, listened); port != 0 && len(b.Ports)+len(other.Ports) > 0 {
					t.FaultWithNote(b.Place, diag.Note{Place: other.Place, Message: "the other one"},
						"backend %s is the same server as backend %s: %s", b.Name, other.Name,
						socket(netip.AddrPortFrom(a, port)))
				}
			}
			seen[a] = append(seen[a], b)
		}
	}
}

// samePort gives a port on which both backends get the connections to a port of the farm; 0 if there is none.
func (b *Backend) samePort(o *Backend, listened []Ports) uint16 {
	for _, p := range listened {
		for _, mine := range b.Moves(p) {
			for _, other := range o.Moves(mine.From) {
				from := other.From.First
				switch {
				case b.PortFor(from) == o.PortFor(from):
					return b.PortFor(from)
				case b.Port != 0 && other.To.Holds(b.Port):
					return b.Port
				case o.Port != 0 && mine.To.Holds(o.Port):
					return o.Port
				}
			}
		}
	}
	return 0
}
