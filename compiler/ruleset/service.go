package ruleset

import (
	"cmp"
	"net/netip"
	"sort"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A service is a farm with everything that follows from the farm alone, kept from one script to the next.
type service struct {
	*farm.Farm
	frontends   []frontend
	assignments [len(addr.Families)]*slotAssignment
	slotNumbers [len(addr.Families)]int // 0: not known yet, or none
	ofBackends  []diag.Origin           // of the farm's backends, which are in the order of their names; nil: not made
	pieces      [pieceKinds][]*piece    // by the numbers of frontends
	replies     []*replySources         // by the numbers of frontends
	origins     []*diag.Origin          // by the numbers of frontends
	keys        []string                // by the numbers of frontends
	lines       [][]element             // by the numbers of frontends, for each value
	traits      [len(addr.Families)]traits
	prepared    bool
	sharing     socketSharing

	kind      int // see plainKind
	kindKnown bool
	takenIn   int   // the round of Services in which the elements are taken over from the last script
	ranks     []int // by the numbers of frontends: their places among all frontends of the script in progress

	commonRoutes [len(addr.Families)]commonRoute

	ingressDevices []string // of devices

	slow   *service // takes the requests that the ingress leaves to the stack, see slow_path.go; nil: it takes all
	slowAt []string // of a service that is the slow path of another one: the interfaces of that one
}

// newService wraps a farm.
func newService(f *farm.Farm) *service {
	s := &service{Farm: f, ingressDevices: devicesOf(f)}
	s.slow = s.slowPath()
	all := f.Frontends()
	s.frontends = make([]frontend, len(all))
	s.origins, s.ranks = make([]*diag.Origin, len(all)), make([]int, len(all))
	for i, d := range all {
		s.frontends[i] = frontend{Frontend: d, farm: s, number: i}
		s.origins[i] = &diag.Origin{Farm: f.Name, Key: "listen", Place: d.Listen.Place}
	}
	return s
}

// without gives the service without the parts that depend on absent interfaces.
func (s *service) without(absent func(device string) bool, told *diag.Diagnostics) *service {
	if f := s.Farm.Without(absent, told); f != s.Farm {
		return newService(f)
	}
	return s
}

// traits are what features ask of all farms, of the backends of one family. To look at 100,000 backends again for each
// feature takes most of its time.
type traits struct {
	known          bool
	limitsBackends bool // some have a limit of connections
	marksBackends  bool // some have a mark
	ownSources     bool // some have a source address of their own
	twoStep        bool // see twoStep
}

// traitsOf gives the traits of a family, which are found once.
func (s *service) traitsOf(family addr.Family) *traits {
	t := &s.traits[family]
	if !t.known {
		*t = traits{known: true, limitsBackends: s.findsLimits(family), marksBackends: s.findsMarks(family),
			ownSources: s.findsSources(family)}
		t.twoStep = s.Persistence != nil || t.limitsBackends || s.movesInTwoSteps(family) || s.movesSlots()
	}
	return t
}

// prepare renders the elements that nearly every compile needs. It runs for many farms at once.
func (s *service) prepare() {
	s.prepared = true
	if s.Down || !s.Tracked() {
		return
	}
	if len(s.frontends) > 0 && s.dropsInvalid() { // further frontends often have the same backends
		s.frontends[0].piece(invalidPiece, s.frontends[0].invalidElements)
	}
	for _, d := range s.frontends {
		if d.sharedSlots() > 0 {
			d.piece(slotPiece, func() []element { return d.slotElements(s.assign(d.Family)) })
		}
	}
}

// sharedSlots is the number of slots in pieces that prepare renders.
func (s *service) sharedSlots() (sum int) {
	if s.Down || !s.Tracked() {
		return 0
	}
	for _, d := range s.frontends {
		sum += d.sharedSlots()
	}
	return sum
}

// sharedSlots is the number of the frontend's slots in a map that farms share; 0 if there are too many to share it.
func (d frontend) sharedSlots() int {
	if !d.sharesPick() || d.farm.twoStep(d.Family) {
		return 0
	}
	if n := d.farm.slotNumber(d.Family); n <= maxSharedSlots {
		return n
	}
	return 0
}

// A frontend is a farm's frontend on its way to keys of sets and maps.
type frontend struct {
	farm.Frontend
	farm   *service
	number int // among the farm's frontends

	backend  netip.Addr // of a connection to every address of this machine: tells it from the NAT of other programs
	quoted   bool       // the key is looked up in the packet that an ICMP error quotes
	compared bool       // rules compare the ports, so the key lacks them
	fragment bool       // the key is one of later fragments, which have no ports
	lean     bool       // its slots stand in maps of one protocol, whose keys lack the protocol
}

// piece gives the frontend's rendered elements, which are made once.
func (d frontend) piece(kind pieceKind, elements func() []element) *piece {
	of := &d.farm.pieces[kind]
	if *of == nil {
		*of = make([]*piece, len(d.farm.frontends))
	}
	if (*of)[d.number] == nil {
		(*of)[d.number] = newPiece(elements())
		(*of)[d.number].owner = owner{d.farm, d.number}
	}
	return (*of)[d.number]
}

// A replySources is the addresses and ports that replies to a frontend come from.
type replySources struct {
	sockets []netip.AddrPort // of replies from single ports, in the order of the backends
	ranged  []farm.Reply     // from ranges of ports
}

// replySources gives the sources of the replies to the frontend, which are made once.
func (d *frontend) replySources() *replySources {
	s := d.farm
	if s.replies == nil {
		s.replies = make([]*replySources, len(s.frontends))
	}
	if s.replies[d.number] == nil {
		s.replies[d.number] = newReplySources(d.Replies())
	}
	return s.replies[d.number]
}

func newReplySources(all []farm.Reply) *replySources {
	out := &replySources{}
	for _, r := range all {
		if r.Ports.Single() {
			out.sockets = append(out.sockets, netip.AddrPortFrom(r.Address, r.Ports.First))
		} else {
			out.ranged = append(out.ranged, r)
		}
	}
	return out
}

// origin is the origin of the frontend's elements.
func (d frontend) origin() *diag.Origin { return d.farm.origins[d.number] }

// backendOrigin is the origin of elements that stand for a backend. All elements of a backend share it: 100,000
// backends have 300,000 elements.
func (s *service) backendOrigin(b farm.Backend) *diag.Origin {
	if s.ofBackends == nil {
		s.ofBackends = make([]diag.Origin, len(s.Backends))
		for i := range s.Backends {
			of := &s.Backends[i]
			s.ofBackends[i] = diag.Origin{Farm: s.Name, Key: "backends." + of.Name, Place: of.Place}
		}
	}
	i, _ := sort.Find(len(s.Backends), func(i int) int { return cmp.Compare(b.Name, s.Backends[i].Name) })
	return &s.ofBackends[i]
}

// backendElement is an element that stands for a backend.
func (s *service) backendElement(b farm.Backend, key, value string) element {
	return element{key: key, value: value, origin: s.backendOrigin(b)}
}

// ownName is the name of an object that belongs to one farm.
func (s *service) ownName(part string) string { return ownName(s.Name, part) }

func ownName(farm, part string) string { return "farm/" + farm + "/" + part }
