package farm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A PortMove says on which ports of a backend the connections to some ports of the farm arrive: the first on the
// first, and so on.
type PortMove struct {
	From, To Ports

	place diag.Place
}

// A PortMap is the moved ports of a backend, in the order of the ports that clients connect to. No two moves have such
// a port in common.
type PortMap []PortMove

// String writes the moves as "80=8080, 443=8443".
func (m PortMap) String() string { return listed(m) }

// String writes the move as a word of PortMap.
func (m PortMove) String() string { return m.From.String() + "=" + m.To.String() }

// Words gives the moves as String does, one by one.
func (m PortMap) Words() []string {
	out := make([]string, len(m))
	for i, move := range m {
		out[i] = move.String()
	}
	return out
}

// Equal reports whether both maps move the same ports to the same ports.
func (m PortMap) Equal(o PortMap) bool {
	return slices.EqualFunc(m, o, func(a, b PortMove) bool { return a.From == b.From && a.To == b.To })
}

// Count is the number of ports.
func (p Ports) Count() int { return int(p.Last) - int(p.First) + 1 }

// Holds reports whether the port is in the run.
func (p Ports) Holds(port uint16) bool { return p.First <= port && port <= p.Last }

// overlaps reports whether two runs have a port in common.
func (p Ports) overlaps(o Ports) bool { return p.First <= o.Last && o.First <= p.Last }

// JoinedPorts gives the same ports in the fewest ranges, in order.
func JoinedPorts(all []Ports) (out []Ports) {
	slices.SortFunc(all, func(a, b Ports) int { return cmp.Compare(a.First, b.First) })
	for _, p := range all {
		if n := len(out); n > 0 && int(p.First) <= int(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, p.Last)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// of gives the port that a port of the farm is moved to; 0 if it is not moved.
func (m PortMove) of(port uint16) uint16 {
	if !m.From.Holds(port) {
		return 0
	}
	return m.To.First + (port - m.From.First)
}

// PortFor gives the port on which the backend gets the connections to a port of the farm.
func (b *Backend) PortFor(asked uint16) uint16 {
	if b.Port != 0 {
		return b.Port
	}
	for _, move := range b.Ports {
		if to := move.of(asked); to != 0 {
			return to
		}
	}
	return asked
}

// Moves cuts a run of the farm's ports into runs that the backend gets on other ports, and runs that keep their ports.
// A backend with a port gets all of them there.
func (b *Backend) Moves(asked Ports) (out []PortMove) {
	if b.Port != 0 {
		return []PortMove{{From: asked, To: Ports{b.Port, b.Port}}}
	}
	next := int(asked.First)
	keep := func(last int) {
		if next <= last {
			same := Ports{uint16(next), uint16(last)}
			out = append(out, PortMove{From: same, To: same})
		}
	}
	for _, move := range b.Ports {
		if !move.From.overlaps(asked) {
			continue
		}
		from := Ports{max(move.From.First, asked.First), min(move.From.Last, asked.Last)}
		keep(int(from.First) - 1)
		out = append(out, PortMove{From: from, To: Ports{move.of(from.First), move.of(from.Last)}})
		next = int(from.Last) + 1
	}
	keep(int(asked.Last))
	return out
}

const portMapRule = `ports = { 80 = 8080, "50000-50099" = "60000-60099" }`

// readPortMap reads a table from ports that clients connect to, to ports of backends.
func readPortMap(t *toml.Table, key string) PortMap {
	entries := t.Scalars(key)
	if in := t.Table(key); in != nil && len(in.Keys()) == 0 {
		t.Fault(t.At(key), portMapRule, "%s needs at least one port", key)
	}
	var out PortMap
	for _, e := range entries {
		if move, ok := readPortMove(t, key, e); ok {
			out = append(out, move)
		}
	}
	slices.SortStableFunc(out, func(a, b PortMove) int { return int(a.From.First) - int(b.From.First) })
	for i := 1; i < len(out); i++ {
		if out[i].From.overlaps(out[i-1].From) {
			t.FaultWithNote(out[i].place, diag.Note{Place: out[i-1].place, Message: "the other one"},
				"%s: %s and %s have a port in common", key, out[i-1].From, out[i].From)
		}
	}
	return out
}

func readPortMove(t *toml.Table, key string, e toml.Entry) (PortMove, bool) {
	from, errFrom := parsePortRun(e.Key.Text)
	to, errTo := parsePortRun(e.Value.Text)
	if errFrom != nil {
		t.Fault(e.Key.Place, portMapRule, "%s: %v", key, errFrom)
	}
	if errTo != nil {
		t.Fault(e.Value.Place, portMapRule, "%s: %v", key, errTo)
	}
	if errFrom != nil || errTo != nil {
		return PortMove{}, false
	}
	if from.Count() != to.Count() {
		t.Fault(e.Value.Place, "as many ports on both sides; the key port of a backend takes several ports to one",
			"%s: %s has %d ports and %s has %d", key, from, from.Count(), to, to.Count())
		return PortMove{}, false
	}
	return PortMove{From: from, To: to, place: e.Key.Place}, true
}

// parsePortRun reads a port or a range of ports.
func parsePortRun(text string) (Ports, error) {
	if strings.Contains(text, ",") {
		return Ports{}, fmt.Errorf("%q is not a port or a range of ports, 1 to 65535", text)
	}
	all, err := parsePorts(text)
	if err != nil {
		return Ports{}, err
	}
	return all[0], nil
}

// recallPortMap reads the words of a description.
func recallPortMap(text string) (out PortMap) {
	for _, word := range strings.Split(text, ", ") {
		from, to, _ := strings.Cut(word, "=")
		a, errA := parsePortRun(from)
		b, errB := parsePortRun(to)
		if errA == nil && errB == nil {
			out = append(out, PortMove{From: a, To: b})
		}
	}
	return out
}

// inheritPorts gives the farm's moves to backends that have neither a port nor moves of their own.
func (f *Farm) inheritPorts() {
	for i := range f.Backends {
		b := &f.Backends[i]
		if b.Port == 0 && len(b.Ports) == 0 && len(f.Ports) > 0 {
			b.Ports, b.inheritsPorts = f.Ports, true
		}
	}
}

// describeOwnPorts describes the moves that a backend does not have from its farm.
func describeOwnPorts(b *Backend) string {
	if b.inheritsPorts {
		return ""
	}
	return b.Ports.String()
}

// MovesPorts reports whether a backend gets connections on other ports by the key ports.
func (f *Farm) MovesPorts() bool {
	return f.anyBackend(func(b *Backend) bool { return len(b.Ports) > 0 })
}
