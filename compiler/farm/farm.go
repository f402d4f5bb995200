package farm

import (
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

// A Farm is a load-balanced service, validated without regard to other farms.
type Farm struct {
	Name          string
	Mode          Mode
	Listen        []Listen
	Down          bool // validated like any other farm, but not served
	Scheduler     Scheduler
	PerPacket     bool           // dsr, stateless: each datagram gets a backend of its own
	HashOn        []HashKey      // for the schedulers that hash, in the order of HashKeys
	Ports         PortMap        // moved ports of the backends that have neither a port nor moves of their own
	TableSize     int            // maglev's, a prime; 0: by the number of backends
	Interfaces    []string       // only packets that arrive here belong to the farm; none: all interfaces
	Zone          int            // snat, dnat: of conntrack, for requests; 0: the one of all other packets
	Gateways      []Gateway      // stateless: next hops of replies, by family and network; none: replies are routed
	Source        Sources        // snat: the sources that backends see instead of this machine's own
	Masquerade    bool           // snat: the kernel finds the source when a packet leaves, where Source has none
	Hairpin       []netip.Prefix // dnat: networks whose clients reach backends from an address of this machine
	Outgoing      []Outgoing     // connections that backends open, which leave with the service's address
	MarkedSources []MarkedSource // local: sources of connections that programs open with a mark, in the order of marks
	LocalClients  bool           // also serves connections that this machine itself opens
	Announce      Announce       // to routers, by a routing daemon
	TakeOver      bool           // may take ports on which programs of this machine listen
	FlowOffload   []string       // interfaces between which established flows take a short cut
	OffloadAll    bool           // established flows of other farms and programs take it, too
	PassInvalid   bool           // TCP segments outside of their connection are not dropped
	Helper        string         // the kernel's connection tracking helper; "": none
	Mark          Mark
	MarkReplies   []Uplink // marks of replies by the interface of the request, in the order of the interfaces
	Timeouts      Timeouts
	Log           Log
	Queue         Queue
	Access        Access
	Limits        Limits
	Persistence   *Persistence // nil: each connection is on its own
	Health        *Health      // nil: no check, but for those of backends; see HealthOf
	Backends      []Backend    // in the order of their names
	Hosts         []Host       // the backends of the files that have a hostname, in the order of their names
	Place         diag.Place   // of the farm's file

	lists   map[string]*AddressList // while the farm is read
	answers Answers                 // while the farm is read
	earlier bool                    // its files were loaded, maybe by an earlier version
	absent  []string                // the interfaces of the farm that do not exist
	places  map[string]diag.Place   // of the keys in the files, also of "limits.new" and so on

	description Description // nil until Description is called
}

// Origin gives the place of the key in the files, for rules that are generated from the key.
func (f *Farm) Origin(key string) *diag.Origin {
	return &diag.Origin{Farm: f.Name, Key: key, Place: f.at(key)}
}

// at gives the place of the key in the files, or of the farm if the files lack the key.
func (f *Farm) at(key string) diag.Place {
	if place, ok := f.places[key]; ok {
		return place
	}
	return f.Place
}

// A Backend is a server that a farm's connections are sent to.
type Backend struct {
	Name     string
	Host     string // the hostname that has the address; "": the files have the address
	Key      string // the backend's name in the files if it has a hostname, else ""
	Address  Addresses
	Port     uint16  // 0: the port that was asked for
	Ports    PortMap // moved ports, its own or the farm's; none if it has a port
	Weight   int     // 1 to 1000
	Percent  int     // of the weight that counts, 1 to 100; 0: all of it
	Priority int     // 1, the best, to 1000: a rank, see Serving
	State    State
	NoWeight bool    // weight-percent is 0, and nothing else makes it Drain
	Source   Sources // snat: the sources that this backend sees
	Mark     Mark
	Place    diag.Place
	StateAt  diag.Place // of the key that sets State, in the file that sets it last; zero: no file sets it

	Connections int // at most so many at once; 0: no limit

	Interface string // dsr, stateless: where the backend is; "": behind the farm's only one
	MAC       string // dsr: where the kernel can't find it

	Health *BackendHealth // nil: the farm's

	inheritsPorts bool // Ports are the farm's
	cutOff        bool // its interface is not there
}

// Addresses hold at most one address of each family.
type Addresses [len(addr.Families)]netip.Addr

// Has reports whether there is an address of the family.
func (a Addresses) Has(f addr.Family) bool { return a[f].IsValid() }

// A Mode says how packets of a farm reach a backend (its topology).
type Mode string

// The modes.
const (
	SNAT      Mode = "snat"      // rewrites destination and source
	DNAT      Mode = "dnat"      // rewrites the destination; backends see the client
	DSR       Mode = "dsr"       // direct server return: hands on the frame, replies bypass this machine
	Stateless Mode = "stateless" // rewrites with no connection tracking
	Local     Mode = "local"     // a service of this machine: filters only
)

// A Scheduler chooses the backend of a new connection.
type Scheduler string

// The schedulers. All of them are weighted.
const (
	Random           Scheduler = "random"
	RoundRobin       Scheduler = "round-robin"
	LeastConnections Scheduler = "least-connections" // random, by slots that farmc watch moves between the backends
	Hash             Scheduler = "hash"
	SymmetricHash    Scheduler = "symmetric-hash"
	Maglev           Scheduler = "maglev" // Eisenbud et al., "Maglev", NSDI 2016, 3.4
)

// Deterministic reports whether the scheduler gives the same packet the same number again.
func (s Scheduler) Deterministic() bool { return s == Hash || s == SymmetricHash || s == Maglev }

// A State is the administrator's wish for a backend.
type State string

// The states of a backend.
const (
	Up    State = "up"    // serves
	Drain State = "drain" // takes no new client, keeps the ones it has
	Down  State = "down"  // serves no packet
)

// A HashKey is a part of a packet that a scheduler hashes, or persistence remembers.
type HashKey string

// HashKeys are all hash keys, in the order in which they are hashed.
var HashKeys = []HashKey{SourceAddress, DestinationAddress, SourcePort, DestinationPort, SourceMAC, DestinationMAC}

// The hash keys.
const (
	SourceAddress      HashKey = "source-address"
	DestinationAddress HashKey = "destination-address"
	SourcePort         HashKey = "source-port"
	DestinationPort    HashKey = "destination-port"
	SourceMAC          HashKey = "source-mac"
	DestinationMAC     HashKey = "destination-mac"
)

// Serving gives the backends of a family that new connections may go to. The best priority serves; each of its backends
// that is down, drains or is cut off lets the next priority serve, too.
func (f *Farm) Serving(family addr.Family) []Backend {
	if f.servesAlike(family) {
		return f.Backends
	}
	all := f.WithFamily(family)
	slices.SortStableFunc(all, func(a, b Backend) int { return a.Priority - b.Priority })
	levels, out := 1, []Backend(nil)
	for i, b := range all {
		if i > 0 && b.Priority != all[i-1].Priority {
			if levels--; levels == 0 {
				break
			}
		}
		if b.serves() {
			out = append(out, b)
		} else {
			levels++
		}
	}
	slices.SortFunc(out, func(a, b Backend) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// servesAlike reports whether every backend serves, as in most farms.
func (f *Farm) servesAlike(family addr.Family) bool {
	for i := range f.Backends {
		if b := &f.Backends[i]; !b.serves() || !b.Address.Has(family) || b.Priority != f.Backends[0].Priority {
			return false
		}
	}
	return true
}

// WithFamily gives the backends that have an address of the family.
func (f *Farm) WithFamily(family addr.Family) []Backend {
	var all []Backend
	for i := range f.Backends {
		if !f.Backends[i].Address.Has(family) {
			continue
		}
		if all == nil {
			all = make([]Backend, 0, len(f.Backends)-i)
		}
		all = append(all, f.Backends[i])
	}
	return all
}

// CutOff reports whether the interface that leads to the backend does not exist.
func (b Backend) CutOff() bool { return b.cutOff }

func (b Backend) serves() bool { return b.State == Up && !b.cutOff }

// Listens reports whether the farm listens on the family. A listen on every address counts for a family with backends.
func (f *Farm) Listens(family addr.Family) bool {
	return slices.ContainsFunc(f.Listen, func(l Listen) bool {
		return slices.Contains(l.Families, family) && (l.Address.IsValid() || f.reaches(family))
	})
}

// reaches reports whether a backend has an address of the family. A farm without backends listens on both families, to
// refuse connections.
func (f *Farm) reaches(family addr.Family) bool {
	return len(f.Backends) == 0 || f.anyBackend(func(b *Backend) bool { return b.Address.Has(family) })
}

// anyBackend reports whether a backend is like that. It copies none: 10,000 farms have 100,000 of them.
func (f *Farm) anyBackend(is func(*Backend) bool) bool {
	for i := range f.Backends {
		if is(&f.Backends[i]) {
			return true
		}
	}
	return false
}

// SameServer reports whether two backends have the same addresses and ports. Their names may differ.
func (b Backend) SameServer(other Backend) bool {
	return b.Address == other.Address && b.Port == other.Port && b.Ports.Equal(other.Ports)
}

// All gives the valid addresses.
func (a Addresses) All() []netip.Addr {
	return slices.DeleteFunc(a[:], func(a netip.Addr) bool { return !a.IsValid() })
}

// Socket gives the backend's address of the family, with its port if it has one.
func (b Backend) Socket(family addr.Family) string {
	return socket(netip.AddrPortFrom(b.Address[family], b.Port))
}

// socket writes an address with its port, if there is one.
func socket(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
