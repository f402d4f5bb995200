package nft

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An Object is a chain, set, flow table or other object of one of farmc's tables, as far as the kernel can be asked
// for it without reading what it holds.
type Object struct {
	Family string // of its table: inet or netdev
	Kind   string // in nft's words: chain, set, map, flowtable, ct helper, ...
	Name   string

	Hooked bool   // of a chain: packets come to it from a hook
	Flags  uint32 // of a set or map: NFT_SET_*
	Keys   uint32 // of a set or map: nft's number for the type of its keys, 6 bits a field
	Values uint32 // of a map: likewise; VerdictType where they are verdicts
	Size   uint32 // of a set or map: how many elements it has room for; 0: no bound
}

// VerdictType is the type of values that are verdicts (NFT_DATA_VERDICT).
const VerdictType = 0xffffff00

// Objects gives all objects of farmc's tables that have a name of their own.
func (n Nft) Objects(ctx context.Context) ([]Object, error) {
	var all []Object
	for _, family := range []struct {
		name   string
		number uint8
	}{{"inet", unix.NFPROTO_INET}, {"netdev", unix.NFPROTO_NETDEV}} {
		for _, kind := range kinds {
			answers, err := ask(ctx, kind.question, unix.NLM_F_DUMP, family.number, nl.NewRtAttr(kind.table, nl.ZeroTerminated("farmc")))
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("ask for the objects of table %s farmc: %w", family.name, err)
			}
			for _, a := range answers {
				if o, ok := kind.read(a.attributes); ok && a.attributes.text(uint16(kind.table)) == "farmc" {
					o.Family = family.name
					all = append(all, o)
				}
			}
		}
	}
	return all, nil
}

// What golang.org/x/sys lacks of linux/netfilter/nf_tables.h: NFTA_FLOWTABLE_* and NFTA_OBJ_*.
const (
	flowtableTable = 1
	flowtableName  = 2
	objectTable    = 1
	objectName     = 2
	objectType     = 3
)

// kinds are the questions for objects, the attribute of each that names the table, and how the answer is read.
var kinds = []struct {
	question, table int
	read            func(a attributes) (Object, bool)
}{
	{unix.NFT_MSG_GETCHAIN, unix.NFTA_CHAIN_TABLE, readChain},
	{unix.NFT_MSG_GETSET, unix.NFTA_SET_TABLE, readSet},
	{unix.NFT_MSG_GETFLOWTABLE, flowtableTable, readFlowtable},
	{unix.NFT_MSG_GETOBJ, objectTable, readOther},
}

func readChain(a attributes) (Object, bool) {
	return Object{Kind: "chain", Name: a.text(unix.NFTA_CHAIN_NAME), Hooked: a[unix.NFTA_CHAIN_HOOK] != nil}, true
}

// readSet leaves out those without a name, which are parts of rules.
func readSet(a attributes) (Object, bool) {
	o := Object{Kind: "set", Name: a.text(unix.NFTA_SET_NAME), Keys: a.number(unix.NFTA_SET_KEY_TYPE)}
	if a[unix.NFTA_SET_FLAGS] != nil {
		o.Flags = a.number(unix.NFTA_SET_FLAGS)
	}
	if size := parse(a[unix.NFTA_SET_DESC]); size[unix.NFTA_SET_DESC_SIZE] != nil {
		o.Size = size.number(unix.NFTA_SET_DESC_SIZE)
	}
	if o.Flags&unix.NFT_SET_MAP != 0 {
		o.Kind, o.Values = "map", a.number(unix.NFTA_SET_DATA_TYPE)
	}
	return o, o.Flags&unix.NFT_SET_ANONYMOUS == 0
}

func readFlowtable(a attributes) (Object, bool) {
	return Object{Kind: "flowtable", Name: a.text(flowtableName)}, true
}

// objectKinds are nft's words for the kernel's numbers (NFT_OBJECT_* of linux/netfilter/nf_tables.h).
var objectKinds = map[uint32]string{
	1: "counter", 2: "quota", 3: "ct helper", 4: "limit", 6: "tunnel", 7: "ct timeout", 8: "secmark", 9: "ct expectation", 10: "synproxy",
}

func readOther(a attributes) (Object, bool) {
	kind := objectKinds[a.number(objectType)]
	return Object{Kind: kind, Name: a.text(objectName)}, kind != ""
}
