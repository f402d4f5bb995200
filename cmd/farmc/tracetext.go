package main

import (
	"fmt"
	"net/netip"
	"strings"

	"farmc/cmd/internal/trace"
)

// printPacket prints a packet that was traced.
func (c *call) printPacket(p trace.Packet) error {
	c.addLists(&p)
	if c.json {
		line, err := p.Line()
		if err == nil {
			_, err = c.stdout.Write(line)
		}
		return err
	}
	w := c.stdout
	_, err := fmt.Fprintf(w, "%s  %s\n", p.Time.Local().Format("15:04:05.000"), packetWords(p))
	if p.Farm != "" {
		showFact(w, "farm", []string{strings.TrimSpace(p.Farm + ", mode " + p.Mode + "  " + p.Place)})
	}
	for _, s := range p.Before() {
		if s.Told() {
			showFact(w, stepName(s), stepWords(s))
		}
	}
	if p.Backend != "" {
		showFact(w, "backend", []string{backendWords(p)})
	}
	c.showOutcome(p)
	if p.Lost {
		showFact(w, "lacks", []string{"steps of this packet are missing"})
	}
	return err
}

func packetWords(p trace.Packet) string {
	direction := "->"
	if p.Answer {
		direction = "<-"
	}
	words := fmt.Sprintf("%s %s %s/%s", p.Client, direction, p.Service, p.Protocol)
	if p.Flags != "" {
		words += " " + p.Flags
	}
	if p.Interface == "" {
		return words + ", of this machine"
	}
	return words + ", in by " + p.Interface
}

// stepName names the step of a rule of farmc, or says that another program has the rule.
func stepName(s trace.Step) string {
	if s.IsForeign() {
		return "foreign"
	}
	return s.Step
}

// stepWords are the lines about a step: with its place, or with the rule of another program.
func stepWords(s trace.Step) []string {
	if s.IsForeign() {
		return append([]string{s.Text}, nonEmpty(s.Rule)...)
	}
	if line := s.Text + "  " + s.Place; s.Place != "" && len(line) <= maxFact {
		return []string{line}
	}
	return append([]string{s.Text}, nonEmpty(s.Place)...)
}

// maxFact is the length of a fact that fits into a terminal of 80 columns.
const maxFact = 80 - factIndent

func backendWords(p trace.Packet) string {
	words := strings.TrimSpace(p.Backend + "  " + p.BackendAddress + "  " + p.BackendPlace)
	if p.Open {
		words += "  (open connection)"
	}
	return words
}

// showOutcome prints the end of the packet, in colour if it was stopped.
func (c *call) showOutcome(p trace.Packet) {
	lines := outcomeWords(p)
	if p.Outcome == trace.Sent || p.Outcome == trace.Received {
		showFact(c.stdout, string(p.Outcome), lines)
	} else {
		c.showFault(string(p.Outcome), lines)
	}
}

// outcomeWords are the lines about the end of the packet, at least one.
func outcomeWords(p trace.Packet) (lines []string) {
	if p.Outcome == trace.Sent {
		return append([]string{"out by " + p.Out + ", from " + p.Source}, nonEmpty(p.Reason)...)
	}
	for _, s := range p.Decisive() {
		if s.Told() {
			lines = append(lines, stepWords(s)...)
		}
	}
	if len(lines) == 0 {
		lines = []string{p.Reason}
	}
	return lines
}

// addLists adds the line of the list that denies the client to the steps.
func (c *call) addLists(p *trace.Packet) {
	client, err := netip.ParseAddrPort(p.Client)
	if err != nil {
		a, _ := netip.ParseAddr(p.Client)
		client = netip.AddrPortFrom(a, 0)
	}
	for i, s := range p.Steps {
		if s.List == "" {
			continue
		}
		if line := c.listLine("@"+s.List, client.Addr()); line != "" {
			p.Steps[i].Place = line
		}
	}
}
