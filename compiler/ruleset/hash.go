package ruleset

import (
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// hashFields are a packet's fields in nft's words, by key and family, with their widths in registers of 4 bytes.
var hashFields = map[farm.HashKey]struct {
	words [len(addr.Families)]string
	name  string // as part of a chain's name
	width int    // of IPv6
	ip4   int    // of IPv4
}{
	farm.SourceAddress:      {[...]string{"ip saddr", "ip6 saddr"}, "saddr", 4, 1},
	farm.DestinationAddress: {[...]string{"ip daddr", "ip6 daddr"}, "daddr", 4, 1},
	farm.SourcePort:         {[...]string{"th sport", "th sport"}, "sport", 1, 1},
	farm.DestinationPort:    {[...]string{"th dport", "th dport"}, "dport", 1, 1},
	farm.SourceMAC:          {[...]string{"ether saddr", "ether saddr"}, "smac", 2, 2},
	farm.DestinationMAC:     {[...]string{"ether daddr", "ether daddr"}, "dmac", 2, 2},
}

// widestHash is how many registers the input of a hash may take; nft 1.0.6 aborts beyond.
const widestHash = 12

func width(on []farm.HashKey) int {
	sum := 0
	for _, k := range on {
		sum += hashFields[k].width
	}
	return sum
}

// widthOfIP4 is the width of the same fields of IPv4.
func widthOfIP4(on []farm.HashKey) int {
	sum := 0
	for _, k := range on {
		sum += hashFields[k].ip4
	}
	return sum
}

func hashNames(on []farm.HashKey) []string {
	out := make([]string, len(on))
	for i, k := range on {
		out[i] = hashFields[k].name
	}
	return out
}

// hashInput gives the fields to hash in nft's words. Where they are too wide for one rule, ports and MAC addresses
// are taken as they lie in the packet, side by side, which takes fewer registers: @th,0,32 is both ports, @ll,0,96
// both MAC addresses.
func hashInput(on []farm.HashKey, family addr.Family) []string {
	narrow := family == addr.IP6 && width(on) > widestHash
	var out []string
	for _, k := range on {
		switch {
		case narrow && k == farm.SourcePort && slices.Contains(on, farm.DestinationPort):
			out = append(out, "@th,0,32")
		case narrow && k == farm.DestinationPort && slices.Contains(on, farm.SourcePort):
		case narrow && k == farm.SourceMAC && slices.Contains(on, farm.DestinationMAC):
			out = append(out, "@ll,0,96")
		case narrow && k == farm.DestinationMAC && slices.Contains(on, farm.SourceMAC):
		default:
			out = append(out, hashFields[k].words[family])
		}
	}
	return out
}

// quotedFields are the same bytes in the packet that an ICMP error quotes (RFC 792, RFC 4443), which went the other
// way: its destination is the client. They stand where no IP options and no extension headers come before them.
var quotedFields = map[farm.HashKey][len(addr.Families)]string{
	farm.SourceAddress:      {"@th,192,32", "@th,256,128"},
	farm.DestinationAddress: {"@th,160,32", "@th,128,128"},
	farm.SourcePort:         {"@th,240,16", "@th,400,16"},
	farm.DestinationPort:    {"@th,224,16", "@th,384,16"},
}

func quotedInput(on []farm.HashKey, family addr.Family) []string {
	out := make([]string, len(on))
	for i, k := range on {
		out[i] = quotedFields[k][family]
	}
	return out
}
