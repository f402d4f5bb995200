package farm

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// parseFarm reads a farm's file and its drop-ins. A farm that has faults is returned as far as it could be read, so
// that faults between farms are found, too; nil if there is nothing to go by.
func parseFarm(files farmFiles, lists map[string]*AddressList, faults *diag.Diagnostics) *Farm {
	var own diag.Diagnostics
	t := toml.Parse(files.main.path, files.main.text, &own)
	for _, d := range files.dropIns {
		over := toml.Parse(d.path, d.text, &own)
		if t != nil && over != nil {
			t.Merge(over)
		}
	}
	var f *Farm
	if t != nil {
		f = readFarm(t, files.name, lists)
		t.FaultUnknown()
	}
	for i := range own {
		own[i].Farm = files.name
	}
	*faults = append(*faults, own...)
	return f
}

// readFarm is the farm format, from top to bottom.
func readFarm(t *toml.Table, name string, lists map[string]*AddressList) *Farm {
	f := &Farm{Name: name, Place: t.Place, places: map[string]diag.Place{}}
	for _, key := range ruleKeys {
		if t.Has(key) {
			f.places[key] = t.At(key)
		}
	}
	t.Text("description") // for people who read the file
	f.Mode = Mode(t.Choice("mode", "snat", "snat", "dnat", "dsr", "stateless", "local"))
	f.Listen = readListen(t)
	f.Down = t.Choice("state", "up", "up", "down") == "down"

	f.Scheduler = Scheduler(t.Choice("scheduler", usualScheduler(f.Mode), "random", "round-robin", "hash", "symmetric-hash", "maglev"))
	f.HashOn = readHashKeys(t, "hash-on")
	f.TableSize = readTableSize(t)

	f.Interfaces = readInterfaces(t, "interfaces")
	f.Source = readAddresses(t, "source-address")
	f.LocalClients = t.Flag("local-clients", false)
	f.FlowOffload = readInterfaces(t, "flow-offload")
	f.PassInvalid = t.Choice("invalid", "drop", "drop", "pass") == "pass"
	f.Helper = t.Choice("helper", "", "ftp", "sip", "tftp", "pptp", "snmp")
	f.Mark = readMark(t)
	f.Queue = readQueue(t)

	f.Persistence = readPersistence(t.Sub("persistence"))
	f.Access = readAccess(t.Sub("access"), lists)
	f.Limits = readLimits(t.Sub("limits"))
	f.notePlaces(t.Sub("limits"))
	f.Log = readLog(t.Sub("log"), f)
	if f.Limits.Verdict == VerdictLog && !f.Logs(OnLimited) {
		f.Log.On = append(f.Log.On, OnLimited) // the last of Occasions
	}

	backends := t.Subs("backends")
	f.Backends = make([]Backend, len(backends))
	for i, b := range backends {
		f.Backends[i] = readBackend(b)
	}
	slices.SortFunc(f.Backends, func(a, b Backend) int { return strings.Compare(a.Name, b.Name) })

	effective(t, f)
	complete(t, f)
	return f
}

// notePlaces keeps the places of what stands in a table, for rules that come from it.
func (f *Farm) notePlaces(in *toml.Table) {
	if in == nil {
		return
	}
	for _, key := range in.Keys() {
		f.places[in.Name+"."+key] = in.At(key)
	}
}

func usualScheduler(m Mode) string {
	if m == DSR || m == Stateless {
		return string(Maglev)
	}
	return string(Random)
}

func readListen(t *toml.Table) []Listen {
	if !t.Has("listen") && !t.Misspelt("listen") {
		t.Fault(t.Place, `listen = "192.0.2.10:80"`, "listen is missing: the addresses and ports that the farm serves")
	}
	var out []Listen
	for _, w := range t.Words("listen") {
		l, err := parseListen(w.Text)
		if err != nil {
			t.Fault(w.Place, listenRule, "listen: %v", err)
			continue
		}
		l.Place = w.Place
		out = append(out, l)
	}
	return out
}

// readHashKeys reads a combination of keys and puts it into one order, as a combination has none.
func readHashKeys(t *toml.Table, key string) []HashKey { return inOrder(readKeys(t, key)) }

// inOrder gives keys in the order of HashKeys.
func inOrder(keys []HashKey) []HashKey {
	return slices.SortedFunc(slices.Values(keys), func(a, b HashKey) int { return slices.Index(HashKeys, a) - slices.Index(HashKeys, b) })
}

// readKeys reads a combination of keys as it is written.
func readKeys(t *toml.Table, key string) []HashKey {
	var out []HashKey
	for _, w := range t.Words(key) {
		k := HashKey(w.Text)
		switch {
		case !slices.Contains(HashKeys, k):
			t.Fault(w.Place, suggestKey(w.Text), "%s: %q is nothing that can be hashed", key, w.Text)
		case slices.Contains(out, k):
			t.Fault(w.Place, "", "%s: %s stands here twice", key, k)
		default:
			out = append(out, k)
		}
	}
	return out
}

func suggestKey(word string) string {
	var names []string
	for _, k := range HashKeys {
		names = append(names, string(k))
	}
	if n := diag.Nearest(word, names); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "one of " + strings.Join(names, ", ")
}

// readAddresses reads one address, or one of each family.
func readAddresses(t *toml.Table, key string) Addresses {
	var out Addresses
	for _, w := range t.Words(key) {
		a, err := addr.ParseAddress(w.Text)
		switch {
		case err != nil:
			t.Fault(w.Place, `an address without a port: "192.0.2.1" or "2001:db8::1"`, "%s: %v", key, err)
		case !reachable(a):
			t.Fault(w.Place, "", "%s: %s is not an address that packets can be sent to from here", key, a)
		case out.Has(addr.FamilyOf(a)):
			t.Fault(w.Place, "at most one of each family", "%s: a second %s address", key, addr.FamilyOf(a))
		default:
			out[addr.FamilyOf(a)] = a
		}
	}
	return out
}

// reachable refuses addresses that NAT can't send a packet to: those that mean another machine on each link, many
// machines, or this one's inside.
func reachable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func readBackend(t *toml.Table) Backend {
	b := Backend{Name: t.Name, Place: t.Place}
	if !namesBackend(b.Name) {
		t.Fault(t.Place, backendNamingRule, "%q can't be the name of a backend", b.Name)
	}
	if !t.Has("address") && !t.Misspelt("address") {
		t.Fault(t.Place, `address = "10.0.0.11"`, "backend %s has no address", b.Name)
	}
	b.Address = readAddresses(t, "address")
	b.Port = uint16(t.Number("port", 0, 1, 65535))
	b.Weight = t.Number("weight", 1, 1, 1000)
	b.Priority = t.Number("priority", 1, 1, 1000)
	b.State = State(t.Choice("state", "up", "up", "drain", "down"))
	b.Source = readAddresses(t, "source-address")
	b.Connections = t.Number("connections", 0, 1, 1<<31-1)
	b.Mark = readMark(t)
	b.Interface = readInterface(t)
	b.MAC = readMAC(t)
	return b
}
