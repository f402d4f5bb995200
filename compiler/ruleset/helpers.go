package ruleset

import "farmc/compiler/farm"

// helpersHook sets the conntrack helper of a new connection before its backend is chosen.
var helpersHook = baseChain{name: "helpers", section: helperSection, prefix: "helper-", any: "helper-any"}

// A helper is a conntrack helper for one protocol. It reads a connection to find out which further connections belong
// to it.
type helper struct {
	Name     string
	Type     string
	Protocol farm.Protocol
}

// setHelpers dispatches the connections of farms with a helper to the chain that sets it.
func (l *linker) setHelpers(tracked []frontend) {
	l.dispatch(helpersHook, tracked, func(d frontend) verdict {
		if !d.farm.HelperReads(d.Protocol) {
			return noVerdict
		}
		name := d.farm.Helper + "-" + string(d.Protocol)
		h := helper{"farm/" + name, d.farm.Helper, d.Protocol}
		o := &object{table: Inet, kind: KindHelper, Name: h.Name, section: helperSection, template: "helper", data: h}
		o.origin = d.farm.Origin("helper")
		l.rules.add(o)
		l.rules.add(newChain("helper-"+name, helperSection, "set-helper").with(h))
		return goTo("helper-" + name)
	})
}
