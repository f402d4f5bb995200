package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An nflogReader reads log lines of a machine. The kernel's own log is shared by all namespaces and accepts lines of
// the first namespace only. So rules are loaded with a group, and the kernel sends the same lines to a netlink socket.
type nflogReader struct{ *nl.NetlinkSocket }

// From include/uapi/linux/netfilter/nfnetlink_log.h.
const (
	nfulPacket, nfulConfig                      = 0, 1
	nfulPrefix, nfulPayload                     = 10, 9
	nfulCfgCmd, nfulCfgMode, nfulCfgQueueThresh = 1, 2, 5
	nfulBind, nfulCopyPacket                    = 1, 2
)

const nflogGroup = 7

// nflogBytes is how much of a packet a line has: the answer of a server, quoted in an ICMP error, fits.
const nflogBytes = 512

// openNFLog reads all lines of the group on a machine from now on.
func openNFLog(h *netlab.Host) (j nflogReader, err error) {
	err = h.Do(func() error {
		if j.NetlinkSocket, err = nl.Subscribe(unix.NETLINK_NETFILTER); err != nil {
			return err
		}
		return errors.Join(
			j.SetReceiveBufferSize(16<<20, true),
			j.configure(nl.NewRtAttr(nfulCfgCmd, []byte{nfulBind})),
			j.configure(nl.NewRtAttr(nfulCfgMode, []byte{0, 0, nflogBytes >> 8, nflogBytes & 255, nfulCopyPacket, 0})),
			j.configure(nl.NewRtAttr(nfulCfgQueueThresh, []byte{0, 0, 0, 1})))
	})
	return j, err
}

// logToGroup loads the script again with a group in each log statement.
var logToGroup = stepFunc(func(s *testbed) error {
	script, told := s.engine.Compile()
	if told.Faulty() {
		return fmt.Errorf("%v", told)
	}
	return nftScript(logStatement.ReplaceAll(script.Text, fmt.Appendf(nil, "$0 group %d", nflogGroup))).do(s)
})

var logStatement = regexp.MustCompile(`\blog prefix "[^"]*"`)

func (j nflogReader) configure(attribute *nl.RtAttr) error {
	return netlinkRequest(j.NetlinkSocket, unix.NFNL_SUBSYS_ULOG, nfulConfig, nflogGroup, attribute)
}

// netlinkRequest sends a request to a subsystem of netfilter, about a numbered resource, and waits for the result.
func netlinkRequest(socket *nl.NetlinkSocket, part, message int, resource uint16, attributes ...*nl.RtAttr) error {
	r := nl.NewNetlinkRequest(part<<8|message, unix.NLM_F_ACK)
	r.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, ResId: resource>>8 | resource<<8})
	for _, a := range attributes {
		r.AddData(a)
	}
	if err := socket.Send(r); err != nil {
		return err
	}
	for {
		answers, _, err := socket.Receive()
		if err != nil {
			return err
		}
		for _, a := range answers {
			if a.Header.Type == unix.NLMSG_ERROR {
				if code := int32(binary.NativeEndian.Uint32(a.Data)); code != 0 {
					return syscall.Errno(-code)
				}
				return nil
			}
		}
	}
}

// read returns the lines since the last call, each as "PREFIX: PROTOCOL SOURCE > DESTINATION".
func (j nflogReader) read(s *testbed) (all []string, err error) {
	err = j.each(func(prefix string, packet []byte) error {
		if !strings.HasSuffix(prefix, " ") {
			return fmt.Errorf("no space between the prefix %q and the packet", prefix)
		}
		all = append(all, strings.TrimSuffix(prefix, " ")+": "+s.describe(packet))
		return nil
	})
	return all, err
}

// each calls a function with the prefix and the packet of each line since the last call.
func (j nflogReader) each(f func(prefix string, packet []byte) error) error {
	buffer := make([]byte, 1<<18)
	for {
		n, _, err := unix.Recvfrom(j.GetFd(), buffer, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.Header.Type != unix.NFNL_SUBSYS_ULOG<<8|nfulPacket {
				continue
			}
			attributes, err := nl.ParseRouteAttrAsMap(m.Data[nl.SizeofNfgenmsg:])
			if err != nil {
				return err
			}
			prefix := unix.ByteSliceToString(attributes[nfulPrefix].Value)
			if err := f(prefix, attributes[nfulPayload].Value); err != nil {
				return err
			}
		}
	}
}

// describe returns source and destination of a packet, without the source port.
func (s *testbed) describe(packet []byte) string {
	from, to, protocol, rest := netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20])),
		packet[9], packet[20:]
	if packet[0]>>4 == 6 {
		from, to, protocol, rest = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40])),
			packet[6], packet[40:]
	}
	name := map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}[protocol]
	if name == "" {
		return fmt.Sprintf("%d %s > %s", protocol, s.hostOf(from), to)
	}
	return fmt.Sprintf("%s %s > %s", name, s.hostOf(from), netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:])))
}

// clientNetworks are all networks of the client.
var clientNetworks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:c::/48")}

func (s *testbed) hostOf(a netip.Addr) string {
	if slices.ContainsFunc(clientNetworks, func(n netip.Prefix) bool { return n.Contains(a) }) {
		return "client"
	}
	at := slices.IndexFunc(s.machines(), func(h *netlab.Host) bool {
		return slices.Contains(h.IP4, a) || slices.Contains(h.IP6, a) || a == address(h, a)
	})
	if at < 0 {
		return a.String()
	}
	return s.machines()[at].Name
}

// logged: a step writes these log lines, each so many times, and no others.
type logged struct {
	step
	lines map[string]int
}

func (w logged) do(s *testbed) error {
	if s.nflog.NetlinkSocket == nil {
		var err error
		if s.nflog, err = openNFLog(s.Balancer); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		s.t.Cleanup(s.nflog.Close)
	}
	repeated := s.retransmitted
	if err := w.step.do(s); err != nil {
		return err
	}
	lines, err := s.nflog.read(s)
	if err != nil {
		return err
	}
	got := map[string]int{}
	for _, line := range lines {
		got[line]++
	}
	for line, want := range w.lines { // without lines of retransmitted packets
		got[line] -= min(max(got[line]-want, 0), s.retransmitted-repeated)
	}
	if !maps.Equal(got, w.lines) {
		return fmt.Errorf("log lines are\n\t%v\nwant\n\t%v", got, w.lines)
	}
	return nil
}

// sumOf adds up numbers of lines.
func sumOf(all ...map[string]int) map[string]int {
	out := map[string]int{}
	for _, lines := range all {
		for line, n := range lines {
			out[line] += n
		}
	}
	return out
}
