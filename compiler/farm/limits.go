package farm

import (
	"fmt"
	"slices"
	"time"

	"farmc/compiler/toml"
)

// Limits are upper bounds on packets and connections, for each client and for the farm. The zero Limits limit nothing.
// A client is an IPv4 address, or a network of IPv6 (see Client); its packets to all frontends of the farm count
// together.
type Limits struct {
	NewPerClient         Limit
	ResetsPerClient      Limit
	ConnectionsPerClient int // 0: no limit
	New                  Limit
	Connections          int           // 0: no limit
	Clients              int           // how many clients are counted one by one
	Ban                  time.Duration // how long a client over a limit is shut out; 0: only its excess is dropped
	StrictTCP            bool
	Verdict              Verdict
	Synproxy             Synproxy
}

// A Limit is a rate, and how much may come at once. The zero Limit is none.
type Limit struct {
	toml.Rate
	Burst int
}

// String writes the limit as nft does.
func (l Limit) String() string { return fmt.Sprintf("%s burst %d", l.Rate, l.Burst) }

// Refill is how long an empty bucket takes to be full again. A client that sent nothing for so long has a full bucket,
// so its element may expire.
func (l Limit) Refill() time.Duration {
	if l.Count == 0 {
		return 0
	}
	whole := time.Duration(float64(periods[l.Per]) * float64(l.Burst) / float64(l.Count))
	return max(whole.Truncate(time.Second)+time.Second, 2*time.Second)
}

var periods = map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour,
	"day": 24 * time.Hour}

// A Verdict decides about packets over a limit.
type Verdict string

// The verdicts.
const (
	VerdictDrop   Verdict = "drop"
	VerdictReject Verdict = "reject" // the client gets a refusal at once
	VerdictLog    Verdict = "log"    // the packet passes, and is counted and logged
)

// A Reason is the limit that a packet is over: the name of its key.
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

// DefaultClients is the kernel's bound for dynamic sets without a size (nft_dynset_init). Such a set grows with its
// elements; a set with a size takes memory for all of them at once.
const DefaultClients = 65535

func readLimits(t *toml.Table, f *Farm) {
	if in := t.Sub("limits"); in != nil {
		f.readTable(in, limitKeys)
	}
}

func readBan(t *toml.Table, f *Farm) { f.Limits.Ban = t.Duration("ban") }

func (f *Farm) ban() string {
	if f.Limits.Ban == 0 {
		return ""
	}
	return f.Limits.Ban.String()
}

// defaultBurst is the burst of a limit without one, as in nft.
const defaultBurst = 5

// readLimit reads { rate = "10/second", burst = 20 }, or "10/second" alone.
func readLimit(in *toml.Table, key string) Limit {
	if in.Table(key) != nil {
		return readRateAndBurst(in.Sub(key))
	}
	if rate := in.Rate(key); rate.Count > 0 {
		return Limit{rate, defaultBurst}
	}
	return Limit{}
}

func readRateAndBurst(t *toml.Table) Limit {
	if !t.Has("rate") {
		t.Fault(t.Place, `{ rate = "10/second", burst = 20 }`, "%s has no rate", t.Name)
	}
	l := Limit{t.Rate("rate"), t.Number("burst", defaultBurst, 1, 1<<31-1)}
	if l.Count > 0 && float64(l.Burst)/float64(l.Count) > float64(toml.MaxDuration)/float64(periods[l.Per]) {
		t.Fault(t.At("burst"), "", "%s: at %s a burst of %d would be made up for in more than a year", t.Name, l.Rate,
			l.Burst)
	}
	return l
}

// limitsNobody gives the reason if no client can meet a limit, and a hint. Networks of lists do not count, as lists
// change without the farm.
func (f *Farm) limitsNobody() (reason, hint string) {
	a, free := f.Access, "allowed"
	if !a.Exempt.Empty() {
		free = "exempt"
	}
	all := true
	for _, family := range f.families() {
		switch {
		case a.Free().holdsAll(family):
		case a.Deny.holdsAll(family) && !a.Free().Empty() && (a.Exempt.Empty() || a.Allow.within(a.Exempt, family)):
			all = false
		default:
			return "", ""
		}
	}
	switch {
	case a.Free().Empty():
		return "", ""
	case all:
		return fmt.Sprintf("all clients are %s, and so free of limits", free), "fewer clients there; or no [limits]"
	}
	return free + " clients are free of limits, and all others are denied",
		`no deny = "any"; a [limits] of a second farm; or no [limits]`
}

// validateLimits refuses limits without effect.
func validateLimits(t *toml.Table, f *Farm) {
	in := t.Sub("limits")
	if in == nil {
		return
	}
	counts := in.Has("new-per-client") || in.Has("resets-per-client") || in.Has("connections-per-client")
	switch {
	case !counts && !in.Has("new") && !in.Has("connections") && !in.Has("ban") && !in.Has("strict-tcp") &&
		!in.Has("synproxy"):
		in.Fault(in.Place, `new-per-client = { rate = "10/second", burst = 20 }`, "[limits] limits nothing")
	case in.Has("clients") && !counts:
		in.Fault(in.At("clients"), "it is how many the limits per client remember",
			"clients has no effect without a limit per client")
	}
	if reason, hint := f.limitsNobody(); reason != "" {
		in.Fault(in.Place, hint, "[limits] has no effect: %s", reason)
	}
	for _, key := range []string{"resets-per-client", "strict-tcp", "synproxy"} {
		if in.Has(key) && len(f.Listen) > 0 && !f.speaks(TCP) {
			in.Fault(in.At(key), "", "%s has no effect, as nothing of the farm is TCP", key)
		}
	}
}

// speaks reports whether the farm listens for the protocol.
func (f *Farm) speaks(p Protocol) bool {
	return slices.ContainsFunc(f.Listen, func(l Listen) bool { return l.Whole() || slices.Contains(l.Protocols, p) })
}
