package ruleset

import (
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// A table of maglev is large, so farms with the same backends share it, and a frame looks up its farm first. While all
// tables are few, each frontend has the slots of its table in a map of its kind, which the base chain asks first, as it
// does for scheduler hash (see ask_first.go). Then a frame saves the lookup of its farm and the jump to a chain, 400
// instructions of 1,800. Weights that hardly divide come to tables as large, and are treated alike.
//
// Later fragments and ICMP errors keep the table without frontends: they are few, and need no second copy of the slots.
// So does IPv6, where a hash is too wide for a key and would go through the packet mark.

// maxTableSlots is the number of slots up to which tables stand in maps once for each of their frontends, in all farms
// together. For so many, with as many counters, nft 1.0.6 takes 1.3 s of a processor; for a table that they share, it
// takes 0.1 s.
const maxTableSlots = 1 << 15

// askTablesFirst has the ingress ask the maps of tables, after the picks of a map that are asked first anyway, and
// takes their frontends out of the map. A third lookup would be slower than one of the kind, and picks of mode
// stateless would come later than without the tables. A base chain for the tables alone would cost each frame of IPv6
// 500 instructions.
func (l *linker) askTablesFirst(in *ingress, m *dispatchMap, picks int) {
	if !in.AsksFirst() && in.has(addr.IP6) {
		return
	}
	tables := l.tablesOf(in, m)
	kinds, rules := l.tableKinds(tables)
	if picks+rules > maxAskedFirst || len(in.Translations) > 0 || !l.hasRoom(tables) {
		return
	}
	keys := make(map[string]bool, len(tables))
	for _, d := range tables {
		l.sharedDSRPick(d, l.assignment(d))
		keys[d.key()] = true
	}
	m.elements.single = slices.DeleteFunc(m.elements.single, func(e element) bool { return keys[e.key] })
	for _, chain := range kinds {
		l.addFirst(in, chain)
	}
}

// has reports whether farms take packets of the family here.
func (in *ingress) has(family addr.Family) bool {
	return slices.ContainsFunc(in.Maps, func(m *dispatchMap) bool { return m.Family == family })
}

// tablesOf gives the frontends of a map which lead to tables that can be asked first.
func (l *linker) tablesOf(in *ingress, m *dispatchMap) []frontend {
	if m.Family != addr.IP4 || m.Specificity != farm.ExactPort {
		return nil
	}
	return selected(in.met, func(d *frontend) bool {
		return d.Family == m.Family && d.Specificity == m.Specificity && in.takes(d.farm) && d.farm.Mode == farm.DSR &&
			d.farm.Persistence == nil && l.isTable(*d)
	})
}

// isTable reports whether the frontend has a table that a base chain can ask.
func (l *linker) isTable(d frontend) bool {
	a := l.assignment(d)
	if len(a.slots) == 0 || d.sharesDSRPick(a) || !d.hashesAlone() {
		return false
	}
	return l.sharedDSR(d, a).leavesOthers()
}

// tableKinds gives the chains of the kinds of tables, by name, and the number of their rules.
func (l *linker) tableKinds(tables []frontend) (chains []string, rules int) {
	for _, d := range tables {
		if p := l.sharedDSR(d, l.assignment(d)); !slices.Contains(chains, p.Name) {
			chains, rules = append(chains, p.Name), rules+len(p.Steps)
		}
	}
	slices.Sort(chains)
	return chains, rules
}

// hasRoom reports whether the frontends can have slots of their own, beside those of other frontends that have some.
func (l *linker) hasRoom(tables []frontend) bool {
	sum := 0
	for _, d := range tables {
		if !l.added[d] {
			sum += len(l.assignment(d).slots)
		}
	}
	if l.tableSlots+sum > maxTableSlots || l.slots+sum > slots.Max {
		return false
	}
	l.tableSlots += sum
	return true
}

// removeUnusedTables removes the counts of chains of tables that no request is led to, the chains that no frame is led
// to, and the maps that no chain asks then.
func (l *linker) removeUnusedTables(used, requested map[string]bool) {
	asked := map[*dsrMap]bool{}
	for _, p := range dataOf[*dsrPick](&l.rules) {
		if p.Shared || p.Target {
			continue
		}
		if p.newSet != nil && !requested[p.Name] {
			l.rules.remove(p.newSet.object)
			p.newSet = nil
		}
		if !used[p.Name] {
			l.rules.remove(dsrChain(p.Name, ""))
			continue
		}
		for _, s := range p.Steps {
			asked[s.Map] = true
		}
	}
	for _, m := range dataOf[*dsrMap](&l.rules) {
		if p := m.Pick; m.kind == KindMap && !p.Shared && !p.Target && !asked[m] {
			l.rules.remove(m.object)
		}
	}
}
