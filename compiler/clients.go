package compiler

import (
	"fmt"
)

// clients are some that a packet's source can be looked up among by one rule: those of a set of networks of one length,
// of one network, or all.
type clients struct {
	Family  Family
	List    string // who says so: "@" and the list, inlineList or anybodyList
	Length  int    // of the networks in the set
	Set     string // "" without
	Network string // likewise
}

// anybodyList stands for all who are not allowed.
const anybodyList = "any"

// A clientSet is a set of networks of one length and family.
type clientSet struct {
	Name   string
	Family Family
	prefixSet
}

// mostRules is how many networks of a farm's own are rules. More of them are sets, of which each packet asks one for each
// length; but sets for each of many farms load slowly.
const mostRules = 16

// people gives the rules' words for clients. A list is one set for each length of its networks, however many farms name it.
func (l *linker) people(f *Farm, key string, p People, family Family) []clients {
	if p.Anybody {
		return []clients{{Family: family, List: anybodyList}}
	}
	var out []clients
	own := p.own(family)
	if networks := networksOf(own, family); len(networks) <= mostRules {
		out = networks
	} else {
		out = l.sets(ownName(f, key), inlineList, prefixSets(own, family), family)
	}
	for _, list := range p.lists {
		out = append(out, l.list(list, family)...)
	}
	return out
}

func networksOf(own []stretch, family Family) (out []clients) {
	for _, s := range own {
		s.blocks(family, func(first number, length int) {
			network := string(first.appendTo(nil, family))
			if length < family.width() {
				network += fmt.Sprintf("/%d", length)
			}
			out = append(out, clients{Family: family, List: inlineList, Network: network})
		})
	}
	return out
}

func (l *linker) list(a *addressList, family Family) []clients {
	known, ok := l.lists[a]
	if !ok {
		for _, family := range Families {
			known[family] = l.sets("list/"+a.name, "@"+a.name, a.sets(family), family)
		}
		l.lists[a] = known
	}
	return known[family]
}

// sets puts networks into sets.
func (l *linker) sets(name, list string, of []prefixSet, family Family) (out []clients) {
	for _, s := range of {
		set := clientSet{fmt.Sprintf("%s/%d-%s", name, s.Length, family.Suffix()), family, s}
		l.rules.people = append(l.rules.people, set)
		out = append(out, clients{Family: family, List: list, Length: s.Length, Set: set.Name})
	}
	return out
}

type clientSetView struct {
	clientSet
	view
}

// Room is the size of the set's hash table.
func (v clientSetView) Room() int { return roomFor(len(v.Firsts)) }

type clientsView struct {
	clients
	view
}

// Mask is what of an address tells its network, "" if all of it does.
func (v clientsView) Mask() string {
	width := v.clients.Family.width()
	if v.Length == width {
		return ""
	}
	ones := power(width - 1).minus(number{0, 1}).plus(power(width - 1))
	return ones.minus(power(width - v.Length)).plus(number{0, 1}).address(v.clients.Family).String()
}
