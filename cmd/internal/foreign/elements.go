package foreign

import (
	"bytes"
	"context"
	"slices"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

type setID struct {
	chainID
	set string
}

// A set is a set, or a map.
type set struct {
	elements []element
	index    map[string]element // by key, unless the set holds ranges
	ranges   bool               // the set holds ranges
	size     int                // of a key
	others   *element           // for all other keys (*); nil: none
}

// An element is an element of a set. A set of ranges has two for each range: the start, and an end that is not part of
// it. A range up to the largest key has no end.
type element struct {
	key     []byte
	isEnd   bool
	verdict verdict
	data    []byte // of a map to data
}

// elements returns a set or a map; nil for large ones, for sets with elements that come and go by themselves, for sets
// with ranges of several fields, and for sets that the kernel does not tell.
func (r *Ruleset) elements(ctx context.Context, table chainID, name string) *set {
	id := setID{chainID{table.family, table.table, ""}, name}
	if cached, ok := r.sets[id]; ok {
		return cached
	}
	r.sets[id] = readSet(ctx, id)
	return r.sets[id]
}

// The number of messages of a set's elements that are read at most. A message has 100 elements and more. Rules look up
// interfaces, ports and own addresses in small named sets; large ones have the addresses of clients.
const (
	maxAnswers       = 100
	maxNamedAnswers  = 10
	maxNamedElements = 1000
)

func readSet(ctx context.Context, id setID) *set {
	sets, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETSET, 0, id.family,
		nl.NewRtAttr(unix.NFTA_SET_TABLE, nl.ZeroTerminated(id.table)),
		nl.NewRtAttr(unix.NFTA_SET_NAME, nl.ZeroTerminated(id.set)))
	if err != nil || len(sets) == 0 || !isReadable(sets[0].Attributes) {
		return nil
	}
	answers, err := nfnetlink.QueryUpTo(ctx, answersOf(sets[0].Attributes), nfnetlink.NewRequest(
		unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, id.family,
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated(id.table)),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(id.set))))
	if err != nil {
		return nil
	}
	s := &set{ranges: sets[0].Number(unix.NFTA_SET_FLAGS)&unix.NFT_SET_INTERVAL != 0,
		size: int(sets[0].Number(unix.NFTA_SET_KEY_LEN)), index: map[string]element{}}
	for _, a := range answers {
		for _, e := range nfnetlink.List(a.Attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS]) {
			a := nfnetlink.Parse(e)
			if a[nfnetlink.SetElementKeyEnd] != nil {
				return nil
			}
			s.add(readElement(a))
		}
	}
	if len(s.elements) > maxNamedElements && !isPartOfRules(sets[0].Attributes) {
		return nil
	}
	return s
}

// add adds an element. One without a key is for all other keys.
func (s *set) add(e element) {
	if e.key == nil {
		s.others = &e
		return
	}
	s.elements = append(s.elements, e)
	s.index[string(e.key)] = e
}

// isReadable reports whether a set is anonymous, a verdict map, or a set whose elements stay. Elements with a timeout,
// and those that rules add, are usually clients.
func isReadable(a nfnetlink.Attributes) bool {
	return isPartOfRules(a) ||
		a.Number(unix.NFTA_SET_FLAGS)&(unix.NFT_SET_MAP|unix.NFT_SET_TIMEOUT|unix.NFT_SET_EVAL) == 0
}

// isPartOfRules reports whether a set is anonymous or a verdict map.
func isPartOfRules(a nfnetlink.Attributes) bool {
	return a.Number(unix.NFTA_SET_FLAGS)&unix.NFT_SET_ANONYMOUS != 0 ||
		a.Number(unix.NFTA_SET_DATA_TYPE) == unix.NFT_DATA_VERDICT
}

func answersOf(a nfnetlink.Attributes) int {
	if isPartOfRules(a) {
		return maxAnswers
	}
	return maxNamedAnswers
}

func readElement(a nfnetlink.Attributes) element {
	flags := a.Number(unix.NFTA_SET_ELEM_FLAGS)
	return element{a.Value(unix.NFTA_SET_ELEM_KEY), flags&unix.NFT_SET_ELEM_INTERVAL_END != 0,
		readVerdict(a[unix.NFTA_SET_ELEM_DATA]), a.Value(unix.NFTA_SET_ELEM_DATA)}
}

// find looks up a key.
func (s *set) find(key value) (result truth, found element) {
	switch {
	case s.ranges:
		result, found = s.findRange(key)
	case key.isKnown():
		result, found = s.findKey(key.data)
	default:
		result, found = s.scan(key)
	}
	if result == no && s.others != nil {
		return yes, *s.others
	}
	return result, found
}

func (s *set) findKey(key []byte) (truth, element) {
	e, ok := s.index[string(key)]
	return truthOf(ok), e
}

// scan looks up a key of which not all is known.
func (s *set) scan(key value) (truth, element) {
	for _, e := range s.elements {
		if key.equals(e.key) != no {
			return maybe, element{}
		}
	}
	return no, element{}
}

// possible are the different verdicts of a map for a key of which not all is known.
func (s *set) possible(key value) (all []verdict) {
	for _, e := range s.elements {
		if (s.ranges || key.equals(e.key) != no) && !slices.Contains(all, e.verdict) {
			all = append(all, e.verdict)
		}
	}
	if s.others != nil && !slices.Contains(all, s.others.verdict) {
		all = append(all, s.others.verdict)
	}
	return all
}

// findRange finds the last start or end that is not beyond the key. One range can begin where another one ends.
func (s *set) findRange(key value) (truth, element) {
	var last element
	for _, e := range s.elements {
		sign, isKnown := key.compare(e.key)
		if !isKnown {
			return maybe, element{}
		}
		larger := bytes.Compare(e.key, last.key)
		if sign >= 0 && (last.key == nil || larger > 0 || larger == 0 && !e.isEnd) {
			last = e
		}
	}
	return truthOf(last.key != nil && !last.isEnd), last
}
