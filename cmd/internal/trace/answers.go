package trace

import (
	"iter"
	"net/netip"

	"farmc/cmd/internal/nfnetlink"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// Answers of backends are selected by the original direction of their connection, which the kernel knows from the
// priority of connection tracking on, or, without connection tracking, by the address of the backend.

// answerChain marks answers.
const answerChain = "answer"

// afterTracking is the first priority at which packets have their connection.
const afterTracking = -199

// answerWatchers are the base chains that select answers of tracked connections: from backends, and from this machine.
var answerWatchers = []nfnetlink.BaseChain{
	{Name: "answers", Hook: unix.NF_INET_PRE_ROUTING, Priority: afterTracking},
	{Name: "own-answers", Hook: unix.NF_INET_LOCAL_OUT, Priority: afterTracking},
}

// markAnswers adds the rules that select answers. They have a bound of their own, so that requests are followed, too.
func (t *table) markAnswers(f *Filter, most int) {
	t.Chain(answerChain)
	if !f.All {
		t.Rule(answerChain, append(opensOrEndsNone(), nfnetlink.Verdict(unix.NFT_RETURN, ""))...)
	}
	t.Rule(answerChain, append(rule{atMost(packetRate, most)}, mark()...)...)
	for _, sender := range f.Senders {
		t.Rule(enterChain, append(f.matchSender(sender), nfnetlink.Verdict(unix.NFT_GOTO, answerChain))...)
	}
	if !f.Tracked {
		return
	}
	for i := range answerWatchers {
		t.BaseChain(&answerWatchers[i])
		for _, target := range f.Targets {
			t.Rule(answerWatchers[i].Name,
				append(f.matchAnswer(target), nfnetlink.Verdict(unix.NFT_GOTO, answerChain))...)
		}
	}
}

// matchAnswer matches the answers of tracked connections to a target.
func (f *Filter) matchAnswer(t Target) (out rule) {
	const reply = 1 // IP_CT_DIR_REPLY
	out = append(isFamily(t.IP6, unix.NFPROTO_INET), loadConnection(unix.NFT_CT_DIRECTION),
		compare(unix.NFT_CMP_EQ, []byte{reply}))
	from, to := unix.NFT_CT_SRC_IP, unix.NFT_CT_DST_IP
	if t.IP6 {
		from, to = unix.NFT_CT_SRC_IP6, unix.NFT_CT_DST_IP6
	}
	if f.Clients.IsValid() {
		out = append(append(out, loadOriginal(from)), isIn(f.Clients)...)
	}
	if t.Destination.IsValid() {
		out = append(append(out, loadOriginal(to)), isIn(t.Destination)...)
	}
	if t.Protocol != 0 {
		out = append(out, isProtocol(t.Protocol)...)
	}
	if f.ClientPort != 0 {
		out = append(append(out, loadOriginal(unix.NFT_CT_PROTO_SRC)),
			isBetween(farm.Ports{First: f.ClientPort, Last: f.ClientPort})...)
	}
	if t.Ports.First != 0 {
		out = append(append(out, loadOriginal(unix.NFT_CT_PROTO_DST)), isBetween(t.Ports)...)
	}
	return out
}

// matchSender matches the packets of a backend to the clients of the filter.
func (f *Filter) matchSender(t Target) (out rule) {
	size, source, destination := headerOffsets(t.IP6)
	out = append(isFamily(t.IP6, unix.NFPROTO_INET), inNetwork(source, size, t.Destination)...)
	if f.Clients.IsValid() {
		out = append(out, inNetwork(destination, size, f.Clients)...)
	}
	if t.Protocol != 0 {
		out = append(out, isProtocol(t.Protocol)...)
	}
	if t.Ports.First != 0 {
		out = append(out, inPorts(0, t.Ports)...)
	}
	if f.ClientPort != 0 {
		out = append(out, inPorts(2, farm.Ports{First: f.ClientPort, Last: f.ClientPort})...)
	}
	return out
}

// SendersOf returns the backends of a farm, if their answers pass this machine without connection tracking.
func SendersOf(f *farm.Farm) (out []Target) {
	if f.Mode == farm.Stateless {
		for _, t := range senders(f) {
			out = append(out, t)
		}
	}
	return out
}

// senders are the sources of answers to clients of a farm, with their backends.
func senders(f *farm.Farm) iter.Seq2[farm.Backend, Target] {
	return func(yield func(farm.Backend, Target) bool) {
		for _, d := range f.Frontends() {
			for _, b := range f.WithFamily(d.Family) {
				a := b.Address[d.Family]
				t := Target{IP6: a.Is6(), Destination: netip.PrefixFrom(a, a.BitLen()),
					Protocol: uint8(d.Protocol.Number())}
				if d.Ports.First != 0 && d.Ports.First == d.Ports.Last {
					port := b.PortFor(d.Ports.First)
					t.Ports = farm.Ports{First: port, Last: port}
				}
				if !yield(b, t) {
					return
				}
			}
		}
	}
}

// turn makes the client and the service of an answer: it came from the backend, and leaves from the service to the
// client. One that was stopped on its way has the addresses that it had by then.
func (w *way) turn() {
	w.Answer = true
	w.sender, w.service = w.first.source, w.latest.source
	w.Client, w.Service = endWords(w.latest.destination), endWords(w.latest.source)
}

// findSender finds the backend that sent an answer, and its farm, if the packet did not come to its end.
func (t *Translator) findSender(w *way) {
	for _, f := range t.Farms {
		if w.farm != nil && f != w.farm {
			continue
		}
		for b, s := range senders(f) {
			if s.Destination.Addr() != w.sender.Addr() || s.Protocol != 0 && s.Protocol != w.first.protocol ||
				s.Ports.First != 0 && s.Ports.First != w.sender.Port() {
				continue
			}
			w.farm, w.Farm, w.Mode = f, f.Name, string(f.Mode)
			w.setBackend(func(o farm.Backend) bool { return o.Name == b.Name }, endWords(w.sender))
			return
		}
	}
}
