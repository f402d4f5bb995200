package compiler

import "strings"

// source gives the chain that chooses the source for a farm.
func (l *linker) source(f *Farm, family Family) string {
	c := sourceOf(f, family)
	if !l.sources[c.Name] {
		l.sources[c.Name] = true
		l.rules.sources = append(l.rules.sources, c)
	}
	return c.Name
}

// sourceOf is masquerade for all farms that leave the source to the machine, one chain for each address that farms
// name, and a chain of the farm's own if its backends have sources of their own.
func sourceOf(f *Farm, family Family) *sourceChain {
	c := &sourceChain{Name: masqueradeChain, Family: family, Address: f.Source[family]}
	if c.Address.IsValid() {
		c.Name = "source-" + strings.ReplaceAll(c.Address.String(), ":", ".") // a colon would end the name
	}
	for _, b := range f.takes(family) {
		if b.Source.Has(family) {
			c.Elements = append(c.Elements, mapElement{b.Address[family].String(), b.Source[family].String(), b.origin(f), false})
		}
	}
	if len(c.Elements) > 0 {
		c.Name, c.Map = ownName(f, "source-"+family.Suffix()), ownName(f, "sources-"+family.Suffix())
		c.Elements = uniqueKeys(c.Elements)
		c.origin = f.origin("source-address")
	}
	return c
}

type sourceView struct {
	*sourceChain
	view
	Address string
	Origin  *Origin
}

func (s sourceView) elements() []mapElement { return s.Elements }

func newSourceView(c *sourceChain) sourceView {
	out := sourceView{sourceChain: c, view: view{c.Family}, Origin: c.origin}
	if c.Address.IsValid() {
		out.Address = c.Address.String()
	}
	return out
}
