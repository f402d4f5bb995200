package nft

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Holding is what the kernel holds of farmc's tables: for each part, by the name that people know it by, what tells
// that it is still the same. What packets change is not of it: counters, elements of dynamic sets, what times out.
type Holding map[string]state

// A state is that of a part: how many things there are in it, and a sum that another one of them changes.
type state struct {
	count int
	sum   uint64
}

// seed is of this process: no Holding outlives it.
var seed = maphash.MakeSeed()

// add takes a thing in, whatever the order.
func (s *state) add(thing []byte) {
	s.count++
	s.sum += maphash.Bytes(seed, thing)
}

// Holding asks the kernel for all that it holds of farmc, with the elements of sets and maps if these are wanted, too:
// a map of 20,000 takes it 35 ms, one of 100,000 already 0.8 s, as it begins from the first for each piece of the answer
// (nf_tables_dump_set of Linux 6.18). It is what was held at one moment, in the generation of the rules that is given
// with it; only where somebody changes rules all the time it may be of several.
func (n Nft) Holding(ctx context.Context, elements bool) (h Holding, generation uint32, err error) {
	for range 10 {
		var before uint32
		if before, err = n.Generation(ctx); err != nil {
			return nil, 0, err
		}
		h = Holding{}
		err = errors.Join(h.table(ctx, unix.NFPROTO_INET, elements), h.table(ctx, unix.NFPROTO_NETDEV, elements))
		var failed error
		if generation, failed = n.Generation(ctx); failed != nil {
			return nil, 0, failed
		}
		if generation == before {
			break
		}
	}
	return h, generation, err
}

// families are how tables of farmc are told apart.
var families = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_NETDEV: "netdev"}

func (h Holding) table(ctx context.Context, family uint8, elements bool) error {
	table := nl.NewRtAttr(1, nl.ZeroTerminated("farmc")) // NFTA_*_TABLE is 1 of every kind
	answers, err := ask(ctx, unix.NFT_MSG_GETTABLE, 0, family, table)
	if errors.Is(err, unix.ENOENT) || err == nil && len(answers) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	h.note("table "+families[family]+" farmc", answers[0], tableHandle, unix.NFTA_TABLE_FLAGS)
	of := map[uint8]string{unix.NFPROTO_NETDEV: " of table netdev farmc"}[family]
	return errors.Join(h.chains(ctx, family, of), h.rules(ctx, family, of), h.sets(ctx, family, of, elements),
		h.others(ctx, family, of, unix.NFT_MSG_GETOBJ, "object ", unix.NFTA_OBJ_NAME, objectHandle),
		h.others(ctx, family, of, unix.NFT_MSG_GETFLOWTABLE, "flow table ", flowTableName, flowTableHandle))
}

// note takes the attributes of a part in.
func (h Holding) note(part string, a answer, kinds ...uint16) {
	s := h[part]
	var thing []byte
	for _, kind := range kinds {
		thing = fmt.Appendf(thing, "%q", a.attributes[kind])
	}
	s.add(thing)
	h[part] = s
}

// list asks for all objects of a kind in farmc's table. The kernel's filter by table is not there for every kind.
func list(ctx context.Context, message int, family uint8, of ...nl.NetlinkRequestData) ([]answer, error) {
	about := append([]nl.NetlinkRequestData{nl.NewRtAttr(1, nl.ZeroTerminated("farmc"))}, of...)
	answers, err := ask(ctx, message, unix.NLM_F_DUMP, family, about...)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return slices.DeleteFunc(answers, func(a answer) bool { return a.family != family || a.attributes.text(1) != "farmc" }), err
}

// chains: the device of a hook goes silently, and that is seen elsewhere, so only the rest of the hook counts.
func (h Holding) chains(ctx context.Context, family uint8, of string) error {
	answers, err := list(ctx, unix.NFT_MSG_GETCHAIN, family)
	for _, a := range answers {
		hook := parse(a.attributes[unix.NFTA_CHAIN_HOOK])
		a.attributes[unix.NFTA_CHAIN_HOOK] = slices.Concat(hook[unix.NFTA_HOOK_HOOKNUM], hook[unix.NFTA_HOOK_PRIORITY])
		h.note("chain "+a.attributes.text(unix.NFTA_CHAIN_NAME)+of, a, unix.NFTA_CHAIN_HANDLE, unix.NFTA_CHAIN_HOOK, unix.NFTA_CHAIN_POLICY)
	}
	return err
}

// rules that are changed get another handle.
func (h Holding) rules(ctx context.Context, family uint8, of string) error {
	answers, err := list(ctx, unix.NFT_MSG_GETRULE, family)
	for _, a := range answers {
		h.note("rule of chain "+a.attributes.text(unix.NFTA_RULE_CHAIN)+of, a, unix.NFTA_RULE_HANDLE)
	}
	return err
}

// What linux/netfilter/nf_tables.h has and golang.org/x/sys/unix has not.
const (
	tableHandle     = 4    // NFTA_TABLE_HANDLE
	flowTableName   = 2    // NFTA_FLOWTABLE_NAME
	flowTableHandle = 5    // NFTA_FLOWTABLE_HANDLE
	objectHandle    = 6    // NFTA_OBJ_HANDLE
	setAnonymous    = 0x1  // NFT_SET_ANONYMOUS: part of a rule
	setMap          = 0x8  // NFT_SET_MAP
	setDynamic      = 0x20 // NFT_SET_EVAL: packets change its elements
	setHandle       = 16   // NFTA_SET_HANDLE
	elementKeyEnd   = 10   // NFTA_SET_ELEM_KEY_END: of a range
)

func (h Holding) sets(ctx context.Context, family uint8, of string, elements bool) error {
	answers, err := list(ctx, unix.NFT_MSG_GETSET, family)
	for _, a := range answers {
		name, flags := a.attributes.text(unix.NFTA_SET_NAME), a.attributes.number(unix.NFTA_SET_FLAGS)
		if flags&setAnonymous != 0 {
			continue
		}
		what := map[bool]string{false: "set ", true: "map "}[flags&setMap != 0] + name
		h.note(what+of, a, setHandle, unix.NFTA_SET_TIMEOUT)
		if flags&setDynamic == 0 && elements {
			err = errors.Join(err, h.elements(ctx, family, name, "element of "+what+of))
		}
	}
	return err
}

func (h Holding) elements(ctx context.Context, family uint8, set, part string) error {
	answers, err := list(ctx, unix.NFT_MSG_GETSETELEM, family, nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(set)))
	s := h[part]
	for _, a := range answers {
		elements, _ := nl.ParseRouteAttr(a.attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS])
		for _, e := range elements {
			about := parse(e.Value)
			if about[unix.NFTA_SET_ELEM_TIMEOUT] == nil { // else it goes by itself
				s.add(slices.Concat(about[unix.NFTA_SET_ELEM_KEY], about[elementKeyEnd], about[unix.NFTA_SET_ELEM_DATA], about[unix.NFTA_SET_ELEM_FLAGS]))
			}
		}
	}
	h[part] = s
	return err
}

func (h Holding) others(ctx context.Context, family uint8, of string, message int, kind string, name, handle uint16) error {
	answers, err := list(ctx, message, family)
	for _, a := range answers {
		h.note(kind+a.attributes.text(name)+of, a, handle)
	}
	return err
}

// Differs says in words what became of what was held before, as now is what is held; nothing where it is the same.
func (h Holding) Differs(now Holding) []string {
	var words, gone []string
	for _, part := range slices.Sorted(maps.Keys(h)) {
		if _, there := now[part]; !there && strings.HasPrefix(part, "table ") {
			gone = append(gone, part)
			words = append(words, part+" is gone")
		}
	}
	parts := maps.Clone(h)
	maps.Copy(parts, now)
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		if inOne(part, gone) || h[part] == now[part] || strings.HasPrefix(part, "table ") && now[part].count == 0 {
			continue
		}
		words = append(words, difference(part, h[part], now[part]))
	}
	return words
}

// inOne says whether a part is of one of these tables.
func inOne(part string, tables []string) bool {
	return slices.ContainsFunc(tables, func(table string) bool {
		return strings.HasSuffix(part, " of "+table) || table == "table inet farmc" && !strings.Contains(part, " of table ") && !strings.HasPrefix(part, "table ")
	})
}

func difference(part string, before, now state) string {
	kind, rest, _ := strings.Cut(part, " ")
	n, one := before.count-now.count, "a "+part
	if kind == "element" {
		one = "an " + part
	}
	single := kind != "rule" && kind != "element"
	switch {
	case single && now.count == 0:
		return part + " is gone"
	case single && before.count == 0:
		return part + " is not farmc's"
	case single:
		return part + " is another one"
	case n == 0:
		return one + " is another one"
	case n == 1:
		return one + " is gone"
	case n == -1:
		return one + " is not farmc's"
	case n > 1:
		return fmt.Sprintf("%d %ss %s are gone", n, kind, rest)
	}
	return fmt.Sprintf("%d %ss %s are not farmc's", -n, kind, rest)
}
