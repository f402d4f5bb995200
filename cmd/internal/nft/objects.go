package nft

import (
	"context"
	"errors"
	"fmt"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An Object is a chain, set, flow table or other object of one of farmc's tables, without its rules or elements.
type Object struct {
	Family string // of its table: inet or netdev
	Kind   string // in nft's words: chain, set, map, flowtable, ct helper, ...
	Name   string

	Hooked bool   // of a chain: it is a base chain
	Flags  uint32 // of a set or map: NFT_SET_*
	Keys   uint32 // of a set or map: nft's number for the data type of its keys, 6 bits for each field
	Values uint32 // of a map: the same for its values, or VerdictType
	Size   uint32 // of a set or map: the maximum number of elements; 0 for no maximum
}

// VerdictType is the data type of verdicts (NFT_DATA_VERDICT).
const VerdictType = unix.NFT_DATA_VERDICT

// Objects gives all objects of farmc's tables except anonymous sets. Without tables there are none.
func (n Nft) Objects(ctx context.Context) ([]Object, error) {
	var all []Object
	for _, family := range []struct {
		name   string
		number uint8
	}{{"inet", unix.NFPROTO_INET}, {"netdev", unix.NFPROTO_NETDEV}} {
		for _, q := range objectQueries {
			answers, err := query(ctx, q.message, unix.NLM_F_DUMP, family.number,
				nl.NewRtAttr(q.table, nl.ZeroTerminated("farmc")))
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read the objects of table %s farmc: %w", family.name, err)
			}
			for _, a := range answers {
				if o, ok := q.read(a.Attributes); ok && a.Text(uint16(q.table)) == "farmc" {
					o.Family = family.name
					all = append(all, o)
				}
			}
		}
	}
	return all, nil
}

// objectQueries are the queries for objects: the message, its attribute that names the table, and the parser of an
// answer, which tells whether the object is to be kept.
var objectQueries = []struct {
	message, table int
	read           func(a nfnetlink.Attributes) (Object, bool)
}{
	{unix.NFT_MSG_GETCHAIN, unix.NFTA_CHAIN_TABLE, readChain},
	{unix.NFT_MSG_GETSET, unix.NFTA_SET_TABLE, readSet},
	{unix.NFT_MSG_GETFLOWTABLE, nfnetlink.FlowtableTable, readFlowtable},
	{unix.NFT_MSG_GETOBJ, unix.NFTA_OBJ_TABLE, readNamedObject},
}

func readChain(a nfnetlink.Attributes) (Object, bool) {
	return Object{Kind: "chain", Name: a.Text(unix.NFTA_CHAIN_NAME), Hooked: a[unix.NFTA_CHAIN_HOOK] != nil}, true
}

// readSet leaves out anonymous sets, which are parts of rules.
func readSet(a nfnetlink.Attributes) (Object, bool) {
	o := Object{Kind: "set", Name: a.Text(unix.NFTA_SET_NAME), Keys: a.Number(unix.NFTA_SET_KEY_TYPE),
		Flags: a.Number(unix.NFTA_SET_FLAGS)}
	o.Size = nfnetlink.Parse(a[unix.NFTA_SET_DESC]).Number(unix.NFTA_SET_DESC_SIZE)
	if o.Flags&unix.NFT_SET_MAP != 0 {
		o.Kind, o.Values = "map", a.Number(unix.NFTA_SET_DATA_TYPE)
	}
	return o, o.Flags&unix.NFT_SET_ANONYMOUS == 0
}

func readFlowtable(a nfnetlink.Attributes) (Object, bool) {
	return Object{Kind: "flowtable", Name: a.Text(nfnetlink.FlowtableName)}, true
}

// objectKinds are nft's words for the kernel's numbers (NFT_OBJECT_* of linux/netfilter/nf_tables.h).
var objectKinds = map[uint32]string{
	1: "counter", 2: "quota", 3: "ct helper", 4: "limit", 6: "tunnel", 7: "ct timeout", 8: "secmark",
	9: "ct expectation", 10: "synproxy",
}

func readNamedObject(a nfnetlink.Attributes) (Object, bool) {
	kind := objectKinds[a.Number(unix.NFTA_OBJ_TYPE)]
	return Object{Kind: kind, Name: a.Text(unix.NFTA_OBJ_NAME)}, kind != ""
}
