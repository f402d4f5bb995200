package packettest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

type accessMode struct {
	name, mode   string
	keys, behind string // keys of the farm, and of its backend
	sees         string
	lab          netlab.Options
}

// farm has the backend b1, with the lists of these cases beside it.
func (m accessMode) farm(listen, access string) farms {
	farm := oneBackend(m.mode, listen, "b1", 0, m.keys) + m.behind
	if m.mode == "local" {
		farm = localFarm(listen, m.keys)
	}
	return farms{"web": farm + access, "friends.list": allowedList, "outcasts.list": deniedList}
}

// serves: clients send requests over TCP and UDP, and b1 answers.
func (m accessMode) serves(to, clients string) step {
	port := to[strings.LastIndex(to, ":"):]
	if m.mode == "dsr" {
		return directRequest{by: "tcp udp", to: to, as: clients, shares: shares{"b1": 1}, clients: 2}
	}
	who := "b1"
	if m.mode == "local" {
		who = "balancer"
	}
	return request{by: "tcp udp", to: to, as: clients, shares: shares{who + port: 1}, sees: m.sees, times: 2}
}

// The number of clients, and of networks in the list. The test has also passed with 500,000 networks.
const (
	accessClients = 10_000
	listLength    = 20_000
)

func (s *testbed) sendFromMany(r *rand.Rand) error {
	networks, text := randomList(r)
	err := steps{
		nftScript(`table inet spy {
			set seen4 { type ipv4_addr; size 65535; flags dynamic; }
			set seen6 { type ipv6_addr; size 65535; flags dynamic; }
			counter passed { }
			chain prerouting {
				type filter hook prerouting priority -305
				udp dport 80 ip daddr 192.0.2.1 update @seen4 { ip saddr } counter name passed drop
				udp dport 80 ip6 daddr 2001:db8::1 update @seen6 { ip6 saddr } counter name passed drop
			}
		}`),
		farms{"web": oneBackend("dnat", listen1, "b1", 0) + "\n[access]\ndeny = \"@many\"", "many.list": text},
	}.do(s)
	if err != nil {
		return err
	}
	inside, known := map[netip.Addr]bool{}, prefixSet{}
	for _, p := range networks {
		known[p] = true
	}
	for len(inside) < accessClients {
		if a := randomClient(r, networks); validClient(a) {
			inside[a] = known.contains(a)
		}
	}
	knocked := 0
	for a := range inside {
		to := netip.MustParseAddr(map[bool]string{true: "192.0.2.1", false: "2001:db8::1"}[a.Is4()])
		if err := s.Client.SendPacket(netlab.Packet(a, to, protocolUDP, udpDatagram)); err != nil {
			return err
		}
		if knocked++; knocked%500 == 0 || knocked == len(inside) { // a queue holds no more at once
			if err := s.awaitPackets(knocked); err != nil {
				return err
			}
		}
	}
	passed := map[netip.Addr]bool{}
	for _, set := range []string{"seen4", "seen6"} {
		out, err := s.Balancer.Run(s.ctx, "", "nft", "list", "set", "inet", "spy", set)
		if err != nil {
			return err
		}
		_, elements, _ := strings.Cut(out, "elements = {")
		for _, word := range strings.FieldsFunc(elements,
			func(r rune) bool { return strings.ContainsRune(" ,}\n\t", r) }) {
			passed[netip.MustParseAddr(word)] = true
		}
	}
	for a, is := range inside {
		if passed[a] == is {
			return fmt.Errorf("%s is in the list: %t, and passed: %t", a, is, passed[a])
		}
	}
	s.t.Logf("%d networks, %d of %d clients denied", len(networks), len(inside)-len(passed), len(inside))
	return nil
}

type prefixSet map[netip.Prefix]bool

// contains tries prefixes of all lengths.
func (known prefixSet) contains(a netip.Addr) bool {
	for length := range a.BitLen() + 1 {
		if p, _ := a.Prefix(length); known[p] {
			return true
		}
	}
	return false
}

// awaitPackets waits until n packets are denied or passed.
func (s *testbed) awaitPackets(n int) error {
	for end := deadline(); ; {
		turnedAway, err := denied{}.count(s)
		if err != nil {
			return err
		}
		passed, err := nftCounter(s, "spy", "passed")
		if err != nil || turnedAway+passed == n {
			return err
		}
		if end.over() {
			return fmt.Errorf("%d packets of %d are denied, %d passed", turnedAway, n, passed)
		}
	}
}

// randomList has networks of both families and many lengths, nested and adjacent networks, and ranges.
func randomList(r *rand.Rand) ([]netip.Prefix, string) {
	var networks []netip.Prefix
	var text strings.Builder
	for range listLength {
		a := randomClient(r, networks)
		length := a.BitLen() - []int{0, 0, 1, 4, 8, 8, 8, 11, 20}[r.IntN(9)]
		p := netip.PrefixFrom(a, length).Masked()
		networks = append(networks, p)
		if length == a.BitLen()-1 { // two addresses
			fmt.Fprintf(&text, "%s - %s ; SBL\n", p.Addr(), p.Addr().Next())
			continue
		}
		fmt.Fprintf(&text, "%s # SBL\n", p)
	}
	return networks, text.String()
}

// randomClient is at an edge of a network, or anywhere.
func randomClient(r *rand.Rand, networks []netip.Prefix) netip.Addr {
	if len(networks) > 0 && r.IntN(3) > 0 {
		p := networks[r.IntN(len(networks))]
		last := p.Addr().AsSlice()
		for i := p.Bits(); i < p.Addr().BitLen(); i++ {
			last[i/8] |= 0x80 >> (i % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		if a := []netip.Addr{p.Addr(), p.Addr().Prev(), end, end.Next()}[r.IntN(4)]; a.IsValid() {
			return a
		}
	}
	if r.IntN(4) == 0 {
		return netip.AddrFrom16([16]byte{0x2a, byte(r.IntN(4)), byte(r.IntN(256)), byte(r.IntN(256)),
			4: byte(r.IntN(4)), 15: byte(r.IntN(256))})
	}
	return netip.AddrFrom4([4]byte{byte(11 + r.IntN(100)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
}

// validClient says whether the kernel accepts the address as the source of a packet.
func validClient(a netip.Addr) bool {
	return a.IsGlobalUnicast() && (a.Is6() || a.As4()[0] < 127 && a.As4()[0] > 10)
}

// icmpErrorsPass: access lets ICMP errors of routers pass that are not in the allow list.
func icmpErrorsPass(s *testbed) error {
	for _, e := range []rawPacket{
		{protocolICMP, netip.MustParseAddrPort("203.0.113.2:0"), netip.MustParseAddrPort("192.0.2.1:0"),
			"\x03\x04\x00\x00\x00\x00\x05\x00"},
		{protocolICMP6, netip.MustParseAddrPort("[2001:db8:f::2]:0"), netip.MustParseAddrPort("[2001:db8::1]:0"),
			"\x02\x00\x00\x00\x00\x00\x05\x00"},
	} {
		before, err := nftCounter(s, "spy", "errors")
		if err == nil {
			err = s.Client.SendPacket(e.bytes())
		}
		for end := deadline(); err == nil; {
			now, err := nftCounter(s, "spy", "errors")
			if now > before || err != nil {
				break
			}
			if end.over() {
				return fmt.Errorf("%v does not pass", e)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heldAreDenied: access drops the packets of connections that are held open.
type heldAreDenied struct{}

func (heldAreDenied) do(s *testbed) error {
	for _, c := range s.held {
		before, err := denied{}.count(s)
		if err == nil {
			err = c.SetDeadline(time.Now().Add(answerTimeout))
		}
		if err == nil {
			_, err = c.Write([]byte("still there?"))
		}
		for end := deadline(); err == nil; {
			now, err := denied{}.count(s)
			if now > before || err != nil {
				break
			}
			if end.over() {
				return c.wrap(errors.New("its packets are not denied"))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// denied: a farm drops and counts the packets of a client.
type denied struct {
	from, as string
	by, to   string
	farm     string // "web" if empty
	size     int    // of the client's datagram
	packets  int    // the number of packets that the datagram arrives in
}

func (d denied) do(s *testbed) (err error) {
	for _, q := range s.targets(d.from, d.by, d.to) {
		err = errors.Join(err, q.wrap(d.once(s, q)))
	}
	return err
}

func (d denied) once(s *testbed, q target) error {
	before, err := d.count(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, answerTimeout)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- q.askUntil(ctx, s.newClientAs(q.from, q.to.Addr(), d.as), max(d.size, 1)) }()
	for {
		now, err := d.count(s)
		if err != nil || now >= before+max(d.packets, 1) {
			cancel()
			if <-answered == nil {
				return errors.New("counted as denied, and answered")
			}
			return err
		}
		select {
		case err := <-answered:
			if now, _ := d.count(s); now >= before+max(d.packets, 1) && err != nil {
				return nil // the kernel refuses to send the balancer's own datagrams
			}
			return fmt.Errorf("not denied, but answered: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
}

// askUntil sends a request and waits for the answer until the context ends.
func (q target) askUntil(ctx context.Context, as netip.AddrPort, size int) error {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(as)}
	if q.udp() {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(as)
	}
	var c net.Conn
	err := q.from.Do(func() (err error) {
		c, err = dialer.DialContext(ctx, q.network, q.to.String())
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if q.udp() {
		if _, err := c.Write(bytes.Repeat([]byte("?"), size)); err != nil {
			return err
		}
	}
	_, err = netlab.ReadAnswer(c)
	return err
}

// count is the number of packets that the farm has denied.
func (d denied) count(s *testbed) (n int, err error) {
	return nftCounter(s, "farmc", "farm/"+cmp.Or(d.farm, "web")+"/denied")
}

// nftCounter reads a named counter on the balancer.
func nftCounter(s *testbed, table, counter string) (n int, err error) {
	out, err := s.Balancer.Run(s.ctx, "", "nft", "list", "counter", "inet", table, counter)
	if err == nil {
		_, after, _ := strings.Cut(out, "packets ")
		_, err = fmt.Sscan(after, &n)
	}
	return n, err
}
