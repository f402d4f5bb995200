package ruleset

import (
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// The answers to questions of this machine come to the port that the kernel gave the question. Without connection
// tracking they look like requests where a range of ports, or a whole address, includes this port. So the questions
// that this machine sends from there are remembered, and their answers pass. A single port does not count: the kernel
// seldom gives it, and net.ipv4.ip_local_reserved_ports keeps it back.

// defaultClientPorts are the ports that the kernel gives to clients, unless net.ipv4.ip_local_port_range has others.
var defaultClientPorts = farm.Ports{First: 32768, Last: 60999}

// An ownAnswers describes the answers to questions of one family.
type ownAnswers struct {
	Family addr.Family
	Marked bool    // a chain before has marked the answers by their priority
	Next   verdict // on other packets
}

// Set is the name of the set of questions: the protocol, this machine's address and port, the other one's.
func (a ownAnswers) Set() string { return "own-questions-" + a.Family.Suffix() }

// Answered is the name of the chain of answers.
func (a ownAnswers) Answered() string { return "own-answer-" + a.Family.Suffix() }

// An ownIngress marks answers at the ingress of interfaces.
type ownIngress struct {
	Devices []string
	Lookups []ownAnswers
}

// asksFrom reports whether this machine can ask questions from ports of the frontend, and the farm takes the answers.
func (l *linker) asksFrom(d frontend) bool {
	client := l.machine.clientPorts()
	return d.farm.Mode.Untracked() && !d.farm.Down && (d.Whole() ||
		d.Specificity.Kind() == farm.PortRange && d.Ports.First <= client.Last && d.Ports.Last >= client.First)
}

// ownQuestions remembers the questions of this machine. More specific frontends of the same address are of servers.
func (l *linker) ownQuestions(served []frontend) {
	var asks coverage
	asked := false
	for _, d := range served {
		if l.asksFrom(d) {
			asks.add(d)
			asked = true
		}
	}
	if !asked {
		return
	}
	served = selected(served, func(d *frontend) bool { return asks.at(*d) != 0 })
	questions := baseChain{name: "own-questions", section: ownSection, prefix: "own-"}
	l.dispatch(questions, served, func(d frontend) verdict {
		if !l.asksFrom(d) {
			return noVerdict
		}
		a := ownAnswers{Family: d.Family}
		name := "ask-own-" + d.Family.Suffix()
		l.rules.add(newChain(name, ownSection, "ask-own").with(a))
		l.rules.add(newChain(a.Answered(), ownSection, "own-answer").with(a))
		l.rules.add(newSet(a.Set(), ownSection, "questions").with(a))
		return goTo(name)
	})
}

// ownFirst gives the verdict on packets to a frontend that leads to a chain, with answers taken out before.
func (l *linker) ownFirst(d frontend, marked bool, v verdict) verdict {
	if !l.asksFrom(d) {
		return v
	}
	name := "own-first/" + v.chain()
	if v == drop {
		name += "drop-" + d.Family.Suffix()
	}
	l.rules.add(newChain(name, ownSection, "own-first").with(&ownAnswers{d.Family, marked, v}))
	return goTo(name)
}

// markAnswers marks the answers at an ingress, for the chains there.
func (l *linker) markAnswers(in *ingress, served []frontend) {
	at := &ownIngress{Devices: in.Devices}
	for _, d := range served {
		a := ownAnswers{Family: d.Family}
		if in.takes(d.farm) && l.asksFrom(d) && !slices.Contains(at.Lookups, a) {
			at.Lookups = append(at.Lookups, a)
		}
	}
	in.AsksOwn = !in.prerouting() && len(at.Lookups) > 0
	if in.AsksOwn {
		l.rules.add(newChain("own-"+in.Name, ownSection, "own-ingress").with(at))
	}
}
