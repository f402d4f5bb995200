package packettest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/preflight"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Connections that connection tracking lost since a sample are a finding, and it ends when no more are lost. Here two
// ports serve for 300 connections to one backend.
func TestLossesAreFound(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	must(t, farms{"web": oneBackend("snat", listen1, "b1", 0), "idle": oneBackend("snat", listen2At443, "b1", 0)}.do(s))
	losses := func(since preflight.Losses) (found preflight.Findings) {
		must(t, s.Balancer.Do(func() error {
			all, err := s.engine.LoadedFarms()
			found = slices.DeleteFunc(preflight.Find(s.ctx, all, since), func(f *preflight.Finding) bool {
				return f.Kind != "losses"
			})
			return err
		}))
		return found
	}
	sample := func() (l preflight.Losses) {
		must(t, s.Balancer.Do(func() error { l = preflight.SampleLosses(time.Now()); return nil }))
		return l
	}
	before := sample()
	if found := losses(before); before.At.IsZero() || len(found) > 0 {
		t.Fatalf("sample %+v, found %+v without losses", before, found)
	}
	lost := before
	lost.Failed, lost.Dropped = lost.Failed+1, lost.Dropped+1 // counters of another boot
	if found := losses(lost); len(found) > 0 {
		t.Errorf("found %+v after a boot", found)
	}
	must(t, nftScript(`table inet few {
		chain post {
			type nat hook postrouting priority srcnat - 50
			ip daddr 10.2.0.11 udp dport 80 masquerade to :20000-20001
		}
	}`).do(s))
	to := netip.MustParseAddrPort("192.0.2.1:80")
	for range 300 {
		conn, err := s.Client.Dial("udp4", s.newClient(s.Client, to.Addr()), to, time.Second)
		must(t, err)
		_, err = conn.Write([]byte("hello"))
		must(t, err)
		conn.Close()
	}
	found := losses(before)
	if len(found) != 1 || found[0].Object != "ports" ||
		!strings.Contains(found[0].Text(), "insert_failed) (farm web)") {
		t.Errorf("found %+v, counters %+v", found, sample())
	}
	if found := losses(sample()); len(found) > 0 {
		t.Errorf("found %+v after the losses", found)
	}
}

// A full table of connection tracking is a finding, and it ends when there is room again. Here the test fills it.
func TestFullTableIsFound(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	must(t, farms{"web": oneBackend("snat", listen1, "b1", 0)}.do(s))
	limit, err := kernelNumber(s.Balancer, "net/netfilter/nf_conntrack_max")
	must(t, err)
	if limit > 300000 {
		t.Skipf("the table has room for %d connections", limit)
	}
	must(t, s.Balancer.Do(func() error { return fillConntrack(limit) }))
	var before preflight.Losses
	must(t, s.Balancer.Do(func() error { before = preflight.SampleLosses(time.Now()); return nil }))
	to := netip.MustParseAddrPort("192.0.2.1:80")
	send := func() (lost int) {
		for range 150 {
			conn, err := s.Client.Dial("udp4", s.newClient(s.Client, to.Addr()), to, time.Second)
			must(t, err)
			conn.Write([]byte("hello"))
			conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, _ := conn.Read(make([]byte, 100)); n == 0 {
				lost++
			}
			conn.Close()
		}
		return lost
	}
	found := func(since preflight.Losses) (all preflight.Findings) {
		must(t, s.Balancer.Do(func() error {
			loaded, err := s.engine.LoadedFarms()
			all = preflight.Find(s.ctx, loaded, since).Without(preflight.Notes)
			return err
		}))
		return all
	}
	if lost := send(); lost < 100 {
		t.Fatalf("%d of 150 are lost", lost)
	}
	all := found(before)
	if len(all) != 1 || all[0].Object != "table" || !strings.Contains(all[0].Text(), "no room for them (farm web)") ||
		!strings.HasPrefix(all[0].Hint(), "sysctl -w net.netfilter.nf_conntrack_max=") {
		t.Errorf("found %+v", all)
	}
	must(t, runs("conntrack -F").do(s)) // a namespace cannot set the limit
	must(t, s.Balancer.Do(func() error { before = preflight.SampleLosses(time.Now()); return nil }))
	if all := found(before); len(all) > 0 {
		t.Errorf("found %+v with room", all)
	}
}

// fillConntrack creates entries that the kernel does not give up for others (assured).
func fillConntrack(n int) error {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer socket.Close()
	var batch []byte
	for i := range n {
		const create, assured = 0, 1<<1 | 1<<2 | 1<<3 // IPCTNL_MSG_CT_NEW; seen reply, assured, confirmed
		request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|create, unix.NLM_F_CREATE)
		request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET})
		there := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		back := netip.MustParseAddr("100.127.0.1")
		request.AddData(conntrackTuple(nl.CTA_TUPLE_ORIG, there, back))
		request.AddData(conntrackTuple(nl.CTA_TUPLE_REPLY, back, there))
		request.AddData(nl.NewRtAttr(nl.CTA_STATUS, binary.BigEndian.AppendUint32(nil, assured)))
		request.AddData(nl.NewRtAttr(nl.CTA_TIMEOUT, binary.BigEndian.AppendUint32(nil, 3600)))
		batch = append(batch, request.Serialize()...)
		if i%100 < 99 && i < n-1 {
			continue
		}
		if err := unix.Sendto(socket.GetFd(), batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		batch = nil
	}
	return nil
}

func conntrackTuple(kind int, from, to netip.Addr) *nl.RtAttr {
	tuple := nl.NewRtAttr(unix.NLA_F_NESTED|kind, nil)
	ip := tuple.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_IP, nil)
	ip.AddRtAttr(nl.CTA_IP_V4_SRC, from.AsSlice())
	ip.AddRtAttr(nl.CTA_IP_V4_DST, to.AsSlice())
	proto := tuple.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_PROTO, nil)
	proto.AddRtAttr(nl.CTA_PROTO_NUM, []byte{unix.IPPROTO_UDP})
	proto.AddRtAttr(nl.CTA_PROTO_SRC_PORT, []byte{0, 9})
	proto.AddRtAttr(nl.CTA_PROTO_DST_PORT, []byte{0, 9})
	return tuple
}

// kernelNumber reads a kernel parameter of a machine, by its path.
func kernelNumber(h *netlab.Host, path string) (n int, err error) {
	err = h.Do(func() error {
		text, err := os.ReadFile("/proc/sys/" + path)
		if err == nil {
			_, err = fmt.Sscan(string(text), &n)
		}
		return err
	})
	return n, err
}
