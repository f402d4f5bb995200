package trace

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// findBackend finds the backend that the packet goes to: by its translated destination, or by the MAC address of the
// frame. If the MAC address was not known when the trace began, the backend is the one that the hash gives.
func (t *Translator) findBackend(w *way, table string) {
	if w.farm == nil || w.farm.Mode == farm.Local {
		return
	}
	if to := w.latest.destination; to != w.first.destination {
		w.Open = !w.isPicked()
		w.setBackend(func(b farm.Backend) bool { return w.reaches(b, to) }, endWords(to))
		if w.Backend == "" {
			w.BackendAddress = endWords(to)
		}
		return
	}
	for _, e := range w.events {
		if number, ok := strings.CutPrefix(e.verdict.chain, backendChain); ok && e.chain.table == table {
			t.setFrame(w, number)
			return
		}
	}
	if w.farm.Mode == farm.DSR && w.isReceived(table) {
		w.setBackend(func(b farm.Backend) bool {
			return slices.Contains(t.Addresses, b.Address[w.family()])
		}, endWords(w.service))
		return
	}
	if w.farm.Mode != farm.DSR || !w.has(stolen) || w.farm.Persistence != nil {
		return
	}
	if b, ok := ruleset.HashedBackend(w.farm, ruleset.ClientPacket{Source: w.first.source.Addr(),
		SourcePort: w.first.source.Port(), Destination: w.service.Addr(),
		DestinationPort: w.service.Port()}); ok {
		w.setBackend(func(other farm.Backend) bool { return other.Name == b.Name }, w.addressOf(b))
	}
}

// isReceived reports whether the packet came to a socket of this machine.
func (w *way) isReceived(table string) bool {
	last := w.events[len(w.events)-1]
	return last.chain.table == table && strings.HasPrefix(last.chain.name, receivedChain)
}

// isPicked reports whether rules chose the backend for this packet. The kernel asks them for the first packet of a
// connection alone.
func (w *way) isPicked() bool {
	for _, s := range w.Steps {
		if s.Step == string(ruleset.StepBackend) || s.translates {
			return true
		}
	}
	return false
}

// setFrame sets the backend that a frame went to, by the number of its MAC address. Several backends of a farm can have
// one MAC address: of these none is named alone.
func (t *Translator) setFrame(w *way, number string) {
	i, err := strconv.Atoi(number)
	if err != nil || i >= len(t.Frames) {
		return
	}
	var names []string
	for _, b := range t.Frames[i].Backends {
		if b.Farm == w.farm.Name {
			names = append(names, b.Backend)
		}
	}
	if len(names) != 1 {
		w.Backend, w.BackendAddress = strings.Join(names, " or "), t.Frames[i].MAC.String()
		return
	}
	w.setBackend(func(b farm.Backend) bool { return b.Name == names[0] }, "")
	w.BackendAddress = w.addressOf(w.backend)
}

// setBackend sets the first backend of the farm that is the one.
func (w *way) setBackend(is func(farm.Backend) bool, address string) {
	for _, b := range w.farm.Backends {
		if is(b) {
			w.backend, w.Backend, w.BackendAddress, w.BackendPlace = b, b.Name, address, placeOf(b.Place)
			return
		}
	}
}

// reaches reports whether a destination is the backend's, for packets to the port of the service.
func (w *way) reaches(b farm.Backend, to netip.AddrPort) bool {
	return b.Address[w.family()] == to.Addr() && (to.Port() == 0 || b.PortFor(w.service.Port()) == to.Port())
}

// addressOf writes the address and the port at which a backend gets the packet.
func (w *way) addressOf(b farm.Backend) string {
	return endWords(netip.AddrPortFrom(b.Address[w.family()], b.PortFor(w.service.Port())))
}

// conclude sets the outcome of the packet.
func (t *Translator) conclude(w *way, table string) {
	last := w.events[len(w.events)-1]
	own := func(e event, chain string) bool {
		return e.chain.table == table && strings.HasPrefix(e.chain.name, chain)
	}
	switch {
	case last.verdict.code == drop:
		w.Outcome, w.Reason = Dropped, w.lastWords()
		if w.refused {
			w.Outcome = Refused
		}
	case own(last, leaveChain), w.has(stolen) && w.left(table):
		w.leave(t)
	case w.isReceived(table):
		w.Outcome, w.Reason = Received, receivedWords(w)
	case w.has(stolen):
		w.Outcome = Stopped
		w.Reason = "farmc sent the packet on, and no frame left: the backend does not answer on its link (ARP, " +
			"neighbour discovery); farmc doctor tells"
	case last.verdict.code == queue:
		w.Outcome, w.Reason = Queued, "a program has not decided about the packet"
	default:
		w.Outcome, w.Reason = Stopped, stopWords(w, table)
	}
	if w.Farm == "" && w.Outcome != Dropped && w.Outcome != Refused {
		w.Reason = strings.TrimPrefix(w.Reason+"; no farm takes it", "; ")
	}
}

// lastWords joins the texts of the rules that the packet met in the last base chain.
func (w *way) lastWords() string {
	var words []string
	for _, s := range w.Steps[min(w.decisive, len(w.Steps)):] {
		if s.Told() {
			words = append(words, s.Text)
		}
	}
	return strings.Join(words, "; ")
}

// leave tells the interface by which the packet left, and the source address that the backend sees.
func (w *way) leave(t *Translator) {
	w.Outcome, w.Out, w.Source = Sent, t.link(w.out), endWords(w.latest.source)
	switch {
	case w.out == loopbackIndex:
		w.Outcome, w.Reason = Received, receivedWords(w)
	case w.Backend == "" && w.Farm != "" && w.Mode != string(farm.Local) && w.BackendAddress == "":
		w.Reason = "it leaves, and no backend is known"
	case w.Backend == "" && w.BackendAddress != "":
		w.Reason = "it goes to " + w.BackendAddress + ", which is no backend of the farm now"
	}
}

func receivedWords(w *way) string {
	if w.Mode == string(farm.Local) || w.Backend != "" {
		return "a service of this machine gets it"
	}
	return "this machine itself takes it: no rule translated its destination"
}

// stopWords tells where a packet was seen last that no rule of nf_tables stopped.
func stopWords(w *way, table string) string {
	stage := ""
	for _, e := range w.events {
		if e.chain.table == table {
			stage = e.chain.name
		}
	}
	switch stage {
	case enteredChain:
		return "the kernel does not route it: no route, forwarding is off, or the reverse path filter (rp_filter); " +
			"farmc doctor tells"
	case enterChain, markChain, answerChain:
		return "it is lost before routing: by iptables-legacy, IPVS, or a full connection tracking table"
	case forwardChain, inputChain, forwardedChain:
		return "it is lost after routing, and no rule of nftables stopped it: by iptables-legacy, IPVS or IPsec"
	case outputChain:
		return "it is lost on its way out, and no rule of nftables stopped it"
	}
	return "it is lost, and no rule of nftables stopped it"
}
