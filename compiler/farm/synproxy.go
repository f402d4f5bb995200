package farm

import (
	"fmt"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A Synproxy has the kernel answer the SYNs of clients with cookies. Only once a client has proved with a cookie that
// its address is not forged, a connection to a backend is opened, and connection tracking has an entry. The kernel
// announces to clients what the backends would announce, as it does not know that yet.
type Synproxy struct {
	On          bool
	MSS         int // in IPv4; in IPv6 it is smaller by the difference of the headers
	WindowScale int // the shift count of windows
}

const defaultWindowScale = 7

func readWindowScale(k *Key, t *toml.Table, f *Farm) {
	f.Limits.Synproxy.WindowScale = t.Number(k.Name, defaultWindowScale, k.Least, k.Most)
}

func describeWindowScale(_ *Key, f *Farm) string {
	if p := f.Limits.Synproxy; p.MSS > 0 && p.WindowScale != defaultWindowScale { // without [limits] both are 0
		return fmt.Sprint(p.WindowScale)
	}
	return ""
}

// validateSynproxy refuses keys that need the SYN of a client itself, and parameters of a synproxy that is off.
func validateSynproxy(t *toml.Table, f *Farm) {
	in := t.Sub("limits")
	if in == nil || !f.Tracked() {
		return
	}
	if !f.Limits.Synproxy.On {
		for _, key := range []string{"synproxy-mss", "synproxy-wscale"} {
			if in.Has(key) && !in.Has("synproxy") {
				in.Fault(in.At(key), "synproxy = true", "%s has no effect without synproxy", key)
			}
		}
		return
	}
	refuse := func(at diag.Place, key, reason string) {
		in.FaultWithNote(at, diag.Note{Place: in.At("synproxy"), Message: "here"},
			"%s: can't be had with synproxy: %s", key, reason)
	}
	if f.Helper != "" {
		refuse(t.At("helper"), "helper", "helpers read connections from the SYN of the client on")
	}
	if len(f.FlowOffload) > 0 {
		refuse(t.At("flow-offload"), "flow-offload", "the kernel rewrites the sequence numbers of each segment")
	}
	refuseMACs := func(in *toml.Table, key string, keys []HashKey) {
		for _, k := range keys {
			if k == SourceMAC || k == DestinationMAC {
				refuse(in.At(key), key, fmt.Sprintf("this machine opens the connections to backends, without a %s", k))
			}
		}
	}
	refuseMACs(t, "hash-on", f.HashOn)
	if f.Persistence != nil {
		refuseMACs(t.Sub("persistence"), "on", f.Persistence.On)
	}
	if at := slices.IndexFunc(f.Listen, func(l Listen) bool { return l.Address.IsLoopback() }); at >= 0 {
		refuse(f.Listen[at].Place, "listen", "connections to a loopback address are of this machine, which forges none")
	}
}
