package foreign

import (
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

// An element is an element of an anonymous set or verdict map. An interval set has two for each range: the start, and
// an end that is not part of it.
type element struct {
	key     []byte
	isEnd   bool
	verdict verdict
}

// elements returns the elements of an anonymous set. The elements of other sets are not read.
func (r *Ruleset) elements(ctx context.Context, table chainID, set string) (all []element, isKnown bool) {
	if !strings.HasPrefix(set, "__") {
		return nil, false
	}
	id := setID{chainID{table.family, table.table, ""}, set}
	if cached, ok := r.sets[id]; ok {
		return cached, cached != nil
	}
	r.sets[id] = nil
	answers, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, table.family,
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated(table.table)),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(set)))
	if err != nil {
		return nil, false
	}
	for _, a := range answers {
		for _, e := range nfnetlink.List(a.Attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS]) {
			a := nfnetlink.Parse(e)
			if a[nfnetlink.SetElementKeyEnd] != nil { // of ranges of several fields
				return nil, false
			}
			all = append(all, readElement(a))
		}
	}
	r.sets[id] = all
	return all, all != nil
}

func readElement(a nfnetlink.Attributes) element {
	flags := a.Number(unix.NFTA_SET_ELEM_FLAGS)
	return element{a.Value(unix.NFTA_SET_ELEM_KEY), flags&unix.NFT_SET_ELEM_INTERVAL_END != 0,
		readVerdict(a[unix.NFTA_SET_ELEM_DATA])}
}

// find looks up a key. In an interval set it is undecided unless the key is an address or port that is known.
func find(all []element, key func(size int) value) (truth, verdict) {
	result, best := no, element{}
	intervals := false
	for _, e := range all {
		intervals = intervals || e.isEnd
	}
	for _, e := range all {
		v := key(len(e.key))
		if intervals {
			sign, isKnown := v.compare(e.key)
			if !isKnown {
				return maybe, verdict{}
			}
			if larger, _ := known(e.key).compare(best.key); sign >= 0 && (best.key == nil || larger >= 0) {
				best = e
				result = truthOf(!e.isEnd)
			}
			continue
		}
		switch v.equals(e.key) {
		case yes:
			return yes, e.verdict
		case maybe:
			result = maybe
		}
	}
	if result == maybe {
		return maybe, verdict{}
	}
	return result, best.verdict
}
