package farm

import (
	"fmt"
	"slices"
	"time"

	"farmc/compiler/toml"
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
	toml.Rate
	Burst int
}

// String writes the limit as nft does.
func (l Limit) String() string { return fmt.Sprintf("%s burst %d", l.Rate, l.Burst) }

// Refill is how long an empty bucket takes to be full again. What was quiet for so long is like new, so nothing needs
// to be remembered of it.
func (l Limit) Refill() time.Duration {
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

// DefaultClients is how many elements the kernel gives a set of which nothing else is said (nft_dynset_init). Such a set
// grows with what is in it; one with a size takes memory for all of them at once.
const DefaultClients = 65535

func readLimits(t *toml.Table, f *Farm) {
	in := t.Sub("limits")
	if in == nil {
		return
	}
	readKeys(in, limitKeys, f)
	for _, key := range in.Keys() {
		f.places["limits."+key] = in.At(key)
	}
}

func readBan(t *toml.Table, f *Farm) { f.Limits.Ban = t.Duration("ban") }

func (f *Farm) ban() string {
	if f.Limits.Ban == 0 {
		return ""
	}
	return f.Limits.Ban.String()
}

func readLimit(in *toml.Table, key string) Limit {
	t := in.Sub(key)
	if t == nil {
		return Limit{}
	}
	if !t.Has("rate") {
		t.Fault(t.Place, `{ rate = "10/second", burst = 20 }`, "%s has no rate", t.Name)
	}
	l := Limit{t.Rate("rate"), t.Number("burst", 5, 1, 1<<31-1)}
	if l.Count > 0 && float64(l.Burst)/float64(l.Count) > float64(toml.MaxDuration)/float64(periods[l.Per]) {
		t.Fault(t.At("burst"), "", "%s: at %s a burst of %d would be made up for in more than a year", t.Name, l.Rate, l.Burst)
	}
	return l
}

// limitsHold refuses what holds nobody back, though it is said that it does.
func limitsHold(t *toml.Table, f *Farm) {
	in := t.Sub("limits")
	if in == nil {
		return
	}
	counts := in.Has("new-per-client") || in.Has("resets-per-client") || in.Has("connections-per-client")
	switch {
	case !counts && !in.Has("new") && !in.Has("connections") && !in.Has("ban") && !in.Has("strict-tcp"):
		in.Fault(in.Place, `new-per-client = { rate = "10/second", burst = 20 }`, "[limits] limits nothing")
	case in.Has("clients") && !counts:
		in.Fault(in.At("clients"), "it is how many the limits per client remember", "clients has no effect without a limit per client")
	}
	for _, key := range []string{"resets-per-client", "strict-tcp"} {
		if in.Has(key) && len(f.Listen) > 0 && !f.speaks(TCP) {
			in.Fault(in.At(key), "", "%s has no effect, as nothing of the farm is TCP", key)
		}
	}
}

// speaks says whether the farm listens for the protocol.
func (f *Farm) speaks(p Protocol) bool {
	return slices.ContainsFunc(f.Listen, func(l Listen) bool { return l.Whole() || slices.Contains(l.Protocols, p) })
}
