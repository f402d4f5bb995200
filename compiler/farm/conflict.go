package farm

import "farmc/compiler/diag"

// Conflicts reports farms that share an address, port and protocol of one specificity, where none of the frontends is more
// specific than the other. The frontends of all farms come in the order of Compare.
func Conflicts(all []Frontend, faults *diag.Diagnostics) {
	type pair struct{ a, b *Listen }
	told := map[pair]bool{}
	var widest Frontend // of the frontends so far, the one with the highest last port
	for i, d := range all {
		if i > 0 && widest.overlaps(d) && widest.Farm != d.Farm && !told[pair{widest.Listen, d.Listen}] {
			told[pair{widest.Listen, d.Listen}] = true
			*faults = append(*faults, conflict(widest, d))
		}
		if i == 0 || !widest.overlaps(d) || d.Ports.Last > widest.Ports.Last {
			widest = d
		}
	}
}

func conflict(a, b Frontend) diag.Diagnostic {
	if a.Farm.Name > b.Farm.Name {
		a, b = b, a
	}
	return diag.Diagnostic{
		Farm:    b.Farm.Name,
		Place:   b.Listen.Place,
		Message: "the farm " + a.Farm.Name + " listens on " + commonPackets(a, b) + ", too",
		Hint:    "two farms may not meet on the same address, port and protocol",
		Also:    []diag.Note{{Place: a.Listen.Place, Message: "here it does"}},
	}
}

// commonPackets describes the packets that two frontends have in common.
func commonPackets(a, b Frontend) string {
	where := "every address of this machine"
	if a.Address.IsValid() {
		where = a.Address.String()
	}
	if a.Specificity == WholeAddress {
		return where + ", whatever the protocol"
	}
	ports, noun := Ports{max(a.Ports.First, b.Ports.First), min(a.Ports.Last, b.Ports.Last)}, " ports "
	if ports.Single() {
		noun = " port "
	}
	return where + ", " + string(a.Protocol) + noun + ports.String()
}
