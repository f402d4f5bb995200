package preflight

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	network "farmc/cmd/internal/machine"
	"farmc/cmd/internal/sockets"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A TakenPort is a port of an address of this machine. A program listens on it, and a farm takes its connections.
type TakenPort struct {
	sockets.Socket
	At      netip.Addr // the address of this machine
	Farm    *farm.Farm
	Listen  *farm.Listen // of the farm
	Exact   bool         // Listen names the port alone, not a range or a whole address
	Serves  bool         // the farm serves from this machine: mode local, or a backend here
	Program sockets.Program
}

// Refused reports whether the farm may not take the port.
func (t TakenPort) Refused() bool { return !t.Serves && !t.Farm.TakeOver }

// Name is the port and protocol.
func (t TakenPort) Name() string { return fmt.Sprintf("%d/%s", t.Port, t.Protocol) }

// A place is the key of a taken port.
type place struct {
	at       netip.Addr
	protocol sockets.Protocol
	port     uint16
}

func (t TakenPort) place() place { return place{t.At, t.Protocol, t.Port} }

// TakenPorts returns the ports of this machine with connections that farms take. Only packets that arrive for an
// address of this machine can reach a socket, so other addresses take none.
func TakenPorts(farms []*farm.Farm) ([]TakenPort, error) {
	if !slices.ContainsFunc(farms, func(f *farm.Farm) bool { return !f.Down && f.Mode != farm.Local }) {
		return nil, nil
	}
	listening, err := sockets.Listening()
	if err != nil {
		return nil, err
	}
	m := readMachine()
	defer m.routes.close()
	return m.takenPorts(farms, listening), nil
}

// Untaken returns the ports that the farms do not take already, or only as servers on this machine.
func Untaken(taken []TakenPort, farms []*farm.Farm) ([]TakenPort, error) {
	before, err := TakenPorts(farms)
	if err != nil {
		return nil, err
	}
	was := map[place]bool{}
	for _, t := range before {
		was[t.place()] = !t.Serves
	}
	return slices.DeleteFunc(slices.Clone(taken), func(t TakenPort) bool { return was[t.place()] }), nil
}

// Ephemeral reports whether the socket may belong to a short question of a program, such as one to a name server: it is
// not connected, and its port is one that the kernel hands out.
func (t TakenPort) Ephemeral() bool {
	first, last := network.ClientPorts()
	return t.Protocol == sockets.UDP && first <= t.Port && t.Port <= last
}

// A frontendIndex finds the farm that takes a packet to one of some sockets.
type frontendIndex struct {
	networks  addr.NetworkTable[[]farm.Frontend]
	any       []farm.Frontend
	addresses map[netip.Addr]bool // that the farms may take packets to; of networks the first ones
	wide      bool                // a farm takes packets to more than single addresses
}

// listeningPorts are the ports of sockets by protocol, in order.
type listeningPorts map[farm.Protocol][]uint16

func portsOf(listening []sockets.Socket) listeningPorts {
	out := listeningPorts{}
	for _, s := range listening {
		out[farm.Protocol(s.Protocol)] = append(out[farm.Protocol(s.Protocol)], s.Port)
	}
	for _, ports := range out {
		slices.Sort(ports)
	}
	return out
}

// in reports whether a socket has a port of an entry of listen.
func (p listeningPorts) in(l *farm.Listen) bool {
	if l.Whole() {
		return true
	}
	return slices.ContainsFunc(l.Protocols, func(protocol farm.Protocol) bool {
		ports := p[protocol]
		return slices.ContainsFunc(l.Ports, func(r farm.Ports) bool {
			i, _ := slices.BinarySearch(ports, r.First)
			return i < len(ports) && ports[i] <= r.Last
		})
	})
}

// newFrontendIndex makes the index of farms that can take packets to the sockets. Of 10,000 farms these are few.
func newFrontendIndex(farms []*farm.Farm, listening []sockets.Socket) *frontendIndex {
	x, ports := &frontendIndex{addresses: map[netip.Addr]bool{}}, portsOf(listening)
	for _, f := range farms {
		takes := func(l farm.Listen) bool { return ports.in(&l) }
		if !f.Down && slices.ContainsFunc(f.Listen, takes) {
			x.add(f)
			x.addAddresses(f)
		}
	}
	if !x.wide {
		return x
	}
	for _, f := range farms { // one of the farms above may take packets to their addresses
		if !f.Down {
			x.addAddresses(f)
		}
	}
	return x
}

func (x *frontendIndex) add(f *farm.Farm) {
	for _, d := range f.Frontends() {
		at := &x.any
		if d.Address.IsValid() {
			at = x.networks.At(d.Network())
		}
		*at = append(*at, d)
		x.wide = x.wide || !d.Address.IsValid() || !d.Network().IsSingleIP()
	}
}

func (x *frontendIndex) addAddresses(f *farm.Farm) {
	for _, l := range f.Listen {
		if l.Address.IsValid() {
			x.addresses[l.Address] = true
		}
	}
}

// find returns the most specific frontend for packets to an address and the port of a socket; nil if there is none. A
// frontend of all addresses takes no packets to loopback addresses.
func (x *frontendIndex) find(a netip.Addr, s sockets.Socket) *farm.Frontend {
	for all := range x.networks.Holding(a) {
		if d := taker(*all, a, s); d != nil {
			return d
		}
	}
	if a.IsLoopback() {
		return nil
	}
	return taker(x.any, a, s)
}

// taker returns the most specific of the frontends that takes the packets.
func taker(all []farm.Frontend, a netip.Addr, s sockets.Socket) (found *farm.Frontend) {
	for i := range all {
		d := &all[i]
		if d.Family == addr.FamilyOf(a) && (d.Whole() ||
			string(d.Protocol) == string(s.Protocol) && d.Ports.First <= s.Port && s.Port <= d.Ports.Last) &&
			(found == nil || d.Compare(*found) < 0) {
			found = d
		}
	}
	return found
}

// takenPorts finds the sockets that lose packets to the farms.
func (m *machine) takenPorts(farms []*farm.Farm, listening []sockets.Socket) (out []TakenPort) {
	x := newFrontendIndex(farms, listening)
	here := m.candidates(x)
	for _, s := range listening {
		for _, a := range here {
			if !s.Serves(a) || !a.IsLoopback() && m.names[s.Link] == "lo" {
				continue
			}
			if d := x.find(a, s); d != nil && m.isOwn(a) && m.comesIn(d.Farm, s) {
				out = append(out, TakenPort{Socket: s, At: a, Farm: d.Farm, Listen: d.Listen,
					Exact: !d.Whole() && d.Ports.Single(), Serves: m.serves(d.Farm)})
			}
		}
	}
	return out
}

// candidates returns the addresses of this machine, and the ones that farms name. Loopback addresses count only there.
func (m *machine) candidates(x *frontendIndex) (out []netip.Addr) {
	for a := range m.addresses {
		if !a.IsLoopback() {
			out = append(out, a)
		}
	}
	for a := range x.addresses {
		if m.own(a) == nil || a.IsLoopback() {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// isOwn reports whether this machine has the address, or a local route of its network.
func (m *machine) isOwn(a netip.Addr) bool { return m.own(a) != nil || m.routes.to(a) == local }

// comesIn reports whether packets of the farm can come in by the interface that a socket is bound to.
func (m *machine) comesIn(f *farm.Farm, s sockets.Socket) bool {
	return s.Link == 0 || len(f.Interfaces) == 0 || slices.Contains(f.Interfaces, m.names[s.Link])
}

// serves reports whether the farm's service runs on this machine, at least in part.
func (m *machine) serves(f *farm.Farm) bool {
	return f.Mode == farm.Local || slices.ContainsFunc(f.Backends, func(b farm.Backend) bool {
		return slices.ContainsFunc(b.Address.All(), m.isOwn)
	})
}

// ports finds programs that lose connections to farms that were loaded before the programs listened. UDP ports that the
// kernel hands out count only where a farm names them.
func (s *search) ports() {
	taken, err := TakenPorts(s.farms)
	if err != nil {
		return
	}
	taken = slices.DeleteFunc(taken, func(t TakenPort) bool { return !t.Refused() || t.Ephemeral() && !t.Exact })
	for _, ofFarm := range byFarm(NamePrograms(taken)) {
		s.found.add(takenPortFinding(ofFarm), ofFarm[0].Farm)
	}
}

// byFarm parts the ports by their farms, in the order of the farms.
func byFarm(taken []TakenPort) (out [][]TakenPort) {
	numbers := map[*farm.Farm]int{}
	for _, t := range taken {
		n, known := numbers[t.Farm]
		if !known {
			n = len(out)
			numbers[t.Farm], out = n, append(out, nil)
		}
		out[n] = append(out[n], t)
	}
	slices.SortStableFunc(out, func(a, b []TakenPort) int {
		return cmp.Compare(a[0].Farm.Name, b[0].Farm.Name)
	})
	return out
}

// takenPortFinding is the finding about the ports that one farm takes.
func takenPortFinding(taken []TakenPort) Finding {
	ports := portsOfPrograms(taken)
	f := Finding{Kind: "port", Object: taken[0].Farm.Name + " " + strings.Join(ports, ", "), Effect: Harms,
		Place: taken[0].Listen.Place,
		Advice: "listen on another address or port; or take-over = true, if the program is to get no more clients: " +
			"farmc apply does not load a new farm like this without it"}
	if t := taken[0]; len(ports) == 1 && ports[0] == t.program() {
		f.Message = fmt.Sprintf("%s listens on %s, and the farm takes its connections", t.Program, t.Name())
	} else {
		f.Message = strings.Join(ports, ", ") + " listen here, and the farm takes their connections"
	}
	return f
}

// program is the program with the port.
func (t TakenPort) program() string { return fmt.Sprintf("%s (%s)", t.Program, t.Name()) }

// maxPorts is the number of ports of a program that a finding names.
const maxPorts = 8

// portsOfPrograms gives each program with its ports, by number: "named (53/tcp, 53/udp)".
func portsOfPrograms(taken []TakenPort) (out []string) {
	var programs []string
	ports := map[string][]string{}
	sorted := slices.Clone(taken)
	slices.SortStableFunc(sorted, func(a, b TakenPort) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	for _, t := range sorted {
		name := fmt.Sprint(t.Program)
		if ports[name] == nil {
			programs = append(programs, name)
		}
		if !slices.Contains(ports[name], t.Name()) {
			ports[name] = append(ports[name], t.Name())
		}
	}
	for _, name := range programs {
		all := ports[name]
		text := strings.Join(all[:min(len(all), maxPorts)], ", ")
		if more := len(all) - maxPorts; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, name+" ("+text+")")
	}
	return out
}

// NamePrograms finds the programs of taken ports. It leaves out a port without a known program that nobody listens on
// by now: the program has ended.
func NamePrograms(taken []TakenPort) []TakenPort {
	if len(taken) == 0 {
		return nil
	}
	all := make([]sockets.Socket, len(taken))
	for i, t := range taken {
		all[i] = t.Socket
	}
	programs := sockets.Programs(all)
	for i := range taken {
		taken[i].Program = programs[taken[i].Inode]
	}
	nameless := func(t TakenPort) bool { return t.Program == sockets.Program{} }
	if !slices.ContainsFunc(taken, nameless) {
		return taken
	}
	listening, err := sockets.Listening()
	if err != nil {
		return taken
	}
	return slices.DeleteFunc(taken, func(t TakenPort) bool {
		return nameless(t) && !slices.Contains(listening, t.Socket)
	})
}
