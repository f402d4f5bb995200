package ipvs

import (
	"fmt"
	"net/netip"

	"farmc/cmd/internal/convert"
	"farmc/compiler/farm"
)

// A Server is a real server.
type Server struct {
	At     convert.Place
	IP     netip.Addr // zero: not known, which is a loss already
	Port   uint16     // 0: the one that the client connects to
	Method string
	Weight int // 0: no new clients
	Upper  int // open connections above which it gets no new ones; 0: no bound
	Lower  int // open connections below which it gets new ones again; 0: not set

	Backend string       // the name of the backend
	Health  *farm.Health // of an exported backend; nil: none

	priority int // 0: the best
}

// servers writes the backends.
func (i *importer) servers() {
	i.scaleWeights()
	for _, s := range i.all() {
		i.server(s)
	}
	if i.Sorry == nil || i.Sorry.Backend == "" {
		return
	}
	i.LastResort(i.farm, i.Sorry.At, i.Sorry.Backend, 2, len(i.Servers))
}

// server writes one backend.
func (i *importer) server(s *Server) {
	if !s.IP.IsValid() {
		return
	}
	if s.IP.IsLoopback() {
		i.Lose(s.At, fmt.Sprintf("%s is a loopback address, which no backend can have; it is left out", s.IP),
			"give the service an address of this machine's network")
		return
	}
	s.Backend = i.farm.NewBackend(s.At, s.wanted(), s.IP.String())
	set := func(value any, key string) { i.farm.Set(s.At, value, "backends", s.Backend, key) }
	i.port(s, set)
	switch {
	case s.Weight <= 0:
		set("drain", "state")
	case s.Weight > 1:
		set(s.Weight, "weight")
	}
	if s.priority > 1 {
		set(s.priority, "priority")
	}
	i.thresholds(s, set)
	if s.Method != i.kind {
		set("down", "state")
		i.Lose(s.At, fmt.Sprintf("the server has %s, and others of the service %s; a farm has one mode, so it is down",
			s.Method, i.kind), "make a farm of its own of it, or move it to the other method")
	}
}

// wanted is the name that the backend should have.
func (s *Server) wanted() string {
	if s.Port == 0 {
		return s.IP.String()
	}
	return fmt.Sprintf("%s-%d", s.IP, s.Port)
}

// port sets the port, except where it is that of the service, and in mode dsr, which moves no port.
func (i *importer) port(s *Server, set func(any, string)) {
	same := s.Port == 0
	for _, a := range i.Addresses {
		same = same || a.Port == s.Port && len(i.Addresses) == 1
	}
	switch {
	case i.untracked() && !same && s.Method == i.kind && !i.hasPort(s.Port):
		i.Note(s.At, fmt.Sprintf("%s moves no port, so IPVS ignores the port %d", s.Method, s.Port), "leave it out")
	case !same && !i.untracked():
		set(int(s.Port), "port")
	}
}

func (i *importer) hasPort(port uint16) bool {
	for _, a := range i.Addresses {
		if a.Port == port {
			return true
		}
	}
	return len(i.Addresses) == 0
}

// thresholds sets the bound of open connections.
func (i *importer) thresholds(s *Server, set func(any, string)) {
	switch {
	case s.Upper > 0 && i.untracked():
		i.Lose(s.At, "mode dsr counts no open connections, so the upper threshold has no effect", "use mode dnat")
	case s.Upper > 0:
		set(s.Upper, "connections")
	}
	if s.Lower > 0 {
		i.Note(s.At, "farmc has no lower threshold", "the backend gets new connections as soon as one of it ends")
	}
}

// maxWeight is the largest weight of a backend.
const maxWeight = 1000

// scaleWeights makes weights fit: by their greatest common divisor, or else by rounding.
func (i *importer) scaleWeights() {
	largest, divisor := 0, 0
	for _, s := range i.Servers {
		if s.Weight > 0 {
			largest, divisor = max(largest, s.Weight), gcd(divisor, s.Weight)
		}
	}
	if largest <= maxWeight {
		return
	}
	for _, s := range i.Servers {
		if s.Weight <= 0 {
			continue
		}
		exact := s.Weight / divisor
		if largest/divisor <= maxWeight {
			s.Weight = exact
			continue
		}
		s.Weight = max(1, (s.Weight*maxWeight+largest/2)/largest)
		i.Note(s.At, fmt.Sprintf("weights are %d at most in farmc", maxWeight),
			fmt.Sprintf("the backend has weight %d, and its share up to rounding", s.Weight))
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
