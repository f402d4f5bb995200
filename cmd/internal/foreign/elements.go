package foreign

import (
	"bytes"
	"context"
	"strings"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

type setID struct {
	chainID
	set string
}

// A set is an anonymous set or verdict map.
type set struct {
	elements []element
	ranges   bool // the set holds ranges
	size     int  // of a key
}

// An element is an element of a set. A set of ranges has two for each range: the start, and an end that is not part of
// it. A range up to the largest key has no end.
type element struct {
	key     []byte
	isEnd   bool
	verdict verdict
}

// elements returns an anonymous set; nil for other sets, for sets with ranges of several fields, and for those that the
// kernel does not tell.
func (r *Ruleset) elements(ctx context.Context, table chainID, name string) *set {
	if !strings.HasPrefix(name, "__") {
		return nil
	}
	id := setID{chainID{table.family, table.table, ""}, name}
	if cached, ok := r.sets[id]; ok {
		return cached
	}
	r.sets[id] = readSet(ctx, id)
	return r.sets[id]
}

func readSet(ctx context.Context, id setID) *set {
	sets, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETSET, 0, id.family,
		nl.NewRtAttr(unix.NFTA_SET_TABLE, nl.ZeroTerminated(id.table)),
		nl.NewRtAttr(unix.NFTA_SET_NAME, nl.ZeroTerminated(id.set)))
	if err != nil || len(sets) == 0 {
		return nil
	}
	answers, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, id.family,
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated(id.table)),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(id.set)))
	if err != nil {
		return nil
	}
	s := &set{ranges: sets[0].Number(unix.NFTA_SET_FLAGS)&unix.NFT_SET_INTERVAL != 0,
		size: int(sets[0].Number(unix.NFTA_SET_KEY_LEN))}
	for _, a := range answers {
		for _, e := range nfnetlink.List(a.Attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS]) {
			a := nfnetlink.Parse(e)
			if a[nfnetlink.SetElementKeyEnd] != nil {
				return nil
			}
			s.elements = append(s.elements, readElement(a))
		}
	}
	return s
}

func readElement(a nfnetlink.Attributes) element {
	flags := a.Number(unix.NFTA_SET_ELEM_FLAGS)
	return element{a.Value(unix.NFTA_SET_ELEM_KEY), flags&unix.NFT_SET_ELEM_INTERVAL_END != 0,
		readVerdict(a[unix.NFTA_SET_ELEM_DATA])}
}

// find looks up a key.
func (s *set) find(key value) (truth, verdict) {
	if s.ranges {
		return s.findRange(key)
	}
	result := no
	for _, e := range s.elements {
		switch key.equals(e.key) {
		case yes:
			return yes, e.verdict
		case maybe:
			result = maybe
		}
	}
	return result, verdict{}
}

// findRange finds the last start or end that is not beyond the key. One range can begin where another one ends.
func (s *set) findRange(key value) (truth, verdict) {
	var last element
	for _, e := range s.elements {
		sign, isKnown := key.compare(e.key)
		if !isKnown {
			return maybe, verdict{}
		}
		larger := bytes.Compare(e.key, last.key)
		if sign >= 0 && (last.key == nil || larger > 0 || larger == 0 && !e.isEnd) {
			last = e
		}
	}
	return truthOf(last.key != nil && !last.isEnd), last.verdict
}
