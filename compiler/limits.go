package compiler

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Limits are how much of it a farm takes, from one client and in all. The zero Limits hold nobody back. A client is an
// IPv4 address, or a network of IPv6 (see Client); it is counted over all that the farm listens on.
type Limits struct {
	NewPerClient         Limit
	ResetsPerClient      Limit
	ConnectionsPerClient int // 0: as many as they like
	New                  Limit
	Connections          int           // 0: as many as there are
	Clients              int           // how many clients are counted one by one
	Ban                  time.Duration // how long an offender is shut out; 0: only the excess is
	StrictTCP            bool
	Verdict              Verdict
}

// A Limit is a rate, and how much may come at once. The zero Limit is none.
type Limit struct {
	Rate
	Burst int
}

// String writes the limit as nft does.
func (l Limit) String() string { return fmt.Sprintf("%s burst %d", l.Rate, l.Burst) }

// refill is how long an empty bucket takes to be full again. What was quiet for so long is like new, so nothing needs
// to be remembered of it.
func (l Limit) refill() time.Duration {
	if l.Count == 0 {
		return 0
	}
	whole := time.Duration(float64(periods[l.Per]) * float64(l.Burst) / float64(l.Count))
	return max(whole.Truncate(time.Second)+time.Second, 2*time.Second)
}

var periods = map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}

// A Verdict is what becomes of a packet that is held back.
type Verdict string

// The verdicts.
const (
	VerdictDrop   Verdict = "drop"
	VerdictReject Verdict = "reject" // the client is told at once
	VerdictLog    Verdict = "log"    // it passes after all: what would be held back is counted and logged
)

// A Reason is why a packet is held back: the key that says so.
type Reason string

// The reasons.
const (
	Banned               Reason = "banned"
	StrictTCP            Reason = "strict-tcp"
	ResetsPerClient      Reason = "resets-per-client"
	NewPerClient         Reason = "new-per-client"
	New                  Reason = "new"
	ConnectionsPerClient Reason = "connections-per-client"
	Connections          Reason = "connections"
)

// Reasons are all of them, in the order in which a packet meets them.
var Reasons = []Reason{Banned, StrictTCP, ResetsPerClient, NewPerClient, New, ConnectionsPerClient, Connections}

// usualClients is how many elements the kernel gives a set of which nothing else is said (nft_dynset_init). Such a set
// grows with what is in it; one with a size takes memory for all of them at once.
const usualClients = 65535

func readLimits(t *table) Limits {
	if t == nil {
		return Limits{}
	}
	return Limits{
		NewPerClient:         readLimit(t.sub("new-per-client")),
		ResetsPerClient:      readLimit(t.sub("resets-per-client")),
		ConnectionsPerClient: t.number("connections-per-client", 0, 1, 1<<31-1),
		New:                  readLimit(t.sub("new")),
		Connections:          t.number("connections", 0, 1, 1<<31-1),
		Clients:              t.number("clients", usualClients, 1, 1<<24),
		Ban:                  t.duration("ban"),
		StrictTCP:            t.flag("strict-tcp", false),
		Verdict:              Verdict(t.choice("verdict", "drop", "drop", "reject", "log")),
	}
}

func readLimit(t *table) Limit {
	if t == nil {
		return Limit{}
	}
	if !t.has("rate") {
		t.fault(t.place, `{ rate = "10/second", burst = 20 }`, "%s has no rate", t.name)
	}
	l := Limit{t.rate("rate"), t.number("burst", 5, 1, 1<<31-1)}
	if l.Count > 0 && float64(l.Burst)/float64(l.Count) > float64(longest)/float64(periods[l.Per]) {
		t.fault(t.at("burst"), "", "%s: at %s a burst of %d would be made up for in more than a year", t.name, l.Rate, l.Burst)
	}
	return l
}

// limitsHold refuses what holds nobody back, though it is said that it does.
func limitsHold(t *table, f *Farm) {
	in := t.sub("limits")
	if in == nil {
		return
	}
	counts := in.has("new-per-client") || in.has("resets-per-client") || in.has("connections-per-client")
	switch {
	case !counts && !in.has("new") && !in.has("connections") && !in.has("ban") && !in.has("strict-tcp"):
		in.fault(in.place, `new-per-client = { rate = "10/second", burst = 20 }`, "[limits] limits nothing")
	case in.has("clients") && !counts:
		in.fault(in.at("clients"), "it is how many the limits per client remember", "clients has no effect without a limit per client")
	}
	for _, key := range []string{"resets-per-client", "strict-tcp"} {
		if in.has(key) && len(f.Listen) > 0 && !f.speaks(TCP) {
			in.fault(in.at(key), "", "%s has no effect, as nothing of the farm is TCP", key)
		}
	}
}

// speaks says whether the farm listens for the protocol.
func (f *Farm) speaks(p Protocol) bool {
	return slices.ContainsFunc(f.Listen, func(l Listen) bool { return l.Whole() || slices.Contains(l.Protocols, p) })
}

// facts are the limits in words.
func (l Limits) note(about map[string]string) {
	for key, limit := range map[string]Limit{"new-per-client": l.NewPerClient, "resets-per-client": l.ResetsPerClient, "new": l.New} {
		note(about, key, limit.String(), limit != Limit{})
	}
	note(about, "connections-per-client", fmt.Sprint(l.ConnectionsPerClient), l.ConnectionsPerClient > 0)
	note(about, "connections", fmt.Sprint(l.Connections), l.Connections > 0)
	note(about, "clients", fmt.Sprint(l.Clients), cmp.Or(l.Clients, usualClients) != usualClients)
	note(about, "ban", l.Ban.String(), l.Ban > 0)
	note(about, "strict-tcp", "true", l.StrictTCP)
	note(about, "verdict", string(l.Verdict), cmp.Or(l.Verdict, VerdictDrop) != VerdictDrop)
}
