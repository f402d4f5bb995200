package packettest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/nfnetlink"
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

// count is the number of packets that the farm has denied, by its own addresses and by lists.
func (d denied) count(s *testbed) (n int, err error) {
	own := "farm/" + cmp.Or(d.farm, "web") + "/denied"
	err = s.Balancer.Do(func() error {
		counters, err := s.engine.Nft.NamedCounters(s.ctx)
		for name, c := range counters {
			if name == own || strings.HasPrefix(name, own+"/list/") {
				n += int(c.Packets)
			}
		}
		return err
	})
	return n, err
}

// nftCounter reads a named counter on the balancer.
func nftCounter(s *testbed, table, counter string) (int, error) {
	return nftCounterOf(s, s.Balancer, table, counter)
}

// nftCounterOf reads a named counter on a machine.
func nftCounterOf(s *testbed, h *netlab.Host, table, counter string) (n int, err error) {
	err = h.Do(func() error {
		answers, err := nfnetlink.Query(s.ctx, unix.NFT_MSG_GETOBJ, 0, unix.NFPROTO_INET,
			nl.NewRtAttr(unix.NFTA_OBJ_TABLE, nl.ZeroTerminated(table)),
			nl.NewRtAttr(unix.NFTA_OBJ_NAME, nl.ZeroTerminated(counter)),
			nl.NewRtAttr(unix.NFTA_OBJ_TYPE, binary.BigEndian.AppendUint32(nil, unix.NFT_OBJECT_COUNTER)))
		if err != nil {
			return fmt.Errorf("counter %s of table %s: %w", counter, table, err)
		}
		for _, a := range answers {
			n += int(nfnetlink.Parse(a.Attributes[unix.NFTA_OBJ_DATA]).Number64(unix.NFTA_COUNTER_PACKETS))
		}
		return nil
	})
	return n, err
}
