package farm

import (
	"time"

	"farmc/compiler/toml"
)

// Timeouts are the times after which connection tracking forgets connections of the farm without packets. Zero stands
// for a key that the farm does not have.
type Timeouts struct {
	Established time.Duration // TCP; zero: as the machine says
	HalfClosed  time.Duration // TCP with one side closed; zero: DefaultHalfClosed, or what the machine says if longer
	UDP         time.Duration // zero: as the machine says
}

// DefaultHalfClosed is the time that a client may wait for an answer after it has closed its side. The kernel's own
// time, a minute, cuts a client that sends all, closes, and waits for a result. kube-proxy has the same default.
const DefaultHalfClosed = time.Hour

// maxIdle is the longest time: conntrack counts in signed 32 bits of the kernel's clock, with up to 1000 ticks a second
// (nf_ct_expires of Linux 6.18). An entry with more would be gone at once.
const maxIdle = 24 * 24 * time.Hour

func readTimeouts(t *toml.Table, f *Farm) {
	if in := t.Sub("timeouts"); in != nil {
		f.readTable(in, timeoutKeys)
	}
}

// idle is a time in whole seconds, as connection tracking counts.
func idle(at func(*Farm) *time.Duration) value[*Farm] {
	return value[*Farm]{
		kind: DurationType,
		read: func(k *Key, t *toml.Table, f *Farm) {
			d := t.Duration(k.Name)
			if t.Has(k.Name) && d != 0 && (d%time.Second != 0 || d > maxIdle) {
				t.Fault(t.At(k.Name), "", "timeouts: %s is %s, not whole seconds from 1s to %s", k.Name,
					toml.FormatDuration(d), toml.FormatDuration(maxIdle))
				return
			}
			*at(f) = d
		},
		describe: duration(0, maxIdle, at).describe,
	}
}

var timeoutProtocols = map[string]Protocol{"established": TCP, "half-closed": TCP, "udp": UDP}

// validateTimeouts refuses times of protocols that the farm does not listen for.
func validateTimeouts(t *toml.Table, f *Farm) {
	in := t.Sub("timeouts")
	if in == nil || len(f.Listen) == 0 || !f.Tracked() {
		return
	}
	if len(in.Keys()) == 0 {
		in.Fault(in.Place, `timeouts = { half-closed = "2h" }`, "timeouts has no times")
	}
	for _, key := range in.Keys() {
		protocol, known := timeoutProtocols[key]
		if known && !f.speaks(protocol) {
			in.Fault(in.At(key), "", "timeouts: %s has no effect: the farm does not listen on %s", key, protocol)
		}
	}
}
