package flows

import "farmc/compiler/farm"

// Owners tell to which farm and backend an open connection belongs.
type Owners struct{ frontends frontendIndex }

// NewOwners finds the owners among the farms.
func NewOwners(farms []*farm.Farm) *Owners {
	c := &Owners{}
	for _, f := range farms {
		c.frontends.add(f)
	}
	return c
}

// None reports whether no farm has connections that are tracked and translated.
func (c *Owners) None() bool { return c.frontends.empty() }

// Backend gives the farm and backend that a connection belongs to; ok is false if it belongs to none.
func (c *Owners) Backend(of Connection) (farm, backend string, ok bool) {
	d := c.frontends.frontend(of)
	if b := backendOf(d, of); b != nil {
		return d.Farm.Name, b.Name, true
	}
	return "", "", false
}
