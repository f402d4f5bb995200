package ruleset

import (
	"strconv"

	"farmc/compiler/farm"
)

// The source port of a client stays the same towards a backend, as far as it is free. It must not be a port that a
// program of this machine serves on: a backend that asks this program from the port of its own service, as servers of
// NTP, DNS, SIP and IKE do, would be answered by the client. Ports below 1024 stay below 1024, because NFS servers
// refuse others.

// firstHighPort is the first port that needs no privilege.
const firstHighPort = 1024

// A portReplace is a chain beside a source chain. It gives connections another source port; connections without ports
// pass it unchanged.
type portReplace struct {
	*sourceNAT
	Name      string
	Low, High farm.Ports // instead of ports below 1024; instead of others that the machine serves on
	Served    *object    // the set of these others; nil: there are none
}

// sourceRules are the rules that choose the source address of connections with some source ports, and replace the port.
type sourceRules struct {
	*sourceNAT
	Protocol farm.Protocol // "": of all connections, and their ports stay
	Low      bool          // only of ports below 1024
	To       farm.Ports
}

// Rules gives the rules of connections whose ports stay.
func (c *sourceNAT) Rules() sourceRules { return sourceRules{sourceNAT: c} }

// Replacing gives the rules for each protocol of which programs serve on ports. Rules for high ports follow the ones
// for low ports, which match first.
func (p *portReplace) Replacing() (out []sourceRules) {
	protocols := []farm.Protocol{farm.TCP, farm.UDP}
	for _, protocol := range protocols {
		out = append(out, sourceRules{p.sourceNAT, protocol, true, p.Low})
	}
	if p.Served == nil {
		return out
	}
	for _, protocol := range protocols {
		out = append(out, sourceRules{p.sourceNAT, protocol, false, p.High})
	}
	return out
}

// replacePorts gives the chain beside a source chain that replaces ports; nil if the machine's ports are not known.
func (l *linker) replacePorts(beside string, c sourceNAT) *portReplace {
	if l.machine.Ports != nil && !l.asksPorts {
		l.servedPorts, l.asksPorts = l.machine.Ports(), true
	}
	ports := l.servedPorts
	if len(ports) == 0 {
		return nil
	}
	name := beside + "/other-port"
	return obtain(&l.rules, newChain(name, sourceNATSection, "other-source-port"), func() *portReplace {
		c.AnyPort = false
		return &portReplace{&c, name, widestGap(ports, 1, firstHighPort-1), widestGap(ports, firstHighPort, 1<<16-1),
			l.servedPortSet()}
	})
}

// servedPortSet gives the set of the ports from 1024 on that the machine serves on; nil if there are none.
func (l *linker) servedPortSet() *object {
	o := newSet("served-ports", sourceNATSection, "served-ports")
	if there := l.rules.objects[o.id()]; there != nil {
		return there
	}
	for _, port := range l.servedPorts {
		if port >= firstHighPort {
			o.elements.add(element{key: strconv.Itoa(int(port))})
		}
	}
	if o.elements.size() == 0 {
		return nil
	}
	return l.rules.add(o)
}

// widestGap gives the longest run of ports from first to last without the ones given, which are in order. If all of
// them are given, it is all of them.
func widestGap(without []uint16, first, last int) farm.Ports {
	from, widest, width := first, farm.Ports{First: uint16(first), Last: uint16(last)}, 0
	end := func(port int) {
		if port-from > width {
			widest, width = farm.Ports{First: uint16(from), Last: uint16(port - 1)}, port-from
		}
		from = max(from, port+1)
	}
	for _, port := range without {
		end(min(int(port), last+1))
	}
	end(last + 1)
	return widest
}
