package reload

import (
	"strconv"
	"strings"
)

// A Field is the nft data type of a part of a set's keys. Its number is nft's own for the type (enum datatypes of its
// datatype.h), as the kernel keeps it; of raw payload it is the number of its bits, negative.
type Field int

// Raw is how many bits of payload the field is; 0 if it is something else.
func (f Field) Raw() int { return max(-int(f), 0) }

// datatype is the number of the field's type.
func (f Field) datatype() uint32 {
	if f.Raw() > 0 {
		return uint32(IntegerField)
	}
	return uint32(f)
}

// The fields that farmc's sets have.
const (
	UnknownField  Field = 0
	IntegerField  Field = 4
	IP4Field      Field = 7
	IP6Field      Field = 8
	MACField      Field = 9
	ProtocolField Field = 12
	PortField     Field = 13
	MarkField     Field = 19
	DeviceField   Field = 41
)

// fields are the parts of a set's keys, as its declaration tells them.
func (o *scriptObject) fields() []Field {
	keys, _ := o.declared()
	return fieldsOf(keys)
}

// declared are the words for the keys of a set and for its values.
func (o *scriptObject) declared() (keys, values string) {
	line, ok := o.property("type")
	if !ok {
		line, _ = o.property("typeof")
	}
	_, line, _ = strings.Cut(line, " ")
	keys, values, _ = strings.Cut(line, " : ")
	return keys, values
}

func fieldsOf(words string) []Field {
	if words == "" {
		return nil
	}
	parts := strings.Split(words, " . ")
	fields := make([]Field, len(parts))
	for i, part := range parts {
		fields[i] = fieldOf(part)
	}
	return fields
}

// fieldOf tells a type by its name, or that of an expression.
func fieldOf(words string) Field {
	words, _, _ = strings.Cut(words, " and ")
	words, _, _ = strings.Cut(words, " & ")
	switch words {
	case "inet_proto", "meta l4proto":
		return ProtocolField
	case "ipv4_addr", "ip saddr", "ip daddr", "ct original ip saddr", "ct original ip daddr":
		return IP4Field
	case "ipv6_addr", "ip6 saddr", "ip6 daddr", "ct original ip6 saddr", "ct original ip6 daddr":
		return IP6Field
	case "ether_addr", "ether saddr", "ether daddr":
		return MACField
	case "inet_service",
		"th sport",
		"th dport",
		"tcp sport",
		"tcp dport",
		"udp sport",
		"udp dport",
		"ct original proto-dst",
		"ct original proto-src":
		return PortField
	case "mark", "meta mark", "ct mark":
		return MarkField
	case "ifname":
		return DeviceField
	}
	if strings.HasPrefix(words, "@") { // @th,136,8
		bits, _ := strconv.Atoi(words[strings.LastIndexByte(words, ',')+1:])
		return Field(-bits)
	}
	if strings.HasPrefix(words, "numgen ") || strings.HasPrefix(words, "symhash ") ||
		strings.HasPrefix(words, "jhash ") {
		return IntegerField
	}
	return UnknownField
}
