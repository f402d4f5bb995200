package ruleset

import (
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A coverage is the most general specificity of the frontends that have a chain: of each address and network, and of
// every address of this machine.
type coverage struct {
	everyAddress [len(addr.Families)]farm.Specificity
	networks     addr.NetworkTable[farm.Specificity]
}

func (c *coverage) add(d frontend) {
	most := &c.everyAddress[d.Family]
	if d.Address.IsValid() {
		most = c.networks.At(d.Network())
	}
	*most = max(*most, d.Specificity)
}

// at gives the most general specificity that catches packets to the frontend's addresses; ExactPort if there is none.
func (c *coverage) at(d frontend) farm.Specificity {
	general := c.everyAddress[d.Family]
	if d.Address.IsValid() {
		for s := range c.networks.Around(d.Network()) {
			general = max(general, *s)
		}
	}
	return general
}
