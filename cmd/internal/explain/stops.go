package explain

import (
	"fmt"
	"slices"
	"time"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// A Memory is the kernel's knowledge of the client and the farm.
type Memory struct {
	BanLeft    time.Duration // of a ban; 0: the client is not banned
	Backend    string        // of a remembered client; "": none
	Left       time.Duration // until the kernel forgets the client
	Connected  string        // the backend of the open connection from the client's port; "": none
	OpenClient int           // open connections of the client to the farm
	Open       int           // open connections of the farm, in both families

	OpenBackends map[string]int // open connections of the farm by the names of its backends, in both families
}

// A Stop is a reason why the packet does not reach a backend.
type Stop struct {
	Reason string `json:"reason"`
	Place  string `json:"place,omitempty"`  // file and line; "": the kernel's memory alone
	Remedy string `json:"remedy,omitempty"` // a command that ends it; "": the place is to be changed, or nothing
}

// stops gives the reasons that stop the packet, in the order of the rules.
func (m Match) stops(memory Memory, admission farm.Admission) (stops []Stop) {
	f := m.Farm
	stop := func(place diag.Place, format string, args ...any) {
		stops = append(stops, Stop{Reason: fmt.Sprintf(format, args...), Place: PlaceOf(place)})
	}
	if f.Down {
		stop(f.Origin("state").Place,
			"the farm is down: connections reach the service behind its address, if there is one")
	}
	for _, d := range m.Down {
		if client := m.question.Client.Addr(); client.IsValid() {
			if a := d.Farm.Admit(client); a.Denied {
				stop(d.Farm.Origin("access."+a.Key).Place, "access of farm %s, which is down, denies the client: %s",
					d.Farm.Name, a.Word)
			}
		}
	}
	if admission.Denied {
		stop(f.Origin("access."+admission.Key).Place, "access denies the client: %s", admission.Word)
	}
	if !admission.Free && memory.BanLeft > 0 {
		stops = append(stops, m.banned(memory))
	}
	if !admission.Free && f.Limits.Verdict != farm.VerdictLog {
		stops = append(stops, m.overLimit(memory)...)
	}
	if !f.Down && m.hasNoBackend(memory) {
		stop(f.Place, "%s", m.noBackend())
	}
	if m.hasNoRoom(memory) {
		stop(f.Place, "each backend that takes new clients has as many connections as it may: see idle")
	}
	return stops
}

// hasRoom reports whether a new connection to a backend is within its limit.
func (m Memory) hasRoom(b farm.Backend) bool {
	return b.Connections == 0 || m.OpenBackends[b.Name] < b.Connections
}

// hasNoRoom reports whether every backend is full that a new connection of the client could reach.
func (m Match) hasNoRoom(memory Memory) bool {
	serving := m.Farm.Serving(m.Family())
	if m.Farm.Down || len(serving) == 0 || slices.ContainsFunc(serving, memory.hasRoom) {
		return false
	}
	_, chosen := m.known(memory)
	return !chosen
}

// full describes the backends that take new clients and have as many connections as they may.
func (m Match) full(memory Memory) (out []string) {
	for _, b := range m.Farm.Serving(m.Family()) {
		if !memory.hasRoom(b) {
			out = append(out, fmt.Sprintf("%s: %d open connections, at most %d, %s", b.Name,
				memory.OpenBackends[b.Name], b.Connections, PlaceOf(b.Place)))
		}
	}
	return out
}

// banned is the ban of the client, which the command ends.
func (m Match) banned(memory Memory) Stop {
	left := toml.FormatDuration(memory.BanLeft.Round(time.Second))
	return Stop{Reason: fmt.Sprintf("the client is banned, for %s more", left),
		Remedy: fmt.Sprintf("farmc unban %s %s", m.Farm.Name, m.question.Client.Addr())}
}

// hasNoBackend reports whether no backend serves the client.
func (m Match) hasNoBackend(memory Memory) bool {
	_, remembered := m.eligible(memory.Backend)
	return m.Farm.Mode != farm.Local && len(m.Farm.Serving(m.Family())) == 0 && memory.Connected == "" && !remembered
}

// noBackend says why no backend serves the client. The backends without new clients are named beside it.
func (m Match) noBackend() string {
	if len(m.Farm.WithFamily(m.Family())) == 0 {
		return "the farm has no backends"
	}
	return fmt.Sprintf("no backend takes new clients of %s: see idle", m.Family())
}

// overLimit gives the limits on open connections that are reached. Rates are not known here: the kernel does not tell
// how full their buckets are.
func (m Match) overLimit(memory Memory) (stops []Stop) {
	type bound struct {
		key        string
		open, most int
	}
	l := m.Farm.Limits
	for _, limit := range []bound{{"connections-per-client", memory.OpenClient, l.ConnectionsPerClient},
		{"connections", memory.Open, l.Connections}} {
		if limit.most > 0 && limit.open >= limit.most && memory.Connected == "" {
			stops = append(stops, Stop{
				Reason: fmt.Sprintf("limit %s: %d open, at most %d", limit.key, limit.open, limit.most),
				Place:  PlaceOf(m.Farm.Origin("limits." + limit.key).Place)})
		}
	}
	return stops
}

// limits describes the rates that hold for the client.
func (m Match) limits(admission farm.Admission) (out []string) {
	l := m.Farm.Limits
	for _, limit := range []struct {
		key   string
		limit farm.Limit
	}{{"new-per-client", l.NewPerClient}, {"resets-per-client", l.ResetsPerClient}, {"new", l.New}} {
		if limit.limit != (farm.Limit{}) && !admission.Free {
			out = append(out, limit.key+" "+limit.limit.String())
		}
	}
	if l.StrictTCP && !admission.Free {
		out = append(out, "strict-tcp")
	}
	if l.Synproxy.On && !admission.Free && m.Asked().Protocol == farm.TCP {
		out = append(out, "synproxy: a SYN is answered with a cookie, and the backend picked once the client "+
			"returns it")
	}
	return out
}

// PlaceOf writes a place as FILE:LINE; "" if there is none.
func PlaceOf(p diag.Place) string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}
