package graph

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// backends gives the rows of a farm, with the better priority first, then in the order of names.
func backends(f *farm.Farm) []Backend {
	shares := [len(addr.Families)]map[string]float64{}
	for _, family := range addr.Families {
		shares[family] = f.SharesOf(family)
	}
	all := slices.Clone(f.Backends)
	slices.SortStableFunc(all, func(a, b farm.Backend) int { return a.Priority - b.Priority })
	out := make([]Backend, len(all))
	for i, b := range all {
		out[i] = Backend{Name: b.Name, Address: address(b)}
		for _, family := range addr.Families {
			out[i].Shares[family] = shares[family][b.Name]
		}
		if out[i].Share() == 0 && !f.Down {
			out[i].State, out[i].Tone = idle(b)
		}
	}
	return out
}

// idle says why a backend gets no new clients.
func idle(b farm.Backend) (string, Tone) {
	switch {
	case b.State == farm.Down:
		return "down", Stop
	case b.NoWeight:
		return "weight 0", Caution
	case b.State == farm.Drain:
		return "drain", Caution
	case b.Priority > 1:
		return fmt.Sprintf("priority %d, waits", b.Priority), Plain
	}
	return "not in use", Plain
}

// address writes the addresses of a backend, with the port or the moves of ports.
func address(b farm.Backend) string {
	var out []string
	for _, family := range addr.Families {
		if b.Address.Has(family) {
			out = append(out, b.Socket(family))
		}
	}
	if len(b.Ports) > 0 {
		out = append(out, "ports "+b.Ports.String())
	}
	return strings.Join(out, ", ")
}

// words says what a backend gets.
func (b Backend) words() string {
	switch {
	case b.State != "":
		return b.State
	case b.differs():
		return "IPv4 " + percent(b.Shares[addr.IP4]) + ", IPv6 " + percent(b.Shares[addr.IP6])
	case b.Share() > 0:
		return percent(b.Share())
	}
	return "no clients"
}

// differs reports whether the backend has different shares of two families that it serves.
func (b Backend) differs() bool {
	four, six := b.Shares[addr.IP4], b.Shares[addr.IP6]
	return four > 0 && six > 0 && percent(four) != percent(six)
}

// percent writes a share with three digits.
func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }
