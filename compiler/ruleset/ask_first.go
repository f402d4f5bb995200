package ruleset

import (
	"cmp"
	"slices"

	"farmc/compiler/farm"
)

// Where farms of few kinds take their packets at one ingress, a base chain of its own asks the maps of their picks one
// after the other. Each packet saves the lookup of its kind. The chain is separate because nft 1.0.6 cannot add a rule
// on these maps after the load: the other base chain and its maps can change without it.

// maxAskedFirst is the number of kinds of a family up to which maps are asked first. With more of them a lookup of the
// kind is faster.
const maxAskedFirst = 2

// firstChain is the chain that asks first.
func (in *ingress) firstChain() string { return in.Name + "/first" }

// askFirst has the ingress ask the maps of its picks, and takes their frontends out of the maps that lead to chains.
// Logs come before the pick, and a request that is rewritten in prerouting must not meet a second pick.
func (l *linker) askFirst(in *ingress) {
	if len(in.Logs) > 0 || in.Slow || len(in.Devices) == 0 && l.needsDispatch(in) {
		return
	}
	general := slices.ContainsFunc(in.Maps, func(m *dispatchMap) bool { return m.Specificity != farm.ExactPort })
	for _, m := range in.Maps {
		names := l.firstPicks(m)
		if general { // it would take the packets that a pick leaves to the stack
			names = slices.DeleteFunc(names, func(v verdict) bool { return l.leavesPackets(v) })
		}
		if len(names) <= maxAskedFirst {
			m.elements.single = slices.DeleteFunc(m.elements.single, func(e element) bool {
				return slices.Contains(names, verdict(e.value))
			})
			for _, v := range names {
				l.addFirst(in, v.chain())
			}
		}
		l.askTablesFirst(in, m, len(names))
	}
	in.Maps = slices.DeleteFunc(in.Maps, func(m *dispatchMap) bool {
		if m.elements.size() == 0 {
			l.rules.remove(m.object)
		}
		return m.elements.size() == 0
	})
	if in.AsksFirst() {
		l.rules.add(newChain(in.firstChain(), in.place("").section, "ask-first").at(in.table()).with(in))
	}
}

// needsDispatch reports whether a map of the ingress has to be asked in any case.
func (l *linker) needsDispatch(in *ingress) bool {
	return slices.ContainsFunc(in.Maps, func(m *dispatchMap) bool {
		return len(l.firstPicks(m)) > maxAskedFirst || m.Specificity != farm.ExactPort ||
			slices.ContainsFunc(m.elements.single, func(e element) bool { return !l.canAskFirst(verdict(e.value)) })
	})
}

// firstPicks gives the verdicts of a map of exact ports that lead to picks which can be asked first. The pick of most
// frontends comes first, so one farm of a second kind costs the packets of other farms' open connections nothing.
func (l *linker) firstPicks(m *dispatchMap) (verdicts []verdict) {
	if m.Specificity != farm.ExactPort {
		return nil
	}
	frontends := map[verdict]int{}
	for _, e := range m.elements.single {
		v := verdict(e.value)
		if frontends[v]++; frontends[v] == 1 && l.canAskFirst(v) {
			verdicts = append(verdicts, v)
		}
	}
	slices.SortFunc(verdicts, func(a, b verdict) int {
		return cmp.Or(cmp.Compare(frontends[b], frontends[a]), cmp.Compare(a, b))
	})
	return verdicts
}

// canAskFirst reports whether the verdict leads to a pick that leaves packets alone which its maps lack.
func (l *linker) canAskFirst(v verdict) bool {
	forward, translation := l.sharedPicks(v.chain())
	switch {
	case translation != nil:
		return translation.Shared
	case forward != nil:
		return forward.leavesOthers()
	}
	return false
}

// joinReplies has the chain that asks first in prerouting let replies pass untracked, too, if no other chain in
// prerouting rewrites requests: so each packet passes one base chain less. Most packets are no SYN, so SYNs come last:
// they are counted, and dropped if they are forged.
func (l *linker) joinReplies() {
	in := l.onlyPrerouting()
	replies := dataOf[*replyMaps](&l.rules)
	if in == nil || len(in.Maps) > 0 || len(in.Translations) == 0 || len(replies) == 0 || len(replies[0].Direct) == 0 {
		return
	}
	in.Replies = replies[0]
	l.joinUntracked(in.Replies)
}

// onlyPrerouting gives the only chain in prerouting that rewrites requests; nil if there is none, or several.
func (l *linker) onlyPrerouting() *ingress {
	all := slices.DeleteFunc(slices.Clone(l.ingresses), func(in *ingress) bool { return !in.prerouting() })
	if len(all) != 1 || all[0].Slow {
		return nil
	}
	return all[0]
}

// Requests are the rules for all requests but SYNs, in a chain that lets replies pass.
func (in *ingress) Requests() []statelessRule {
	return in.rules(func(r *statelessRule) bool {
		r.NoSYN = r.Protocol == farm.TCP
		if r.Protocol == farm.UDP {
			r.Then = "stateless-loops"
		}
		return true
	})
}

// Opening are the rules for SYNs, in a chain that lets replies pass.
func (in *ingress) Opening() []statelessRule {
	return in.rules(func(r *statelessRule) bool {
		r.Then = "stateless-forged"
		return r.Protocol == farm.TCP
	})
}

// rules gives the rules of the translations that are wanted, changed.
func (in *ingress) rules(wanted func(*statelessRule) bool) (out []statelessRule) {
	for _, p := range in.Translations {
		for _, r := range p.Rules() {
			if wanted(&r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// AllFast reports whether all picks that are asked first look up the packet type with the frontend.
func (in *ingress) AllFast() bool {
	return len(in.Forwards) == 0 && !slices.ContainsFunc(in.Translations, func(p *statelessPick) bool {
		return p.Destination() != "destination-fast"
	})
}

// PassesOpen reports whether TCP packets that open no connection are handed on first, past the rules for others.
func (in *ingress) PassesOpen() bool {
	return in.OfTCP && len(in.Translations) == 0 && len(in.Forwards) > 0
}

// leavesPackets reports whether the verdict leads to a pick that leaves packets of its frontends to the stack.
func (l *linker) leavesPackets(v verdict) bool {
	_, translation := l.sharedPicks(v.chain())
	return translation != nil && translation.HasSlowPath
}

// sharedPicks gives the pick of a chain; both are nil if the chain is none of these.
func (l *linker) sharedPicks(chain string) (forward *dsrPick, translation *statelessPick) {
	for _, table := range TableFamilies {
		if o := l.rules.objects[objectID{table, KindChain, chain}]; o != nil {
			forward, _ = o.data.(*dsrPick)
			translation, _ = o.data.(*statelessPick)
		}
	}
	return forward, translation
}

// addChains adds the chains that maps lead to.
func addChains(chains map[string]bool, maps []*dispatchMap) {
	for _, m := range maps {
		for _, e := range m.elements.single {
			chains[verdict(e.value).chain()] = true
		}
	}
}

func (l *linker) addFirst(in *ingress, chain string) {
	forward, translation := l.sharedPicks(chain)
	if forward != nil {
		in.Forwards = append(in.Forwards, forward)
	}
	if translation != nil {
		in.Translations = append(in.Translations, translation)
	}
}

// removeUnusedPicks removes the chains of picks that no verdict leads to, because maps of their frontends are asked
// first only.
func (l *linker) removeUnusedPicks() {
	used, requested := map[string]bool{}, map[string]bool{}
	for _, in := range l.ingresses {
		addChains(requested, in.Maps)
		addChains(used, slices.Concat(in.Maps, in.Fragments, in.Errors))
	}
	l.removeUnusedTables(used, requested)
	for _, first := range dataOf[*ownAnswers](&l.rules) {
		used[first.Next.chain()] = true
	}
	for _, o := range l.rules.objects {
		switch p := o.data.(type) {
		case *dsrPick:
			if o.kind == KindChain && p.Shared && !p.Target && !used[p.Name] {
				l.rules.remove(o)
			}
		case *statelessPick:
			if o.kind == KindChain && p.Shared && !used[p.Name] {
				l.rules.remove(o)
			}
		}
	}
}
