package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestInvalid: NAT does not translate a segment far beyond the window, of the backend or of the client. A reset in
// answer to it ends the connection, unless the segment is dropped.
func TestInvalid(t *testing.T) {
	t.Parallel()
	play(t, slices.Concat(invalidScenes("snat"), invalidScenes("dnat"), []scene{
		{name: "others-are-left-alone", steps: steps{
			farms{"web": one("dnat", listenBoth, "b1", 8081), "range": one("dnat", invalidRange, "b2", 0)},
			hold{by: "tcp", to: "10.2.0.11:443 [fd00:2::11]:443 10.2.0.12:8082 [fd00:2::12]:8082"},
			beyond{by: "b1", arrives: true}, beyond{by: "b2", arrives: true}, beyond{by: "client", arrives: true},
		}},
	}))
}

const invalidRange = `"192.0.2.1:8000-8070/tcp,udp", "[2001:db8::1]:8000-8070/tcp,udp"`

func invalidScenes(mode string) (all []scene) {
	const strict = "[limits]\nstrict-tcp = true\n"
	both := "192.0.2.1:80 [2001:db8::1]:80"
	ends := func(name, to string, before ...step) scene {
		return scene{name: mode + "-" + name, steps: append(before,
			hold{by: "tcp", to: to}, beyond{by: "b1"}, echo{}, beyond{by: "client"}, echo{})}
	}
	pass := func(by string) scene {
		return scene{name: mode + "-pass-" + by, steps: steps{
			farms{"web": one(mode, listenBoth, "b1", 8081, `invalid = "pass"`)},
			lacksRule("invalid"), hold{by: "tcp", to: both}, beyond{by: by}, deed(allCut),
			on{"balancer", "sysctl -q -w net.netfilter.nf_conntrack_tcp_be_liberal=1"},
			hangUp, hold{by: "tcp", to: both}, beyond{by: by, arrives: true}, echo{},
		}}
	}
	local := scene{name: mode + "-local-clients", steps: steps{
		farms{"web": one(mode, listenBoth, "b1", 8081, "local-clients = true")},
		hold{from: "balancer", by: "tcp", to: both}, beyond{by: "b1"}, echo{},
	}}
	return []scene{
		ends("port", both, farms{"web": one(mode, listenBoth, "b1", 8081)}),
		ends("strict", both, farms{"web": one(mode, listenBoth, "b1", 8081) + strict}),
		ends("interfaces", both, farms{"web": one(mode, listenBoth, "b1", 8081, `interfaces = "eth0"`)}),
		ends("range", "192.0.2.1:8050 [2001:db8::1]:8050", farms{"web": one(mode, invalidRange, "b1", 0)}),
		ends("whole", "192.0.2.2:80 [2001:db8::2]:80", farms{"web": one(mode, `"192.0.2.2", "2001:db8::2"`, "b1", 0)}),
		ends("any", both, farms{"web": one(mode, `"*:80/tcp,udp"`, "b1", 8081)}),
		ends("beside-pass", both, farms{"web": one(mode, listenBoth, "b1", 8081),
			"other": one(mode, listenSecond, "b1", 443, `invalid = "pass"`)}),
		ends("reloaded", both,
			farms{"web": one(mode, listenBoth, "b1", 8081, `invalid = "pass"`)}, lacksRule("invalid"),
			farms{"web": one(mode, listenBoth, "b1", 8081), "mail": one("dnat", listenSecond, "b2", 0)},
			farms{"web": one(mode, listenBoth, "b1", 8081)}),
		{name: mode + "-routed", lab: netlab.Options{NoVIPs: true}, steps: steps{
			outward, farms{"web": one(mode, listenBoth, "b1", 8081)},
			hold{by: "tcp", to: both}, beyond{by: "b1"}, echo{}, beyond{by: "client"}, echo{},
		}},
		pass("b1"), pass("client"), local,
	}
}

// lacksRule: no chain of farmc's has the word in its name.
type lacksRule string

func (l lacksRule) do(s *stage) error {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "list table inet farmc")
	if err == nil && strings.Contains(text, string(l)) {
		err = fmt.Errorf("there is something called %q:\n%s", l, text)
	}
	return err
}

// allCut: no connection that is held goes on.
func allCut(s *stage) error {
	for _, c := range s.held {
		if err := c.echo([]byte(time.Now().String())); err == nil {
			return c.blame(errors.New("goes on"))
		}
	}
	return nil
}

// beyond has one end of each connection that is held send a segment far beyond the window. Whether it arrives at the
// other end tells of what others do to it.
type beyond struct {
	by      string
	arrives bool
}

func (b beyond) do(s *stage) error {
	link := map[bool]string{true: "eth0", false: "eth1"}[b.by == "client"]
	tap, err := s.Balancer.Tap(link)
	if err != nil {
		return err
	}
	defer tap.Close()
	if err := (echo{}).do(s); err != nil {
		return err
	}
	last := map[string][]byte{} // of each connection, by addresses and ports
	for {
		packet, err := tap.Next(silence, func(packet []byte) bool { return protocolOf(packet) == protocolTCP })
		if netlab.TimedOut(err) {
			break
		}
		if err != nil {
			return err
		}
		from, to := ends(packet)
		last[from.String()+to.String()] = slices.Clone(packet)
	}
	if len(last) == 0 {
		return errors.New("nothing is heard of the connections")
	}
	return b.send(s, last)
}

func (b beyond) send(s *stage, last map[string][]byte) error {
	taps, err := s.taps()
	if err != nil {
		return err
	}
	if taps["client"], err = s.Client.Tap("eth0"); err != nil {
		return err
	}
	defer taps["client"].Close()
	sent := 0
	for _, packet := range last {
		from, to := ends(packet)
		if b.by != "client" && from.Addr() != address(s.machine(b.by), from.Addr()) {
			continue
		}
		sent++
		if err := s.machine(b.by).SendPacket(beyondWindow(packet)); err != nil {
			return err
		}
		if err := b.arrived(taps, s, to); err != nil {
			return err
		}
	}
	if sent == 0 {
		return fmt.Errorf("%s has no connection", b.by)
	}
	time.Sleep(silence)
	return nil
}

// arrived says whether the segment to there arrives, where it should.
func (b beyond) arrived(taps map[string]*netlab.Tap, s *stage, to netip.AddrPort) error {
	if !b.arrives {
		return nil
	}
	at := "client"
	if b.by == "client" {
		at = "b1"
		for _, m := range s.Backends {
			if address(m, to.Addr()) == to.Addr() {
				at = m.Name
			}
		}
	}
	stray := func(packet []byte) bool { return strings.HasSuffix(string(packet), strayPayload) }
	if _, err := taps[at].Next(patience, stray); err != nil {
		return fmt.Errorf("the segment of %s to %s does not arrive at %s: %w", b.by, to, at, err)
	}
	return nil
}

// tcpPart is what follows the IP header.
func tcpPart(packet []byte) []byte { return packet[len(packet)-int(tcpLength(packet)):] }

// ends are where a segment comes from and goes to.
func ends(packet []byte) (from, to netip.AddrPort) {
	source, destination := packet[12:16], packet[16:20]
	if packet[0]>>4 == 6 {
		source, destination = packet[8:24], packet[24:40]
	}
	a, _ := netip.AddrFromSlice(source)
	b, _ := netip.AddrFromSlice(destination)
	message := tcpPart(packet)
	sport, dport := binary.BigEndian.Uint16(message), binary.BigEndian.Uint16(message[2:])
	return netip.AddrPortFrom(a, sport), netip.AddrPortFrom(b, dport)
}

const strayPayload = "far beyond"

// beyondWindow is a segment that follows another one, but for 2^30 bytes.
func beyondWindow(packet []byte) []byte {
	from, to := ends(packet)
	message := append(slices.Clone(tcpPart(packet)[:20]), strayPayload...)
	binary.BigEndian.PutUint32(message[4:], binary.BigEndian.Uint32(message[4:])+1<<30)
	message[12], message[13] = 5<<4, flagACK|flagPSH
	message[16], message[17] = 0, 0
	binary.BigEndian.PutUint16(message[16:], transportChecksum(protocolTCP, from.Addr(), to.Addr(), message))
	return netlab.Packet(from.Addr(), to.Addr(), protocolTCP, message)
}
