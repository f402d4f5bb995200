package farm

// Specificity orders frontends. The rules ask for single addresses before networks, for long prefixes before short
// ones, and for all of these before every address of this machine. For one address or network they ask for exact ports
// before ranges, for ranges before single protocols without ports, and for these before all protocols.
type Specificity int

// The specificities of single addresses, and of every address of this machine, the most specific first.
const (
	ExactPort    Specificity = iota // one port of an address
	PortRange                       // a range of ports of an address
	OneProtocol                     // a protocol without ports of an address
	WholeAddress                    // an address with all protocols

	kinds // how many there are for an address, and for each length of prefixes
)

const (
	longestNetwork = 127 // of a network; a longer one is a single address

	// AnyAddressPort is one port of every address of this machine.
	AnyAddressPort = kinds * (longestNetwork + 1)
	// AnyAddressRange is a range of ports of every address of this machine.
	AnyAddressRange = AnyAddressPort + 1
)

// OfNetwork gives the specificity of a network with a prefix of 1 to 127 bits, from that of a single address. With 0
// bits it stays as it is.
func (s Specificity) OfNetwork(bits int) Specificity {
	if bits == 0 {
		return s
	}
	return s + kinds*Specificity(longestNetwork+1-bits)
}

// Bits is the length of the network's prefix; 0 for a single address, and for every address of this machine.
func (s Specificity) Bits() int {
	if s < kinds || s >= AnyAddressPort {
		return 0
	}
	return longestNetwork + 1 - int(s/kinds)
}

// Kind is the specificity of a single address with the same ports. Every address of this machine has no other kind.
func (s Specificity) Kind() Specificity {
	if s >= AnyAddressPort {
		return s
	}
	return s % kinds
}
