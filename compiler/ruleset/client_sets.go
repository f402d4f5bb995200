package ruleset

import (
	"fmt"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A clients is a group of clients that one rule can look up a packet's source among: a set of networks of one length,
// one network, or all clients.
type clients struct {
	Family  addr.Family
	List    string // the list that names them: "@" and its name, InlineList, or anyList
	Length  int    // of the networks in the set
	Set     string // "": none
	Network string // "": none
}

// anyList stands for all clients that are not allowed.
const anyList = "any"

// maxNetworkRules is the number of a farm's own networks up to which they are rules. More of them are sets, of which
// each packet asks one for each length; but sets for each of many farms load slowly.
const maxNetworkRules = 16

// clients gives the groups of the clients that a farm allows or denies. A list is one set for each length of its
// networks, however many farms name it.
func (l *linker) clients(s *service, key string, p farm.ClientList, family addr.Family) []clients {
	of := clientsOf{s, key, family}
	if _, known := l.clientGroups[of]; !known {
		l.clientGroups[of] = l.newClients(s, key, p, family)
	}
	return l.clientGroups[of]
}

// clientsOf is the key of the cache of groups: the clients that a farm allows or denies.
type clientsOf struct {
	farm   *service
	key    string
	family addr.Family
}

func (l *linker) newClients(s *service, key string, p farm.ClientList, family addr.Family) (out []clients) {
	if p.Any {
		return []clients{{Family: family, List: anyList}}
	}
	own := p.Ranges(family)
	if networks := networkRules(own, family); len(networks) <= maxNetworkRules {
		out = networks
	} else {
		out = l.clientSets(s.ownName(key), farm.InlineList, addr.PrefixSets(own, family), family)
	}
	for _, list := range p.Lists {
		out = append(out, l.clientSets("list/"+list.Name, "@"+list.Name, list.Sets(family), family)...)
	}
	return out
}

func networkRules(own []addr.Range, family addr.Family) (out []clients) {
	for _, s := range own {
		s.EachPrefix(family, func(first addr.Number, length int) {
			network := string(first.AppendTo(nil, family))
			if length < family.Width() {
				network += fmt.Sprintf("/%d", length)
			}
			out = append(out, clients{Family: family, List: farm.InlineList, Network: network})
		})
	}
	return out
}

// A clientSet is a set of networks of one length, by their first addresses. (One interval set of all lengths would be
// read back by every call of nft on the machine, which takes 20 s with 500,000 networks.)
type clientSet struct {
	*object
	Family addr.Family
}

// clientSets adds a set for each length of networks.
func (l *linker) clientSets(name, list string, of []addr.PrefixSet, family addr.Family) (out []clients) {
	for _, networks := range of {
		set := fmt.Sprintf("%s/%d-%s", name, networks.Length, family.Suffix())
		o := newSet(set, clientSetSection, "client-set")
		obtain(&l.rules, o, func() *clientSet {
			o.elements.networks = addressLines{networks.Firsts, family}
			return &clientSet{o, family}
		})
		out = append(out, clients{Family: family, List: list, Length: networks.Length, Set: set})
	}
	return out
}

// Mask is the bits of an address that identify its network; "" if all of them do.
func (c clients) Mask() string {
	if c.Length == c.Family.Width() {
		return ""
	}
	return mask(c.Family, c.Length).String()
}
