package nfnetlink

import (
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Expression makes an expression of a rule with its attributes.
func Expression(name string, attrs ...*nl.RtAttr) *nl.RtAttr {
	element := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, nil)
	element.AddRtAttr(unix.NFTA_EXPR_NAME, nl.ZeroTerminated(name))
	data := element.AddRtAttr(unix.NLA_F_NESTED|unix.NFTA_EXPR_DATA, nil)
	for _, a := range attrs {
		data.AddChild(a)
	}
	return element
}

// Number is an attribute with a 32-bit number.
func Number(kind int, n int) *nl.RtAttr { return nl.NewRtAttr(kind, nl.BEUint32Attr(uint32(n))) }

// Number64 is an attribute with a 64-bit number.
func Number64(kind int, n int) *nl.RtAttr { return nl.NewRtAttr(kind, nl.BEUint64Attr(uint64(n))) }

// Text is an attribute with a name.
func Text(kind int, text string) *nl.RtAttr { return nl.NewRtAttr(kind, nl.ZeroTerminated(text)) }

// Constant is an attribute with the bytes of a constant.
func Constant(kind int, bytes []byte) *nl.RtAttr {
	a := nl.NewRtAttr(unix.NLA_F_NESTED|kind, nil)
	a.AddRtAttr(unix.NFTA_DATA_VALUE, bytes)
	return a
}

// Compare compares a register with a constant, by one of unix.NFT_CMP_*.
func Compare(register, operation int, bytes []byte) *nl.RtAttr {
	return Expression("cmp", Number(unix.NFTA_CMP_SREG, register), Number(unix.NFTA_CMP_OP, operation),
		Constant(unix.NFTA_CMP_DATA, bytes))
}

// LoadMeta loads a property of the packet into a register, by one of unix.NFT_META_*.
func LoadMeta(register, key int) *nl.RtAttr {
	return Expression("meta", Number(unix.NFTA_META_KEY, key), Number(unix.NFTA_META_DREG, register))
}

// LoadHeader loads bytes of a header, which is one of unix.NFT_PAYLOAD_*, into a register.
func LoadHeader(register, header, offset, size int) *nl.RtAttr {
	return Expression("payload", Number(unix.NFTA_PAYLOAD_DREG, register), Number(unix.NFTA_PAYLOAD_BASE, header),
		Number(unix.NFTA_PAYLOAD_OFFSET, offset), Number(unix.NFTA_PAYLOAD_LEN, size))
}

// LookUp continues with the next expression if the set has the key that begins in a register.
func LookUp(register int, set string) *nl.RtAttr {
	return Expression("lookup", Text(unix.NFTA_LOOKUP_SET, set), Number(unix.NFTA_LOOKUP_SREG, register))
}

// Verdict ends a rule: with unix.NFT_RETURN, unix.NF_DROP and so on, or NFT_GOTO with a chain.
func Verdict(code int, chain string) *nl.RtAttr {
	data := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_IMMEDIATE_DATA, nil)
	verdict := data.AddRtAttr(unix.NLA_F_NESTED|unix.NFTA_DATA_VERDICT, nil)
	verdict.AddChild(Number(unix.NFTA_VERDICT_CODE, code))
	if chain != "" {
		verdict.AddChild(Text(unix.NFTA_VERDICT_CHAIN, chain))
	}
	return Expression("immediate", Number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT), data)
}
