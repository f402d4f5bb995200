package compiler

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// How farms stand once they are loaded: where the kernel counts for them, and whom they shut out.

// A Tally is an element of a map that counts for a backend: new connections, or packets where nothing is tracked.
type Tally struct {
	Counted
	Farm, Backend string
}

// Tallies gives the elements that count for backends of a farm, or of all farms if it is "". Farms that share a maglev
// table count in common; that is the first one's.
func (s *Script) Tallies(farm string) ([]Tally, error) {
	tables, err := inventoryOf(s)
	if err != nil {
		return nil, err
	}
	var out []Tally
	for _, family := range TableFamilies {
		if tables[family] == nil {
			continue
		}
		for _, o := range tables[family].objects {
			if !o.counts() {
				continue
			}
			fields := o.fields()
			for _, e := range o.elements() {
				from, _ := s.Origin(e.Number)
				backend, ok := strings.CutPrefix(from.Key, "backends.")
				if ok && (farm == "" || farm == from.Farm) {
					out = append(out, Tally{Counted{string(family), o.Name, fields, elementKey(e)}, from.Farm, backend})
				}
			}
		}
	}
	return out, nil
}

// A Census tells whose an open connection is.
type Census struct{ doors frontendIndex }

// NewCensus takes the farms that there are.
func NewCensus(farms []*Farm) *Census {
	c := &Census{}
	for _, f := range farms {
		c.doors.add(f)
	}
	return c
}

// None says whether connections of none of the farms are tracked and translated.
func (c *Census) None() bool { return len(c.doors) == 0 }

// Backend gives the farm and backend that a connection belongs to; not ok if it is nobody's.
func (c *Census) Backend(of Connection) (farm, backend string, ok bool) {
	d := c.doors.door(of)
	if b := d.server(of); b != nil {
		return d.Farm.Name, b.Name, true
	}
	return "", "", false
}

// Shares gives how much of what is new each backend gets, by name, in all 1; of a family that the farm listens on, the
// first where it has somebody to serve.
func (f *Farm) Shares() map[string]float64 {
	for _, family := range Families {
		serving := f.serving(family)
		if f.Down || len(serving) == 0 || !f.Listens(family) {
			continue
		}
		sum, out := 0, map[string]float64{}
		for _, b := range serving {
			sum += b.Weight
		}
		for _, b := range serving {
			out[b.Name] = float64(b.Weight) / float64(sum)
		}
		return out
	}
	return nil
}

// Listening gives the entries of listen, as a farm writes them.
func (f *Farm) Listening() []string {
	var out []string
	for _, l := range f.Listen {
		out = append(out, l.String())
	}
	return out
}

// Tracked says whether connections of the farm are tracked and translated.
func (f *Farm) Tracked() bool { return slices.Contains(tracked, f.Mode) }

// Client is the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address, as whoever has one
// address of it has all.
func Client(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(a, a.BitLen())
	}
	return netip.PrefixFrom(a, 64).Masked()
}

// ParseClient reads an address, or the network of a client.
func ParseClient(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, p == Client(p.Addr())
	}
	a, err := parseAddress(text)
	return Client(a), err == nil
}

// Allows says whether no limit holds for the client.
func (f *Farm) Allows(client netip.Prefix) bool {
	family := familyOf(client.Addr())
	at := numberOf(client.Addr())
	allow := f.Access.Allow
	return slices.ContainsFunc(allow.own(family), func(s stretch) bool { return s.first.compare(at) <= 0 && at.compare(s.last) <= 0 }) ||
		slices.ContainsFunc(allow.lists, func(l *addressList) bool { return l.holds(at, family) })
}

// ParseDuration reads a time as farms write it: "90s", "1h30m", "2d"; at least a millisecond, and at most a year.
func ParseDuration(text string) (time.Duration, bool) {
	parts := written.FindStringSubmatch(text)
	if parts == nil || text == "" {
		return 0, false
	}
	d := span(parts[1], parts[2])
	return d, shortest <= d && d <= longest && d%shortest == 0
}
