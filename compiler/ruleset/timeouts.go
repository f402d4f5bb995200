package ruleset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// The idle times of a farm's connections are ct timeout objects. The chain that picks a backend sets the object of a
// new connection: a nat chain sees no other packet, so packets of established connections pay nothing. Farms with the
// same times share the objects and the chains.
//
// An object has a time for each state, and nft 1.0.6 fills in the kernel's defaults. So the times that the machine has
// changed stand in the object, too. Linux lets go of an object when it is deleted: the connections that have it go on
// with the times of the machine (nf_ct_untimeout).

// kernelTimeouts are the kernel's default times of TCP states in seconds (nf_conntrack_proto_tcp.c), by nft's names of
// the states. nft 1.0.6 has the same times.
var kernelTimeouts = map[string]int{
	"syn_sent": 120, "syn_recv": 60, established: 432000, "fin_wait": 120, halfClosed: 60, "last_ack": 30,
	"time_wait": 120, "close": 10, "retrans": 300, "unack": 300,
}

// The states that farms have times for. A connection is in CLOSE_WAIT once either side has closed and the other side
// has confirmed that.
const (
	established = "established"
	halfClosed  = "close_wait"
)

// A timeoutObject is the idle times of connections of one protocol.
type timeoutObject struct {
	Name     string
	Protocol farm.Protocol
	Times    []string     // a state and its seconds
	Origin   *diag.Origin // of the first farm that names times; nil: of the default
}

// Policy is the list of states with their times.
func (t *timeoutObject) Policy() string { return strings.Join(t.Times, ", ") }

// A timeoutProfile is the objects for connections of farms with the same times.
type timeoutProfile struct {
	objects []*timeoutObject
	part    string // of the names of chains that farms with these times share; "": the times are the default ones
}

// timeoutsOf gives the profile of a farm.
func (l *linker) timeoutsOf(s *service) *timeoutProfile {
	t := s.Timeouts
	p := l.timeoutProfiles[t]
	if p != nil {
		return p
	}
	p = &timeoutProfile{}
	if tcp := l.tcpTimeouts(t); tcp != nil {
		p.objects = append(p.objects, newTimeoutObject(farm.TCP, tcp))
	}
	if t.UDP != 0 {
		n := wholeSeconds(t.UDP)
		p.objects = append(p.objects, newTimeoutObject(farm.UDP, map[string]int{"unreplied": n, "replied": n}))
	}
	if t != (farm.Timeouts{}) {
		p.named(l.timeoutsOf(&service{Farm: &farm.Farm{}}), s)
	}
	if l.timeoutProfiles == nil {
		l.timeoutProfiles = map[farm.Timeouts]*timeoutProfile{}
	}
	l.timeoutProfiles[t] = p
	return p
}

// named names the part of a profile, and the farm as its origin.
func (p *timeoutProfile) named(plain *timeoutProfile, s *service) {
	var names []string
	for _, o := range p.objects {
		o.Origin = s.Origin("timeouts")
		names = append(names, o.Name)
	}
	same := func(a, b *timeoutObject) bool { return a.Name == b.Name }
	if !slices.EqualFunc(p.objects, plain.objects, same) {
		p.part = "/" + strings.Join(names, "/")
	}
}

// tcpTimeouts gives the times of TCP connections by state; nil if they are those of the machine. A machine with a
// longer time for half-closed connections keeps it.
func (l *linker) tcpTimeouts(t farm.Timeouts) map[string]int {
	times := l.machineTimeouts()
	of := func(state string) int {
		if n, ok := times[state]; ok {
			return n
		}
		return kernelTimeouts[state]
	}
	unnamed := t.Established == 0 && t.HalfClosed == 0
	if half := wholeSeconds(farm.DefaultHalfClosed); unnamed && (times == nil || of(halfClosed) >= half) {
		return nil
	}
	out := map[string]int{}
	for state, n := range kernelTimeouts {
		if of(state) != n {
			out[state] = of(state)
		}
	}
	out[halfClosed] = max(of(halfClosed), wholeSeconds(farm.DefaultHalfClosed))
	if t.Established != 0 {
		out[established] = wholeSeconds(t.Established)
	}
	if t.HalfClosed != 0 {
		out[halfClosed] = wholeSeconds(t.HalfClosed)
	}
	return out
}

// machineTimeouts are the times of TCP connections that the machine has; nil if they are not known.
func (l *linker) machineTimeouts() map[string]int {
	if l.machine.Timeouts != nil && l.askedTimeouts == nil {
		l.askedTimeouts = l.machine.Timeouts()
	}
	return l.askedTimeouts
}

func wholeSeconds(d time.Duration) int { return int(d / time.Second) }

// newTimeoutObject makes an object with a name that says its times, so that another time is another object.
func newTimeoutObject(protocol farm.Protocol, times map[string]int) *timeoutObject {
	o := &timeoutObject{Protocol: protocol}
	names := []string{string(protocol)}
	for _, state := range slices.Sorted(maps.Keys(times)) {
		o.Times = append(o.Times, fmt.Sprintf("%s : %d", state, times[state]))
		names = append(names, fmt.Sprintf("%s-%d", state, times[state]))
	}
	o.Name = shortened(names, maxPartName)
	return o
}

// A timeoutList is the objects that a chain sets, of its packets' protocols.
type timeoutList []*timeoutObject

// addTimeouts adds the objects for the frontend's connections to the list of a chain, and to the ruleset.
func (l *linker) addTimeouts(list *timeoutList, d frontend) {
	for _, t := range l.timeoutsOf(d.farm).objects {
		if d.Protocol != "" && d.Protocol != t.Protocol || slices.Contains(*list, t) {
			continue
		}
		*list = append(*list, t)
		name := "timeouts/" + t.Name
		l.rules.add(&object{table: Inet, kind: KindTimeout, Name: name, section: timeoutSection, template: "timeout",
			data: t, origin: t.Origin})
	}
}
