package compilertest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A model of the promises of the farm format: random valid farms, as files, and the expected outcome of a packet.

// A ModelFarm is a random farm, with the keys that its outcome depends on.
type ModelFarm struct {
	Name      string
	mode      string
	down      bool
	scheduler string
	hashOn    []string
	TableSize int
	local     bool
	inside    []string // interfaces; none: all
	mark      string
	source    map[int]string // by family, 4 or 6: an address, or a range
	moves     []modelMove    // of backends without a port
	hairpin   []string       // networks
	outgoing  []string
	timeouts  map[string]string
	inherited string // the scheduler in the defaults of the directory; "": there are no defaults
	sources   string // of a service of this machine beside the farms; "": there is none
	listens   []modelListen
	backends  []modelBackend

	persistOn []string // none: no persistence
	prefix    string   // of persistence
	renew     string   // of persistence; "": the default
	group     string
	static    map[string]string // clients and networks, and the backends that they always meet
}

type modelListen struct {
	address   netip.Addr // not valid: every address
	bits      int        // of a network's prefix; 0: none
	families  []int
	ports     [][2]int // none: the whole address
	protocols []string
	text      string
}

type modelBackend struct {
	name    string
	address map[int]netip.Addr
	port    int // 0: keeps
	weight  int
	rank    int // priority
	state   string
	source  map[int]string
	most    int // connections; 0: no limit
}

// A modelMove is the ports that backends get connections on, beginning with to, in place of first to last.
type modelMove struct{ first, last, to int }

// randomFarms makes farms without a fault, alone and among each other.
func randomFarms(r *rand.Rand) []ModelFarm {
	var all []ModelFarm
	inherited := Pick(r, "", "", "random", "round-robin", "symmetric-hash")
	sources := Pick(r, "", "", `{ "0x200" = "192.0.2.77" }`,
		`{ "0x200" = ["192.0.2.77", "2001:db8::77"], "513" = "2001:db8::78" }`)
	names := map[string]bool{}
	for range 1 + r.IntN(12) {
		f := RandomFarm(r)
		f.inherited, f.sources = inherited, sources
		if folded := strings.ToLower(f.Name); len(f.listens) > 0 && !names[folded] &&
			!slices.ContainsFunc(all, f.Meets) {
			names[folded] = true
			all = append(all, f)
		}
	}
	return all
}

// RandomFarm makes a farm, which may share a frontend with another one (see Meets).
func RandomFarm(r *rand.Rand) ModelFarm {
	f := ModelFarm{
		Name:  randomName(r, "._-"),
		mode:  Pick(r, "snat", "dnat"),
		down:  r.IntN(12) == 0,
		local: r.IntN(4) > 0,
	}
	if r.IntN(6) == 0 {
		f.inside = Pick(r, []string{"eth0"}, []string{"eth1", "eth0"})
	}
	if r.IntN(6) == 0 {
		f.mark = Pick(r, slices.Sorted(maps.Keys(modelMarks))...)
	}
	families := [][]int{{4}, {6}, {4, 6}}[r.IntN(3)]
	whole := r.IntN(8) == 0
	for range 1 + r.IntN(3) {
		f.listens = append(f.listens, randomListen(r, families, whole))
	}
	families = f.families(families)
	f.randomSchedule(r, slices.ContainsFunc(f.listens, func(l modelListen) bool { return l.ports == nil }))
	f.randomBackends(r, families)
	f.randomSources(r, families)
	if r.IntN(3) == 0 {
		f.randomPersistence(r, families)
	}
	if r.IntN(3) == 0 {
		f.randomMoves(r)
	}
	f.randomAddresses(r)
	if r.IntN(4) == 0 {
		f.randomTimeouts(r)
	}
	return f
}

// randomMoves moves the ports of one entry of listen, if the backends have no ports.
func (f *ModelFarm) randomMoves(r *rand.Rand) {
	whole := slices.ContainsFunc(f.listens, func(l modelListen) bool { return l.ports == nil })
	if whole || slices.ContainsFunc(f.backends, func(b modelBackend) bool { return b.port != 0 }) {
		return
	}
	run := Pick(r, Pick(r, f.listens...).ports...)
	m := modelMove{first: run[0], last: min(run[1], run[0]+Pick(r, 0, 3, 400))}
	m.to = firstMoved + r.IntN(65535-firstMoved-(m.last-m.first))
	f.moves = append(f.moves, m)
}

// firstMoved is the lowest port that ports are moved to. It is above the ports that backends name.
const firstMoved = 10000

// moved gives the port on which a backend without a port gets connections to a port.
func (f *ModelFarm) moved(port int) int {
	for _, m := range f.moves {
		if m.first <= port && port <= m.last {
			return m.to + port - m.first
		}
	}
	return port
}

// randomAddresses chooses the networks of hairpin, and the ports of outgoing.
func (f *ModelFarm) randomAddresses(r *rand.Rand) {
	if f.mode == "dnat" && r.IntN(3) == 0 {
		for family, a := range Pick(r, f.backends...).address {
			f.hairpin = append(f.hairpin, map[int]string{4: "10.0.0.0/8", 6: "fd00::/16"}[family])
			if r.IntN(2) == 0 {
				f.hairpin[len(f.hairpin)-1] = a.String() + map[int]string{4: "/32", 6: "/128"}[family]
			}
		}
		slices.Sort(f.hairpin) // as the order of a map is not the seed's
	}
	if r.IntN(3) == 0 && f.oneAddress() {
		f.outgoing = Pick(r, []string{"all"}, []string{"25"}, []string{"25", "5060/udp"})
	}
}

// oneAddress reports whether the farm listens on one address of each family at most.
func (f *ModelFarm) oneAddress() bool {
	at := map[int]netip.Addr{}
	for _, l := range f.listens {
		family := l.families[0]
		if !l.address.IsValid() || l.bits > 0 || at[family].IsValid() && at[family] != l.address {
			return false
		}
		at[family] = l.address
	}
	return true
}

// randomTimeouts chooses idle times of the protocols that the farm listens for.
func (f *ModelFarm) randomTimeouts(r *rand.Rand) {
	f.timeouts = map[string]string{}
	for key, protocol := range map[string]string{"established": "tcp", "half-closed": "tcp", "udp": "udp"} {
		if slices.ContainsFunc(f.listens, func(l modelListen) bool {
			return l.ports == nil || slices.Contains(l.protocols, protocol)
		}) {
			f.timeouts[key] = ""
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.timeouts)) {
		if f.timeouts[key] = Pick(r, "30s", "2h", "12h"); len(f.timeouts) > 1 && r.IntN(2) == 0 {
			delete(f.timeouts, key)
		}
	}
}

// modelClients are clients, alone and as networks; the smaller ones first.
var modelClients = map[int][]string{
	4: {"198.51.100.7", "198.51.100.64/26", "198.51.100.0/24"},
	6: {"2001:db8:c::7", "2001:db8:c::/64", "2001:db8:c::/48"},
}

func (f *ModelFarm) randomPersistence(r *rand.Rand, families []int) {
	whole := slices.ContainsFunc(f.listens, func(l modelListen) bool { return l.ports == nil })
	f.persistOn = []string{"source-address"}
	for _, key := range []string{"destination-address", "source-port", "destination-port", "source-mac",
		"destination-mac"} {
		if r.IntN(4) == 0 && !(f.local && strings.HasSuffix(key, "mac")) && !(whole && strings.HasSuffix(key, "port")) {
			f.persistOn = append(f.persistOn, key)
		}
	}
	f.prefix = Pick(r, "", "", "[24, 64]", "[32, 56]")
	f.renew = Pick(r, "", "", "connection", "packet")
	if len(f.persistOn) > 1 {
		return
	}
	if f.prefix == "" {
		f.group = Pick(r, "", "shop")
	}
	f.static = map[string]string{}
	for _, family := range families {
		for _, client := range modelClients[family] {
			if b := Pick(r, f.backends...); r.IntN(3) == 0 && b.address[family].IsValid() {
				f.static[client] = b.name
			}
		}
	}
}

// stays gives the backend that the packet's client is known to be with.
func (f *ModelFarm) stays(p Packet) (modelBackend, bool) {
	var names []string
	for _, client := range modelClients[versionOf(p.Address)] {
		network, err := netip.ParsePrefix(client)
		if client == p.client.String() || err == nil && network.Contains(p.client) {
			names = append(names, f.static[client])
		}
	}
	for _, b := range f.backends {
		if f.persistOn != nil && p.known.IsValid() &&
			p.known == netip.AddrPortFrom(b.address[versionOf(p.Address)], uint16(b.port)) {
			names = append(names, b.name)
		}
	}
	for _, name := range names {
		for _, b := range f.backends {
			if b.name == name && b.state != "down" {
				return b, true
			}
		}
	}
	return modelBackend{}, false
}

// modelMarks are marks as farms write them, and as rules set them: bits outside of the mask stay.
var modelMarks = map[string]string{
	"17": "0x11", `"0x10"`: "0x10", `"0x10/0xf0"`: "ct mark & 0xffffff0f | 0x10",
	`"0/0xff"`: "ct mark & 0xffffff00 | 0x0",
}

// Pick gives one of the values, each with the same probability.
func Pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// randomName is one of nft's words as often as not.
func randomName(r *rand.Rand, special string) string {
	if r.IntN(3) == 0 {
		return Pick(
			r,
			"map",
			"table",
			"chain",
			"snat",
			"dnat",
			"tcp",
			"ip",
			"drop",
			"goto",
			"element",
			"any",
			"ip4",
			"source",
			"slots",
			"all",
			"no-backend",
			"web",
		)
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	name := []byte{letters[r.IntN(len(letters))]}
	for range r.IntN(Pick(r, 4, 12, 48)) {
		from := letters + "0123456789" + special
		name = append(name, from[r.IntN(len(from))])
	}
	return string(name)
}

func randomListen(r *rand.Rand, families []int, whole bool) modelListen {
	family := families[r.IntN(len(families))]
	l := modelListen{families: []int{family}}
	l.address = map[int]netip.Addr{
		4: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + r.IntN(4))}),
		6: netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", 10+r.IntN(4))),
	}[family]
	l.text = l.address.String()
	if r.IntN(5) == 0 {
		l.randomNetwork(r, family)
	}
	if whole && r.IntN(4) > 0 {
		l.text += "/all"
		return l
	}
	if family == 6 {
		l.text = "[" + l.text + "]"
	}
	if r.IntN(6) == 0 {
		l.address, l.bits = netip.Addr{}, 0
		l.text = map[int]string{4: "0.0.0.0", 6: "[::]"}[family]
		if r.IntN(2) == 0 {
			l.text, l.families = "*", families
		}
	}
	return l.randomPorts(r)
}

// randomNetwork makes the entry one of a network that holds some of the addresses.
func (l *modelListen) randomNetwork(r *rand.Rand, family int) {
	p := map[int]netip.Prefix{
		4: netip.MustParsePrefix(Pick(r, "192.0.2.8/29", "192.0.2.8/30", "192.0.2.12/30", "192.0.2.10/31")),
		6: netip.MustParsePrefix(Pick(r, "2001:db8::8/125", "2001:db8::8/126", "2001:db8::c/126", "2001:db8::/64")),
	}[family]
	l.address, l.bits, l.text = p.Addr(), p.Bits(), p.String()
}

func (l modelListen) randomPorts(r *rand.Rand) modelListen {
	var words []string
	for range 1 + r.IntN(3) {
		first := 1 + r.IntN(30) + Pick(r, 0, 79, 65500)
		last := first
		if r.IntN(3) == 0 {
			last = min(65535, first+1+r.IntN(Pick(r, 12, 12, 200)))
		}
		l.ports = append(l.ports, [2]int{first, last})
		words = append(words, ports(first, last))
	}
	l.protocols = Pick(
		r,
		[]string{"tcp"},
		[]string{"udp"},
		[]string{"tcp", "udp"},
		[]string{"udp", "tcp"},
		[]string{"sctp"},
		[]string{"tcp", "udp", "sctp"},
	)
	l.text += ":" + strings.Join(words, ",")
	if l.protocols[0] != "tcp" || len(l.protocols) > 1 || r.IntN(2) == 0 {
		l.text += "/" + strings.Join(l.protocols, ",")
	}
	return l
}

// families are the families that the farm listens on, if its backends are of the given ones.
func (f *ModelFarm) families(given []int) []int {
	var out []int
	for _, family := range given {
		if slices.ContainsFunc(f.listens, func(l modelListen) bool { return slices.Contains(l.families, family) }) {
			out = append(out, family)
		}
	}
	return out
}

func (f *ModelFarm) randomSchedule(r *rand.Rand, whole bool) {
	f.scheduler = Pick(r, "random", "round-robin", "least-connections", "hash", "symmetric-hash", "maglev")
	if f.scheduler == "maglev" && r.IntN(8) > 0 {
		f.TableSize = Pick(r, 101, 251, 509)
	}
	if f.scheduler != "hash" && f.scheduler != "maglev" || r.IntN(4) == 0 {
		return
	}
	from := []string{
		"source-address",
		"destination-address",
		"source-port",
		"destination-port",
		"source-mac",
		"destination-mac",
	}
	if f.local {
		from = from[:4]
	}
	if whole {
		from = slices.DeleteFunc(slices.Clone(from), func(key string) bool { return strings.HasSuffix(key, "port") })
	}
	r.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	f.hashOn = from[:1+r.IntN(len(from))]
}

func (f *ModelFarm) randomBackends(r *rand.Rand, families []int) {
	whole := slices.ContainsFunc(f.listens, func(l modelListen) bool { return l.ports == nil })
	ports := Pick(r, []int{0}, []int{8080}, []int{0, 8080, 9090})
	names, servers := map[string]bool{}, map[string]bool{}
	ranked, bounded := r.IntN(3) == 0, r.IntN(4) == 0
	for i := range 1 + r.IntN(Pick(r, 3, 10)) {
		b := modelBackend{
			name:   randomName(r, "_-"),
			weight: f.randomWeight(r),
			rank:   1,
			state:  Pick(r, "up", "up", "up", "drain", "down"),
		}
		if bounded && r.IntN(2) == 0 {
			b.most = 1 + r.IntN(1000)
		}
		if !whole {
			b.port = Pick(r, ports...)
		}
		if ranked {
			b.rank = Pick(r, 1, 2, 3, 10)
		}
		b.address = map[int]netip.Addr{}
		for _, family := range families {
			if i == 0 || len(families) == 1 || r.IntN(2) == 0 ||
				family == families[len(families)-1] && len(b.address) == 0 {
				b.address[family] = map[int]netip.Addr{
					4: netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + r.IntN(40))}),
					6: netip.MustParseAddr(fmt.Sprintf("fd00::%x", 1+r.IntN(40))),
				}[family]
			}
		}
		fresh := !names[strings.ToLower(b.name)]
		for _, a := range b.address {
			fresh = fresh && !servers[fmt.Sprint(a, b.port)]
		}
		if !fresh {
			if i > 0 {
				continue
			}
		}
		names[strings.ToLower(b.name)] = true
		for _, a := range b.address {
			servers[fmt.Sprint(a, b.port)] = true
		}
		f.backends = append(f.backends, b)
	}
}

// randomWeight is of all sorts, but for maglev such that small tables will do.
func (f *ModelFarm) randomWeight(r *rand.Rand) int {
	if f.scheduler == "maglev" {
		return 1 + r.IntN(2)
	}
	return Pick(r, 1, 1, 1, 2, 3, 1+r.IntN(10), 1+r.IntN(100), 1000)
}

func (f *ModelFarm) randomSources(r *rand.Rand, families []int) {
	if f.mode != "snat" {
		return
	}
	f.source = map[int]string{}
	own := map[netip.Addr]string{} // backends with one address have one source
	for _, family := range families {
		if r.IntN(3) == 0 {
			f.source[family] = randomSource(r, family)
		}
		for i := range f.backends {
			b := &f.backends[i]
			a, ok := b.address[family]
			if !ok {
				continue
			}
			if _, ok := own[a]; !ok {
				own[a] = ""
				if r.IntN(4) == 0 {
					own[a] = randomSource(r, family)
				}
			}
			if own[a] != "" {
				if b.source == nil {
					b.source = map[int]string{}
				}
				b.source[family] = own[a]
			}
		}
	}
}

// randomSource is an address, or a range of up to three.
func randomSource(r *rand.Rand, family int) string {
	first, more := 1+r.IntN(3), Pick(r, 0, 0, 1, 2)
	text := func(n int) string { return fmt.Sprintf(map[int]string{4: "10.1.0.%d", 6: "fd01::%x"}[family], n) }
	if more == 0 {
		return text(first)
	}
	return text(first) + "-" + text(first+more)
}

// pooled is a source as an Outcome has it: all addresses of the range.
func pooled(source string) string {
	first, last, _ := strings.Cut(source, "-")
	all := []string{first}
	for a := netip.MustParseAddr(first); last != "" && a.String() != last; {
		a = a.Next()
		all = append(all, a.String())
	}
	return strings.Join(all, ",")
}

// A claim is a run of ports of one protocol and address that a farm serves.
type modelClaim struct {
	rank        int // the more particular first
	family      int
	address     netip.Addr
	bits        int  // of a network's prefix; 0: none
	whole       bool // takes every protocol
	protocol    string
	first, last int
}

// claims are all that the farm serves.
func (f ModelFarm) claims() []modelClaim {
	var out []modelClaim
	for _, l := range f.listens {
		for _, family := range l.families {
			c := modelClaim{family: family, address: l.address, bits: l.bits}
			if l.ports == nil {
				c.rank, c.whole = 3+l.networkRank(), true
				out = append(out, c)
				continue
			}
			for _, ports := range l.ports {
				for _, c.protocol = range l.protocols {
					c.rank, c.first, c.last = 1, ports[0], ports[1]
					if c.first < c.last {
						c.rank = 2
					}
					c.rank += l.networkRank()
					if !l.address.IsValid() {
						c.rank += 1000
					}
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// networkRank is the distance of a network's ranks from those of an address: longer prefixes come first.
func (l modelListen) networkRank() int {
	if l.bits == 0 {
		return 0
	}
	return 3 * (128 - l.bits)
}

// meets says whether two claims of one rank have a packet in common.
func (c modelClaim) meets(d modelClaim) bool {
	return c.rank == d.rank && c.family == d.family && c.address == d.address && c.protocol == d.protocol &&
		c.first <= d.last &&
		d.first <= c.last
}

// Meets reports whether two farms may be in conflict. Two farms with outgoing could have a backend in common.
func (f ModelFarm) Meets(g ModelFarm) bool {
	return f.outgoing != nil && g.outgoing != nil || f.ListensWith(g)
}

// ListensWith compares every claim on packets with every other: two farms listen on the same.
func (f ModelFarm) ListensWith(g ModelFarm) bool {
	return slices.ContainsFunc(f.claims(), func(c modelClaim) bool { return slices.ContainsFunc(g.claims(), c.meets) })
}

// serves gives the rank of the farm's most particular claim on the packet, 0 if it has none.
func (f ModelFarm) serves(p Packet) int {
	best := 0
	if f.down {
		return 0
	}
	for _, c := range f.claims() {
		if !c.takes(p) {
			continue
		}
		if best == 0 || c.rank < best {
			best = c.rank
		}
	}
	return best
}

func (c modelClaim) takes(p Packet) bool {
	if c.family != versionOf(p.Address) || c.address.IsValid() && !c.holds(p.Address) ||
		!c.address.IsValid() && (!p.ours || p.Address.IsLoopback()) {
		return false
	}
	return c.whole || c.protocol == p.protocol && c.first <= p.port && p.port <= c.last
}

func (c modelClaim) holds(a netip.Addr) bool {
	return c.address == a || c.bits > 0 && netip.PrefixFrom(c.address, c.bits).Contains(a)
}

func versionOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// Expected is the outcome that the farms promise for a packet, and the farm.
func Expected(farms []ModelFarm, p Packet) (Outcome, *ModelFarm) {
	var best *ModelFarm
	for i := range farms {
		if rank := farms[i].serves(p); rank > 0 && (best == nil || rank < best.serves(p)) {
			best = &farms[i]
		}
	}
	if best == nil || p.fromHere && !best.local {
		return Outcome{}, best
	}
	return best.promises(p), best
}

func (f *ModelFarm) promises(p Packet) Outcome {
	out := Outcome{Shares: map[netip.AddrPort]float64{}, Sources: map[netip.AddrPort]string{}, Mark: modelMarks[f.mark]}
	version, sum := versionOf(p.Address), 0
	if f.inside != nil && !p.fromHere && !slices.Contains(f.inside, p.Inside) {
		return Outcome{}
	}
	serving := f.serving(version)
	if b, ok := f.stays(p); ok {
		serving = []modelBackend{b}
	}
	for _, b := range serving {
		sum += b.weight
	}
	if sum == 0 {
		return Outcome{Refused: true}
	}
	for _, b := range serving {
		to := netip.AddrPortFrom(b.address[version], uint16(cmp.Or(b.port, f.moved(p.port))))
		out.Shares[to] += float64(b.weight) / float64(sum)
		out.Sources[to] = f.seenBy(b, p)
	}
	return out
}

// serving are the backends of the best levels: one, and one more for each backend of these that doesn't serve.
func (f *ModelFarm) serving(version int) []modelBackend {
	var all []modelBackend
	var levels []int
	for _, b := range f.backends {
		if b.address[version].IsValid() {
			all = append(all, b)
			levels = append(levels, b.rank)
		}
	}
	slices.Sort(levels)
	levels = slices.Compact(levels)
	for n := 1; ; n++ {
		var up []modelBackend
		missing := 0
		for _, b := range all {
			switch in := slices.Index(levels, b.rank) < n; {
			case in && b.state == "up":
				up = append(up, b)
			case in:
				missing++
			}
		}
		if n >= len(levels) || n >= 1+missing {
			return up
		}
	}
}

// seenBy is the source that a backend sees of the packet's connection.
func (f *ModelFarm) seenBy(b modelBackend, p Packet) string {
	version := versionOf(p.Address)
	switch {
	case f.mode == "dnat" && !matchesAny(f.hairpin, p.client):
		return ""
	case b.source[version] != "":
		return pooled(b.source[version])
	case f.source[version] != "":
		return pooled(f.source[version])
	}
	return "masquerade"
}

// packetClients are the clients of packets: some have static sessions, and one is in the networks of hairpin.
var packetClients = map[int][]string{
	4: {"198.51.100.7", "198.51.100.70", "198.51.100.200", "203.0.113.9", "10.0.0.7"},
	6: {"fd00::7", "2001:db8:c::7", "2001:db8:c::8", "2001:db8:c:1::1", "2001:db8:d::1"},
}

// Packets go to both ends of each range of ports and to the ports beside them, in all protocols, on the addresses of
// frontends and some others.
func Packets(r *rand.Rand, farms []ModelFarm, most int) []Packet {
	addresses := map[netip.Addr]bool{}
	for _, a := range []string{"192.0.2.99", "2001:db8::99", "127.0.0.1", "::1"} {
		addresses[netip.MustParseAddr(a)] = true
	}
	ports := map[int]bool{22222: true}
	for _, f := range farms {
		for _, c := range f.claims() {
			if c.address.IsValid() {
				addresses[c.address] = true
			}
			for _, port := range []int{c.first - 1, c.first, c.last, c.last + 1} {
				ports[max(1, min(port, 65535))] = true
			}
		}
	}
	known := map[int][]netip.AddrPort{
		4: {{}, netip.MustParseAddrPort("10.9.9.9:0")},
		6: {{}, netip.MustParseAddrPort("[fd09::9]:0")},
	}
	for _, f := range farms {
		for _, b := range f.backends {
			for version, a := range b.address {
				known[version] = append(known[version], netip.AddrPortFrom(a, uint16(b.port)))
			}
		}
	}
	for _, all := range known {
		slices.SortFunc(all, netip.AddrPort.Compare) // as the order of a map is not the seed's
	}
	byAddress := func(a, b netip.Addr) int { return a.Compare(b) }
	var out []Packet
	for _, a := range slices.SortedFunc(maps.Keys(addresses), byAddress) {
		for _, flags := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
			p := Packet{protocol: "icmp", Address: a, ours: flags[0], fromHere: flags[1]}
			if !p.fromHere {
				p.Inside = Pick(r, "eth0", "eth1", "eth2")
			}
			p.client = netip.MustParseAddr(Pick(r, packetClients[versionOf(a)]...))
			p.known = Pick(r, known[versionOf(a)]...)
			out = append(out, p)
			for _, p.port = range slices.Sorted(maps.Keys(ports)) {
				for _, p.protocol = range []string{"tcp", "udp", "sctp"} {
					out = append(out, p)
				}
			}
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(most, len(out))]
}

// A Setting is a line of a farm's files: the table where it stands, if any, the key and the value.
type Setting struct {
	Table, Key, Value string
}

// localByDefault reports whether the farm serves connections of this machine if no key says so.
func (f ModelFarm) localByDefault() bool {
	return f.inside == nil && !slices.ContainsFunc(slices.Concat(f.hashOn, f.persistOn), func(key string) bool {
		return strings.HasSuffix(key, "mac")
	})
}

// Settings are the farm as an administrator would write it; keys at their defaults may be left out.
func (f ModelFarm) Settings(r *rand.Rand) []Setting {
	var out []Setting
	say := func(table, key, value, usual string) {
		if value != usual || r.IntN(3) == 0 {
			out = append(out, Setting{table, key, value})
		}
	}
	var listens []string
	for _, l := range f.listens {
		listens = append(listens, l.text)
	}
	say("", "listen", listed(r, inAnyOrder(r, listens)), "")
	say("", "mode", strconv.Quote(f.mode), `"snat"`)
	say("", "state", map[bool]string{false: `"up"`, true: `"down"`}[f.down], `"up"`)
	say("", "scheduler", strconv.Quote(f.scheduler), strconv.Quote(cmp.Or(f.inherited, "random")))
	say("", "local-clients", strconv.FormatBool(f.local), strconv.FormatBool(f.localByDefault()))
	if f.hashOn != nil {
		say("", "hash-on", listed(r, inAnyOrder(r, f.hashOn)), "")
	}
	if f.TableSize != 0 {
		say("", "table-size", strconv.Itoa(f.TableSize), "")
	}
	if f.inside != nil {
		say("", "interfaces", listed(r, f.inside), "")
	}
	if f.mark != "" {
		say("", "mark", f.mark, "")
	}
	if len(f.source) > 0 {
		say("", "source-address", listed(r, inAnyOrder(r, sorted(f.source))), "")
	}
	if f.moves != nil {
		var moves []string
		for _, m := range f.moves {
			moves = append(moves, fmt.Sprintf("%q = %q", ports(m.first, m.last), ports(m.to, m.to+m.last-m.first)))
		}
		say("", "ports", "{ "+strings.Join(moves, ", ")+" }", "")
	}
	if f.hairpin != nil {
		say("", "hairpin", listed(r, inAnyOrder(r, f.hairpin)), "")
	}
	if f.outgoing != nil {
		say("", "outgoing", listed(r, inAnyOrder(r, f.outgoing)), "")
	}
	for _, key := range slices.Sorted(maps.Keys(f.timeouts)) {
		say("timeouts", key, strconv.Quote(f.timeouts[key]), "")
	}
	if r.IntN(3) == 0 {
		say("", "description", strconv.Quote(Pick(r, "a farm", "ein Hof; { drop }", "tcp dport 80 accept")), "")
	}
	if f.persistOn != nil {
		say("persistence", "timeout", `"90s"`, "")
		say("persistence", "on", listed(r, f.persistOn), `"source-address"`)
		if f.prefix != "" {
			say("persistence", "prefix", f.prefix, "")
		}
		if f.group != "" {
			say("persistence", "group", strconv.Quote(f.group), "")
		}
		if f.renew != "" {
			say("persistence", "renew", strconv.Quote(f.renew), "")
		}
		var sessions []string
		for client, backend := range f.static {
			sessions = append(sessions, fmt.Sprintf("%q = %q", client, backend))
		}
		slices.Sort(sessions)
		if len(sessions) > 0 {
			say("persistence", "static", "{ "+strings.Join(inAnyOrder(r, sessions), ", ")+" }", "")
		}
	}
	for _, b := range f.backends {
		table := "backends." + b.name
		say(table, "address", addressed(r, b.address), "")
		if b.port != 0 {
			say(table, "port", strconv.Itoa(b.port), "")
		}
		say(table, "priority", strconv.Itoa(b.rank), "1")
		say(table, "weight", strconv.Itoa(b.weight), "1")
		say(table, "state", strconv.Quote(b.state), `"up"`)
		if b.most > 0 {
			say(table, "connections", strconv.Itoa(b.most), "")
		}
		if len(b.source) > 0 {
			say(table, "source-address", listed(r, inAnyOrder(r, sorted(b.source))), "")
		}
	}
	return out
}

func inAnyOrder(r *rand.Rand, words []string) []string {
	out := slices.Clone(words)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func addressed(r *rand.Rand, by map[int]netip.Addr) string {
	words := map[int]string{}
	for family, a := range by {
		words[family] = a.String()
	}
	return listed(r, inAnyOrder(r, sorted(words)))
}

// sorted gives the words in the order of families, as the order of a map is not the seed's.
func sorted(by map[int]string) (out []string) {
	for _, family := range slices.Sorted(maps.Keys(by)) {
		out = append(out, by[family])
	}
	return out
}

// ports writes a port, or a range.
func ports(first, last int) string {
	if first == last {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// listed writes a list of strings; one alone needs no brackets.
func listed(r *rand.Rand, words []string) string {
	if len(words) == 1 && r.IntN(2) == 0 {
		return strconv.Quote(words[0])
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return "[" + strings.Join(quoted, Pick(r, ", ", ",", ",\n\t")) + "]"
}

// TomlText writes settings in any order and form.
func TomlText(r *rand.Rand, all []Setting) string {
	shuffled := slices.Clone(all)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	var top, below strings.Builder
	tables := map[string][]Setting{}
	var order []string
	for _, s := range shuffled {
		if tables[s.Table] == nil {
			order = append(order, s.Table)
		}
		tables[s.Table] = append(tables[s.Table], s)
	}
	for _, table := range order {
		var lines []string
		for _, s := range tables[table] {
			lines = append(lines, s.Key+Pick(r, " = ", "=", "  =\t")+s.Value)
		}
		switch form := r.IntN(4); {
		case table == "":
			top.WriteString(strings.Join(lines, "\n") + "\n")
		case form == 0:
			top.WriteString(table + "." + strings.Join(lines, "\n"+table+".") + "\n")
		case form == 1:
			top.WriteString(table + " = { " + strings.Join(lines, ", ") + " }\n")
		default:
			below.WriteString("[" + table + "]\n" + strings.Join(lines, "\n") + "\n")
		}
	}
	return top.String() + below.String()
}
