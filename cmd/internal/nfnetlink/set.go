package nfnetlink

import (
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Field is a part of the keys of a set.
type Field struct {
	Type int // nft's number of the data type; the kernel only keeps it
	Size int // bytes
}

// The fields of keys (enum datatypes of nft).
var (
	IPv4Field     = Field{7, 4}
	IPv6Field     = Field{8, 16}
	ProtocolField = Field{12, 1}
	PortField     = Field{13, 2}
)

// padded is the size in keys and registers.
func (f Field) padded() int { return (f.Size + 3) &^ 3 }

// A Set is the declaration of a set.
type Set struct {
	Name    string
	Fields  []Field       // of the keys
	Ranges  bool          // the elements are ranges of keys of several fields; else single keys
	Timeout time.Duration // of the elements; 0: they stay
}

// A Range is the first and the last key of an element.
type Range struct{ First, Last []byte }

// maxElements is the number of elements in a message: an attribute has at most 64 KB.
const maxElements = 500

// Set makes a set with its elements.
func (t *Table) Set(s Set, elements []Range) {
	t.sets++
	flags, size, kind := 0, 0, 0
	for _, f := range s.Fields {
		size, kind = size+f.padded(), kind<<6|f.Type
	}
	attrs := []nl.NetlinkRequestData{Text(unix.NFTA_SET_TABLE, t.Name), Text(unix.NFTA_SET_NAME, s.Name),
		Number(unix.NFTA_SET_KEY_TYPE, kind), Number(unix.NFTA_SET_KEY_LEN, size), Number(unix.NFTA_SET_ID, t.sets)}
	if s.Timeout > 0 {
		flags |= unix.NFT_SET_TIMEOUT
		attrs = append(attrs, Number64(unix.NFTA_SET_TIMEOUT, int(s.Timeout.Milliseconds())))
	}
	if len(s.Fields) > 1 {
		flags |= SetConcatenated
	}
	if s.Ranges {
		flags |= unix.NFT_SET_INTERVAL
	}
	attrs = append(attrs, Number(unix.NFTA_SET_FLAGS, flags), s.description(len(elements)))
	t.Add(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE, t.Family, attrs...)
	for part := range slices.Chunk(elements, maxElements) {
		t.elements(s, part)
	}
}

// description tells the kernel the number of elements, from which it chooses the kind of the set, and the sizes of the
// fields.
func (s Set) description(elements int) *nl.RtAttr {
	all := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_SET_DESC, nil)
	all.AddChild(Number(unix.NFTA_SET_DESC_SIZE, elements))
	if len(s.Fields) > 1 {
		fields := all.AddRtAttr(unix.NLA_F_NESTED|SetDescriptionFields, nil)
		for _, f := range s.Fields {
			fields.AddRtAttr(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, nil).AddChild(Number(SetFieldSize, f.Size))
		}
	}
	return all
}

// elements adds elements to a set.
func (t *Table) elements(s Set, elements []Range) {
	list := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_LIST_ELEMENTS, nil)
	for _, e := range elements {
		element := list.AddRtAttr(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, nil)
		element.AddChild(Constant(unix.NFTA_SET_ELEM_KEY, e.First))
		if s.Ranges {
			element.AddChild(Constant(SetElementKeyEnd, e.Last))
		}
	}
	t.Add(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, t.Family, Text(unix.NFTA_SET_ELEM_LIST_TABLE, t.Name),
		Text(unix.NFTA_SET_ELEM_LIST_SET, s.Name), list)
}
