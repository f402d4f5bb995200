package packettest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/trace"
)

// A traceRun is farmc trace --json on the balancer.
type traceRun struct {
	*exec.Cmd
	out, said lockedBuffer
}

// startTrace starts a trace, and waits until it traces packets.
func (s *testbed) startTrace(program string, args ...string) (*traceRun, error) {
	args = append([]string{"trace", "--json", "--state-dir", s.engine.Store.Dir, "--for", "1m"}, args...)
	r := &traceRun{Cmd: exec.CommandContext(s.ctx, program, args...)}
	r.Stdout, r.Stderr = &r.out, &r.said
	if err := s.Balancer.Do(r.Start); err != nil {
		return nil, err
	}
	for end := deadline(); !strings.Contains(r.said.String(), "tracing packets"); {
		if end.over() {
			return nil, errors.Join(fmt.Errorf("farmc trace does not begin: %s", r.said.String()), r.Process.Kill())
		}
	}
	return r, nil
}

// all waits for the end of the trace, and returns its packets.
func (r *traceRun) all() (all []trace.Packet, err error) {
	if err := r.Wait(); err != nil {
		return nil, fmt.Errorf("farmc trace: %w: %s", err, r.said.String())
	}
	for line := range bytes.Lines([]byte(r.out.String())) {
		var p trace.Packet
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// packets waits for the end of the trace, and returns its packets by the address and port of the client.
func (r *traceRun) packets() (map[string]trace.Packet, error) {
	all, err := r.all()
	byClient := map[string]trace.Packet{}
	for _, p := range all {
		if _, twice := byClient[p.Client]; twice {
			return nil, fmt.Errorf("two packets of %s were traced", p.Client)
		}
		byClient[p.Client] = p
	}
	return byClient, err
}

// traced sends one datagram of each of some clients, of both families, and traces them. Each datagram has one packet in
// the trace, which names the farm, the machine that answers, and the outcome.
type traced struct {
	program string
	filter  string // arguments of farmc trace
	clients string // their addresses; by default some of both families
	port    uint16 // of the service; 0: 80
	silent  bool   // no datagram is answered
	packets int    // in the trace; 0: all datagrams

	elsewhere bool // a machine answers that is no backend of the farm

	check func(trace.Packet) error
}

func (c traced) do(s *testbed) error {
	questions := c.questions()
	args := append([]string{"--count", fmt.Sprint(len(questions))}, strings.Fields(c.filter)...)
	run, err := s.startTrace(c.program, args...)
	if err != nil {
		return err
	}
	all := udpClients{}
	defer all.close()
	answers := map[string]string{}
	for _, q := range questions {
		if answers[q.Client.String()], err = c.ask(s, all, q); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", q, err), run.Process.Kill())
		}
	}
	packets, err := run.packets()
	if want := cmp.Or(c.packets, len(questions)); err == nil && len(packets) != want {
		err = fmt.Errorf("%d packets were traced, not %d: %s", len(packets), want, run.said.String())
	}
	for client, p := range packets {
		err = errors.Join(err, c.compare(p, answers[client]))
	}
	return err
}

// ask sends a datagram, and returns the name of the machine that answers; "" if none may answer.
func (c traced) ask(s *testbed, all udpClients, q explain.Question) (string, error) {
	if !c.silent {
		return s.askFrom(all, q)
	}
	answered, err := s.passes(all, q, true)
	if answered {
		err = errors.New("it is answered")
	}
	return "", err
}

// questions are datagrams of each client, two of each, from ports of their own.
func (c traced) questions() (out []explain.Question) {
	clients := cmp.Or(c.clients, "198.51.100.3 2001:db8:c::3 198.51.100.4 2001:db8:c::4")
	for i, word := range strings.Fields(clients + " " + clients) {
		client, service := netip.MustParseAddr(word), netip.MustParseAddr("192.0.2.1")
		if client.Is6() {
			service = netip.MustParseAddr("2001:db8::1")
		}
		out = append(out, explain.Question{Client: netip.AddrPortFrom(client, uint16(40000+i)),
			Service: netip.AddrPortFrom(service, cmp.Or(c.port, 80)), Protocol: "udp"})
	}
	return out
}

// compare compares the trace of a packet with the machine that answered it.
func (c traced) compare(p trace.Packet, answered string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: %+v", p.Client, fmt.Sprintf(format, args...), p)
	}
	switch {
	case p.Lost:
		return wrong("steps are missing")
	case c.elsewhere && p.Backend != "",
		!c.elsewhere && !c.silent && answered != answerer(p):
		return wrong("%s answered", answered)
	}
	if err := c.check(p); err != nil {
		return wrong("%v", err)
	}
	return nil
}

// answerer is the machine that answers a packet, as the trace tells it.
func answerer(p trace.Packet) string {
	if p.Outcome == trace.Received {
		return "balancer"
	}
	return p.Backend
}

// tracedConnection opens a connection, sends a datagram or a line, and traces it. The first packet is checked, and
// each packet goes to the machine that answers.
type tracedConnection struct {
	program, filter string
	from, network   string
	to              string
	check           func([]trace.Packet) error
}

func (c tracedConnection) do(s *testbed) error {
	run, err := s.startTrace(c.program, strings.Fields(c.filter)...)
	if err != nil {
		return err
	}
	answer, err := s.machine(c.from).Ask(c.network, netip.Addr{}, netip.MustParseAddrPort(c.to), answerTimeout)
	if err != nil {
		return errors.Join(err, run.Process.Kill())
	}
	packets, err := run.all()
	for _, p := range packets {
		if answerer(p) != answer.Backend {
			err = errors.Join(err, fmt.Errorf("%s answers: %+v", answer.Backend, p))
		}
	}
	return errors.Join(err, c.check(packets))
}

// tells checks the farm, the outcome and the reason of a packet. A step has the text.
func tells(farm string, outcome trace.Outcome, text string) func(trace.Packet) error {
	return func(p trace.Packet) error {
		words := p.Reason
		for _, s := range p.Steps {
			words += "\n" + s.Text + " " + s.Rule
		}
		if p.Farm != farm || p.Outcome != outcome || !strings.Contains(words, text) {
			return fmt.Errorf("want farm %q, %s, %q", farm, outcome, text)
		}
		return nil
	}
}

// needsQueues skips the test if the kernel has no queues of packets for programs.
var needsQueues = stepFunc(func(s *testbed) error {
	if queueProbe.do(s) != nil {
		s.t.Skip("this kernel has no queues to programs; Debian's has")
	}
	return nil
})

const queueProbe = nftScript("table inet q { chain c { queue to 5; }; }; delete table inet q")

// ignoresQueue is a program that binds to a queue, and decides about no packet.
type ignoresQueue uint16

func (number ignoresQueue) do(s *testbed) error {
	return s.Balancer.Do(func() error {
		socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		s.t.Cleanup(socket.Close)
		return errors.Join(
			netlinkRequest(socket, unix.NFNL_SUBSYS_QUEUE, nfqConfig, uint16(number),
				nl.NewRtAttr(nfqCfgCmd, []byte{nfqBind, 0, 0, 0})),
			netlinkRequest(socket, unix.NFNL_SUBSYS_QUEUE, nfqConfig, uint16(number),
				nl.NewRtAttr(nfqCfgParams, []byte{0, 0, 255, 255, nfqCopyPacket})))
	})
}
