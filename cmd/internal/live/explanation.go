package live

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
)

// An Explanation is the way of a packet through the farms that were loaded last. Found is false if no farm takes the
// packet; then Elsewhere has the farms that take such packets on other interfaces.
type Explanation struct {
	explain.Answer
	Found        bool   `json:"found"`
	Unknown      string `json:"unknown"`      // why bans, clients and connections are not known; "": they are
	RulesUnknown string `json:"rulesUnknown"` // why it is not known whether the kernel has these rules; "": it is
	Files        string `json:"files"`        // faults of the files, or changes that are not applied; "": none

	Unread      error `json:"-"` // the cause of Unknown
	RulesUnread error `json:"-"` // the cause of RulesUnknown
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
	out := r.engine.Explain(ctx, s.loaded.script.Farms, r.engine.disagreement(ctx, s.last, s.files), q)
	out.List = s.listLine(out.Word, q.Client.Addr())
	return out, nil
}

// Explain tells what the rules of farms do with a packet. List is not set. The kernel and the files may disagree with
// the farms: rules that were not loaded last stop the packet, because the answer does not hold for them.
func (e *Engine) Explain(ctx context.Context, farms []*farm.Farm, d Disagreement, q explain.Question) Explanation {
	m, found := explain.Find(farms, q, OwnAddresses())
	if !found {
		out := nowhere(m, q)
		out.disagree(d)
		return out
	}
	memory, failed := e.MemoryOf(ctx, m.Farm, q)
	out := Explanation{Answer: m.Answer(memory), Found: true, Unknown: errorText(failed), Unread: failed}
	out.Findings = append(out.Findings, findingsFor(ctx, m, q)...)
	out.disagree(d)
	return out
}

// disagree adds the disagreement of the kernel and the files. Rules of the boot take the packet, so they are a finding.
func (x *Explanation) disagree(d Disagreement) {
	x.Files, x.RulesUnread, x.RulesUnknown = d.files(), d.unread, errorText(d.unread)
	f := d.rulesFinding()
	switch {
	case f == nil:
	case d.Rules.countersValid():
		x.Findings = append(x.Findings, explain.Finding{Text: f.Text(), Remedy: f.Hint()})
	default:
		x.Stops = slices.Insert(x.Stops, 0, explain.Stop{Reason: f.Text(), Remedy: f.Hint()})
	}
}

// findingsFor returns the findings about this machine that concern a packet to a farm.
func findingsFor(ctx context.Context, m explain.Match, q explain.Question) (out []explain.Finding) {
	for _, f := range preflight.FindFor(ctx, m.Asked(), q.Client, q.Interface).Without(preflight.Notes) {
		out = append(out, explain.Finding{Text: f.Message, Place: explain.PlaceOf(f.Place), Remedy: f.Hint(),
			Stopped: f.Effect == preflight.Stops})
	}
	return out
}

// nowhere is the explanation of a packet that no farm takes.
func nowhere(m explain.Match, q explain.Question) Explanation {
	a := explain.Answer{Packet: q.String(), Others: []string{}, Down: []string{}, Limits: []string{},
		Stops: []explain.Stop{}, Backends: []explain.Backend{}, Idle: []string{}, Findings: []explain.Finding{}}
	a.Elsewhere, a.BoundBy = m.OtherInterfaces()
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

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
