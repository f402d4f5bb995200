package haproxy

import (
	"fmt"
	"slices"
	"time"

	"farmc/cmd/internal/convert"
)

// An access is the clients that rules of tcp-request admit and refuse.
type access struct {
	at       convert.Place // of the first rule
	accepted []string      // by "accept"
	spared   []string      // by "reject unless"
	refused  []string
	others   bool // all other clients are refused
	before   bool // a rule accepts clients before one refuses some
	after    bool // a rule accepts clients after that
	ended    bool // a rule decides about all clients that are left

	lost []convert.Place // rules that accept clients, and that farmc does not have
}

// request reads tcp-request.
func (f *front) request(d directive) {
	if layer := d.word(1); layer != "connection" && layer != "session" && layer != "content" {
		f.Lose(d.at, "tcp-request "+layer+" inspects connections", "see [access] and [limits] in farms.d(5)")
		return
	}
	switch d.word(2) {
	case "accept", "reject":
		if f.access.ended || f.rule(d) {
			return
		}
	case "track-sc0", "track-sc1", "track-sc2":
		if d.word(3) == "src" {
			return // a farm with limits counts its clients by itself
		}
	}
	if d.word(2) == "accept" {
		f.access.lost = append(f.access.lost, d.at)
		return
	}
	f.loseRule(d.at, "")
}

// loseRule records that farmc does not have a rule, with the consequence.
func (f *front) loseRule(at convert.Place, so string) {
	f.Lose(at, "the rule is not about addresses of clients, or about their connections"+so,
		"see [access] and [limits] in farms.d(5)")
}

// rule reads accept or reject with its condition, and reports whether farmc has it.
func (f *front) rule(d directive) bool {
	accept := d.word(2) == "accept"
	if len(d.words) == 3 {
		f.access.ended, f.access.others = true, !accept
		return true
	}
	c, known := f.condition(d.words[3:])
	switch {
	case !known || accept && (c.others || c.clients == nil):
		return false
	case c.clients == nil:
		f.bound(d, c.bound)
		return true
	}
	f.access.add(accept, c, d.at)
	return true
}

// add adds a rule about addresses of clients.
func (a *access) add(accept bool, c condition, at convert.Place) {
	if a.at.Line == 0 {
		a.at = at
	}
	switch {
	case accept:
		a.accepted = append(a.accepted, c.clients...)
		a.before = a.before || len(a.refused) == 0
		a.after = a.after || len(a.refused) > 0
	case c.others:
		a.spared = append(a.spared, c.clients...)
		a.others = true
	default:
		a.refused = append(a.refused, c.clients...)
	}
}

// bound writes a limit of each client.
func (f *front) bound(d directive, b bound) {
	if b.period == 0 {
		f.farm.Set(d.at, b.connections, "limits", "connections-per-client")
		return
	}
	f.farm.Set(d.at, map[string]any{"rate": rate(b.connections, b.period), "burst": int64(b.connections)},
		"limits", "new-per-client")
}

// rate writes a number of events in a time as farms have it: with the shortest unit that is exact, or per hour.
func rate(n int, in time.Duration) string {
	for _, unit := range []struct {
		name string
		time time.Duration
	}{{"second", time.Second}, {"minute", time.Minute}} {
		if total := time.Duration(n) * unit.time; total%in == 0 {
			return fmt.Sprintf("%d/%s", total/in, unit.name)
		}
	}
	return fmt.Sprintf("%d/hour", max(1, time.Duration(n)*time.Hour/in))
}

// outsideNone is an address that no packet from outside has. Beside it in exempt, limits hold for allowed clients.
const outsideNone = "127.0.0.1"

// writeAccess writes the clients that may connect. Clients that a rule accepts are free of the bounds of clients.
func (f *front) writeAccess() {
	a := &f.access
	allow, exempt, deny := slices.Concat(a.accepted, a.spared), []string(nil), a.refused
	if f.farm.Get("limits", "connections-per-client") != nil || f.farm.Get("limits", "new-per-client") != nil {
		allow, exempt = a.spared, a.accepted
	}
	if a.others {
		deny = append(deny, "any")
	}
	if len(deny) == 0 {
		allow = nil // it has no effect
	}
	if f.farm.Get("limits") != nil && len(allow) > 0 && len(exempt) == 0 {
		exempt = []string{outsideNone}
	}
	f.setClients("allow", allow)
	f.setClients("deny", deny)
	f.setClients("exempt", exempt)
	f.loseAccepting(len(deny) > 0)
	if len(a.refused) > 0 && (a.after || len(a.spared) > 0) {
		f.denyFirst()
	}
}

// loseAccepting records the rules that accept clients, and that farmc does not have.
func (f *front) loseAccepting(denies bool) {
	so := ""
	if denies {
		so = ", so deny refuses its clients, too"
	}
	for _, at := range f.access.lost {
		f.loseRule(at, so)
	}
}

// denyFirst lets denied clients be denied, also if they are allowed.
func (f *front) denyFirst() {
	f.farm.Set(f.access.at, "deny-first", "access", "order")
	if f.access.before {
		f.Lose(f.access.at, "farmc has one order of allowed and denied clients, and not rules one after the other",
			"let the lists have no client in common; the farm denies those that both have")
	}
}

// setClients sets a key of [access].
func (f *front) setClients(key string, clients []string) {
	if len(clients) > 0 {
		f.farm.Set(f.access.at, clients, "access", key)
	}
}
