package compiler

import (
	"cmp"
	"fmt"
	"slices"
)

// link joins farms, valid alone, into one ruleset, and finds what is wrong between them.
func link(farms []*Farm, faults *Diagnostics) *ruleset {
	var all []door
	for _, f := range farms {
		all = append(all, f.doors()...)
	}
	slices.SortStableFunc(all, compareDoors)
	conflicts(all, faults)
	ambiguous(all, faults)
	if faults.Faulty() {
		return nil
	}
	l := linker{shapes: map[string]*choice{}, homes: map[string]*home{}, ciphers: map[*Farm]uint32{}, taken: map[uint32]bool{}, verdicts: map[string]*verdictMap{}, sources: map[string]bool{},
		dealt: map[dealt]dealing{}, faults: faults,
		forwards: map[string]bool{}, sharedForwards: map[string]*forward{}, placed: map[door]bool{}, translations: map[string]*translation{}, attendances: map[string]*attendance{}, escorts: map[string]*escort{}, escortHomes: map[string]*escortHome{},
		guards: map[string]string{}, lists: map[*addressList][len(Families)][]clients{}, counters: map[string]bool{},
		limiters: map[string]*limiter{}, memories: map[string]bool{}, allow: map[*Farm]*[len(Families)][]clients{}}
	l.guard(all)
	served := slices.DeleteFunc(all, func(d door) bool { return d.farm.Down })
	tracked := slices.DeleteFunc(slices.Clone(served), func(d door) bool { return slices.Contains(frames, d.farm.Mode) })
	l.serve(tracked)
	l.relieve(tracked)
	l.help(tracked)
	chosen := l.chosen(tracked)
	l.recall(chosen)
	l.mark(chosen)
	l.offload(chosen)
	l.dropInvalid(tracked)
	l.queue(tracked, chosen)
	l.hand(served)
	l.limit(served, tracked)
	l.readdress(served)
	l.log(tracked, chosen)
	l.logRequests(served)
	sortLogs(&l.rules)
	slices.SortFunc(l.rules.guards, func(a, b *guard) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.denials, func(a, b denial) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.counters, func(a, b counter) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.people, func(a, b clientSet) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.choices, func(a, b *choice) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.rings, func(a, b *ring) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.reliefs, func(a, b *relief) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(l.rules.counted, func(a, b countedBackend) int { return cmp.Compare(a.origin.Farm, b.origin.Farm) })
	slices.SortFunc(l.rules.homes, func(a, b *home) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.marks, func(a, b markChain) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.helpers, func(a, b helper) int { return cmp.Compare(a.Name(), b.Name()) })
	slices.SortFunc(l.rules.attendances, func(a, b *attendance) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.escorts, func(a, b *escort) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.ingressEscorts, func(a, b *escort) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.escortHomes, func(a, b *escortHome) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.ingressEscortHomes, func(a, b *escortHome) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.ingressPicks, func(a, b *choice) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.forwards, func(a, b *forward) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.translations, func(a, b *translation) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.ingressTranslations, func(a, b *translation) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.replyPorts, func(a, b replyPort) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.ingresses, func(a, b *ingress) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.sources, func(a, b *sourceChain) int { return cmp.Compare(a.Name, b.Name) })
	return &l.rules
}

type linker struct {
	rules    ruleset
	shapes   map[string]*choice // by name, of choices that stand
	homes    map[string]*home
	ciphers  map[*Farm]uint32
	taken    map[uint32]bool // the keys of backends whose connections are counted
	verdicts map[string]*verdictMap
	sources  map[string]bool
	dealt    map[dealt]dealing
	faults   *Diagnostics

	slots        int             // of all maps
	forwards     map[string]bool // by name, of chains that stand
	translations map[string]*translation
	attendances  map[string]*attendance
	escorts      map[string]*escort
	escortHomes  map[string]*escortHome

	sharedForwards map[string]*forward
	placed         map[door]bool // in maps that farms without connection tracking share
	datagrams      map[datagram]*Farm
	fragments      map[*ingress][]door // whose later fragments are led
	fragmented     map[dealt]bool      // whose are, by farm and family

	guards   map[string]string                         // the names of chains that stand, "" of those that have nothing to say
	lists    map[*addressList][len(Families)][]clients // those that are written
	counters map[string]bool
	allow    map[*Farm]*[len(Families)][]clients
	limiters map[string]*limiter // by name, of those that stand
	memories map[string]bool     // likewise, and the chains that fill them
}

// serve leads every door to the chain that chooses a backend, and those of farms that serve what this machine opens
// itself a second time, for that.
func (l *linker) serve(doors []door) {
	chains := make([]string, len(doors))
	local := make([]string, len(doors))
	for i, d := range doors {
		if d.farm.Mode != Local {
			chains[i] = l.chooser(d)
		}
		if d.farm.LocalClients {
			local[i] = chains[i]
		}
	}
	l.leadThese(&l.rules.prerouting, "", doors, chains)
	l.leadThese(&l.rules.output, "local-", doors, local)
}

// chosen gives the doors of farms whose backend can be chosen, as connections show them then. That one came in by a door
// on every address of this machine shows in its port and in its backend: anybody else may have translated the port.
func (l *linker) chosen(doors []door) []door {
	var out []door
	for _, d := range doors {
		backends := l.deal(d.farm, d.family).takes
		if len(backends) > 0 && d.level < anyPortLevel {
			out = append(out, d)
			continue
		}
		for i, b := range backends {
			d.backend = b.Address[d.family]
			if !slices.ContainsFunc(backends[:i], func(o Backend) bool { return o.Address[d.family] == d.backend }) {
				out = append(out, d)
			}
		}
	}
	return out
}

// recall leads connections whose backend is chosen by then to the chain that chooses their source.
func (l *linker) recall(chosen []door) {
	l.leadSome(&l.rules.postrouting, "source-", chosen, func(d door) string {
		if d.farm.Mode != SNAT {
			return ""
		}
		return l.source(d.farm, d.family)
	})
}

// leadSome leads those doors for which there is a chain to it. The others stand among them where a more general door
// would catch what is theirs: the more particular wins.
func (l *linker) leadSome(to *[]*verdictMap, prefix string, doors []door, chain func(door) string) {
	var chains []string // none of most kinds
	for i, d := range doors {
		if c := chain(d); c != "" {
			if chains == nil {
				chains = make([]string, len(doors))
			}
			chains[i] = c
		}
	}
	if chains != nil {
		l.leadThese(to, prefix, doors, chains)
	}
}

// leadThese is leadSome where the chains are known.
func (l *linker) leadThese(to *[]*verdictMap, prefix string, doors []door, chains []string) {
	var general [len(Families)]level // the most general level of a door that is led
	led := false
	for i, d := range doors {
		if chains[i] != "" {
			led = true
			general[d.family] = max(general[d.family], d.level)
		}
	}
	if !led {
		return
	}
	for i, d := range doors {
		switch {
		case chains[i] != "":
			l.lead(to, prefix, d, verdictTo(chains[i]))
		case d.level < general[d.family]:
			l.lead(to, prefix, d, "accept")
		}
	}
}

// lead adds a door to the map of its level and family, and gives that.
func (l *linker) lead(to *[]*verdictMap, prefix string, d door, verdict string) *verdictMap {
	name := prefix + d.kind() + "-" + d.family.Suffix()
	m := l.verdicts[name]
	if m == nil {
		m = &verdictMap{Name: name, Level: d.level, Family: d.family, Chosen: d.backend.IsValid()}
		if d.compared {
			m.Compared = d.ports
		}
		l.verdicts[name] = m
		*to = append(*to, m)
	}
	m.Elements = append(m.Elements, mapElement{d.key(), verdict, d.origin(), true})
	if d.protocol != "" && !slices.Contains(m.Protocols, d.protocol) {
		m.Protocols = append(m.Protocols, d.protocol)
	}
	return m
}

var levelNames = [levels]string{"services", "ranges", "addresses", "any-services", "any-ranges", "fragments"}

// kind is what doors have in common that stand in one map, in the names of maps.
func (d door) kind() string {
	if d.compared {
		return levelNames[d.level] + "/" + d.ports.String()
	}
	return levelNames[d.level]
}

// key is the door in the words of the map of its level.
func (d door) key() string {
	switch {
	case d.quoted:
		return d.quotedKey()
	case d.compared, d.level == fragmentLevel:
		return string(d.protocol) + " . " + d.address.String()
	}
	switch d.level {
	case addressLevel:
		return d.address.String()
	case anyPortLevel, anyRangeLevel:
		if d.backend.IsValid() {
			return string(d.protocol) + " . " + d.ports.String() + " . " + d.backend.String()
		}
		return string(d.protocol) + " . " + d.ports.String()
	}
	return string(d.protocol) + " . " + d.address.String() + " . " + d.ports.String()
}

// quotedKey is the door as an ICMP error quotes it, in the words of raw payload.
func (d door) quotedKey() string {
	if d.level == addressLevel {
		return rawAddress(d.address)
	}
	return fmt.Sprintf("%d . %s . %s", d.protocol.number(), rawAddress(d.address), d.ports)
}

func (d door) origin() *Origin {
	return &Origin{Farm: d.farm.Name, Key: "listen", Place: d.listen.Place}
}

func (b Backend) origin(f *Farm) *Origin {
	return &Origin{Farm: f.Name, Key: "backends." + b.Name, Place: b.Place}
}

func ownName(f *Farm, part string) string { return "farm/" + f.Name + "/" + part }
