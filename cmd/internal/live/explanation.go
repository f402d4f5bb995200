package live

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
)

// An Explanation is the way of a packet through the farms that were loaded last. Found is false if no farm takes the
// packet; then Elsewhere has the farms that take such packets on other interfaces.
type Explanation struct {
	explain.Answer
	Found   bool   `json:"found"`
	Unknown string `json:"unknown"` // why bans, remembered clients and connections are not known; "": they are
}

// Explain tells what the rules do with a packet, as farmc explain does.
func (r *Reader) Explain(ctx context.Context, q explain.Question) (Explanation, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return Explanation{}, err
	}
	defer end()
	if err := s.known(); err != nil {
		return Explanation{}, err
	}
	m, found := explain.Find(s.loaded.script.Farms, q, OwnAddresses())
	if !found {
		return nowhere(m, q), nil
	}
	memory, failed := r.engine.MemoryOf(ctx, m.Farm, q)
	out := Explanation{Answer: m.Answer(memory), Found: true}
	if failed != nil {
		out.Unknown = failed.Error()
	}
	out.List = s.listLine(out.Word, q.Client.Addr())
	out.Findings = append(out.Findings, FindingsFor(ctx, m, q)...)
	return out, nil
}

// FindingsFor returns the findings about this machine that concern a packet to a farm.
func FindingsFor(ctx context.Context, m explain.Match, q explain.Question) (out []explain.Finding) {
	for _, f := range preflight.FindFor(ctx, m.Asked(), q.Client, q.Interface).Without(preflight.Notes) {
		out = append(out, explain.Finding{Text: f.Message, Remedy: f.Hint(), Stopped: f.Effect == preflight.Stops})
	}
	return out
}

// nowhere is the explanation of a packet that no farm takes.
func nowhere(m explain.Match, q explain.Question) Explanation {
	a := explain.Answer{Packet: q.String(), Others: []string{}, Elsewhere: []string{}, Limits: []string{},
		Stops: []explain.Stop{}, Backends: []explain.Backend{}, Idle: []string{}, Findings: []explain.Finding{}}
	for _, f := range m.Elsewhere {
		a.Elsewhere = append(a.Elsewhere, f.Name)
	}
	return Explanation{Answer: a}
}

// listLine returns the file and the line of a list that has a client; "" for any other word of access.
func (s *Snapshot) listLine(word string, client netip.Addr) string {
	name, isList := strings.CutPrefix(word, "@")
	if !isList {
		return ""
	}
	text, file, ok := s.List(name)
	if line := farm.LineOf(text, client); ok && line > 0 {
		return fmt.Sprintf("%s:%d", file, line)
	}
	return ""
}

// OwnAddresses returns the addresses of this machine.
func OwnAddresses() (out []netip.Addr) {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}
