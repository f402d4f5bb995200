package trace

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/nfnetlink"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"

	"golang.org/x/sys/unix"
)

// A Translator makes words of the events of packets.
type Translator struct {
	Farms     []*farm.Farm
	Script    *ruleset.Script // of the farms; nil: the kernel has other rules, so places are not known
	Addresses []netip.Addr    // of this machine
	Frames    []Frame         // of the backends that Places names, in the same order

	// Rule returns the text of a rule of another program; "" if it is not known.
	Rule func(ctx context.Context, family uint8, table, chain string, handle uint64) string

	reader *ruleReader
	chains map[ruleset.TableFamily]map[string]ruleset.ChainText
	links  map[int]string
}

// A Frame names the backends that get the frames to a MAC address.
type Frame struct {
	MAC      net.HardwareAddr
	Backends []FarmBackend
}

// A FarmBackend is a backend of a farm.
type FarmBackend struct{ Farm, Backend string }

// prepare reads the chains of the script.
func (t *Translator) prepare() {
	t.reader, t.links = newRuleReader(), map[int]string{}
	t.chains = map[ruleset.TableFamily]map[string]ruleset.ChainText{}
	if t.Script != nil {
		for _, family := range ruleset.TableFamilies {
			t.chains[family] = t.Script.Chains(family)
		}
	}
}

// A way is a journey while it is translated.
type way struct {
	*journey
	Packet
	farm    *farm.Farm
	backend farm.Backend
	service netip.AddrPort
	sender  netip.AddrPort // of an answer
	touched bool           // a rule of farmc led the packet on
	refused bool           // the last rule answered the client

	base chainID // the base chain of the current event
}

// translate makes a packet of a journey.
func (t *Translator) translate(ctx context.Context, j *journey, table string) Packet {
	w := &way{journey: j, service: j.first.destination}
	w.Packet = Packet{Time: j.began, Client: endWords(j.first.source), Service: endWords(j.first.destination),
		Protocol: string(farm.ProtocolOf(int(j.first.protocol))), Flags: j.first.flagWords(), Interface: t.link(j.in),
		Steps: []Step{}, Lost: j.lost}
	if j.answer {
		w.turn()
	}
	t.findFarm(w)
	for _, e := range j.events {
		if e.header != nil {
			w.base, w.decisive = e.chain, len(w.Steps)
		}
		if !strings.HasPrefix(e.chain.table, tablePrefix) {
			w.Steps = append(w.Steps, t.step(ctx, w, e))
		}
	}
	if j.answer {
		t.findSender(w)
	} else {
		t.findBackend(w, table)
	}
	t.conclude(w, table)
	return w.Packet
}

// findFarm finds the farm of the packet: the one whose chains it met, or else the one that takes such packets, if a
// rule of farmc led the packet on or its destination was translated.
func (t *Translator) findFarm(w *way) {
	for _, e := range w.events {
		if e.chain.table != farmcTable || e.handle == 0 {
			continue
		}
		w.touched = w.touched || e.verdict.code != unix.NFT_CONTINUE && e.verdict.code != unix.NFT_RETURN
		for _, name := range []string{e.chain.name, e.verdict.chain} {
			if f := t.farmOf(name); f != nil && w.farm == nil {
				w.farm = f
			}
		}
	}
	q := explain.Question{Service: w.service, Protocol: farm.Protocol(w.Protocol), Client: w.first.source,
		Interface: w.Interface}
	if w.Answer { // it came in by the backend's interface, and the request by another one
		q.Client, q.Interface = w.latest.destination, ""
	}
	m, found := explain.Find(t.Farms, q, t.Addresses)
	translated := w.latest.destination != w.first.destination || w.Answer && w.latest.source != w.first.source
	switch {
	case w.farm == nil && found && !m.Farm.Down && (w.touched || translated):
		w.farm = m.Farm
	case w.farm == nil:
		return
	}
	w.Farm, w.Mode = w.farm.Name, string(w.farm.Mode)
	if found && m.Farm == w.farm {
		w.Place = placeOf(m.Frontend.Listen.Place)
	}
}

// farmOf returns the farm that owns a chain or another object of the script; nil if farms share it.
func (t *Translator) farmOf(object string) *farm.Farm {
	rest, own := strings.CutPrefix(object, "farm/")
	name, _, _ := strings.Cut(rest, "/")
	for _, f := range t.Farms {
		if own && f.Name == name {
			return f
		}
	}
	return nil
}

// farmcTable is the name of farmc's tables.
const farmcTable = "farmc"

// step describes an event.
func (t *Translator) step(ctx context.Context, w *way, e event) Step {
	s := Step{Table: nfnetlink.FamilyName(e.chain.family) + " " + diag.Printable(e.chain.table),
		Chain: diag.Printable(e.chain.name), Handle: e.handle, Verdict: e.verdict.String(),
		foreign: e.chain.table != farmcTable}
	if s.foreign {
		t.describeForeign(ctx, w, e, &s)
		return s
	}
	text, known := t.chains[tableFamily(e.chain.family)][e.chain.name]
	if known {
		s.Step = string(text.Step)
	}
	rule, found := t.reader.rule(ctx, e.chain, e.handle)
	w.refused = rule.does["reject"]
	if !found {
		if e.verdict.code == drop {
			s.Text = fmt.Sprintf("chain %s drops it", s.Chain)
		}
		return s
	}
	if known && len(text.Rules) == rule.of {
		if o := t.Script.LineOrigin(text.Rules[rule.index].Number); o != nil && o.Place.Line > 0 {
			s.Place = placeOf(o.Place)
		}
	}
	s.List, s.Text = listOf(rule), describe(w, e, rule, ruleset.Step(s.Step))
	return s
}

// tableFamily returns the family of one of farmc's tables.
func tableFamily(number uint8) ruleset.TableFamily {
	if number == unix.NFPROTO_NETDEV {
		return ruleset.Netdev
	}
	return ruleset.Inet
}

// String writes the verdict as nft does.
func (v verdict) String() string {
	switch v.code {
	case drop:
		return "drop"
	case accept:
		return "accept"
	case stolen:
		return "stolen"
	case queue:
		return "queue"
	case unix.NFT_CONTINUE:
		return "continue"
	case unix.NFT_RETURN:
		return "return"
	case unix.NFT_JUMP:
		return "jump " + diag.Printable(v.chain)
	case unix.NFT_GOTO:
		return "goto " + diag.Printable(v.chain)
	}
	return fmt.Sprintf("verdict %d", v.code)
}

// link returns the name of an interface; "" for 0.
func (t *Translator) link(index int) string {
	if index == 0 {
		return ""
	}
	if name, ok := t.links[index]; ok {
		return name
	}
	name := fmt.Sprintf("interface %d", index)
	if i, err := net.InterfaceByIndex(index); err == nil {
		name = diag.Printable(i.Name)
	}
	t.links[index] = name
	return name
}

// endWords writes an address with its port, if it has one.
func endWords(end netip.AddrPort) string {
	if end.Port() == 0 {
		return end.Addr().String()
	}
	return end.String()
}

// placeOf writes a place as FILE:LINE.
func placeOf(p diag.Place) string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// family is the family of the packet.
func (w *way) family() addr.Family { return addr.FamilyOf(w.first.destination.Addr()) }
