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

// A journal hears what the balancer writes to its log. The kernel's own is one for all namespaces, and shut to all but the
// first, so rules that write to it are loaded with a group, to whose socket the kernel sends the same words at once.
type journal struct{ *nl.NetlinkSocket }

// Of include/uapi/linux/netfilter/nfnetlink_log.h.
const (
	nfulPacket, nfulConfig                      = 0, 1
	nfulPrefix, nfulPayload                     = 10, 9
	nfulCfgCmd, nfulCfgMode, nfulCfgQueueThresh = 1, 2, 5
	nfulBind, nfulCopyPacket                    = 1, 2
)

const journalGroup = 7

// openJournal hears all that is written to the group from now on.
func (s *stage) openJournal() (j journal, err error) {
	err = s.Balancer.Do(func() error {
		if j.NetlinkSocket, err = nl.Subscribe(unix.NETLINK_NETFILTER); err != nil {
			return err
		}
		return errors.Join(
			j.SetReceiveBufferSize(16<<20, true),
			j.configure(nl.NewRtAttr(nfulCfgCmd, []byte{nfulBind})),
			j.configure(nl.NewRtAttr(nfulCfgMode, []byte{0, 0, 0, 128, nfulCopyPacket, 0})),
			j.configure(nl.NewRtAttr(nfulCfgQueueThresh, []byte{0, 0, 0, 1})))
	})
	return j, err
}

// toGroup loads the script anew, with what it writes sent to the group.
var toGroup = deed(func(s *stage) error {
	script, told := s.engine.Compile()
	if told.Faulty() {
		return fmt.Errorf("%v", told)
	}
	return foreign(logStatement.ReplaceAll(script.Text, fmt.Appendf(nil, "$0 group %d", journalGroup))).do(s)
})

var logStatement = regexp.MustCompile(`\blog prefix "[^"]*"`)

func (j journal) configure(attribute *nl.RtAttr) error {
	return request(j.NetlinkSocket, unix.NFNL_SUBSYS_ULOG, nfulConfig, journalGroup, attribute)
}

// request sends a request to a part of netfilter, about a numbered resource, and waits until it is done.
func request(socket *nl.NetlinkSocket, part, message int, resource uint16, attributes ...*nl.RtAttr) error {
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

// lines are what was written since the last call, each as "PREFIX: PROTOCOL SOURCE > DESTINATION".
func (j journal) lines(s *stage) (all []string, err error) {
	buffer := make([]byte, 1<<18)
	for {
		n, _, err := unix.Recvfrom(j.GetFd(), buffer, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if m.Header.Type != unix.NFNL_SUBSYS_ULOG<<8|nfulPacket {
				continue
			}
			attributes, err := nl.ParseRouteAttrAsMap(m.Data[nl.SizeofNfgenmsg:])
			if err != nil {
				return nil, err
			}
			prefix := unix.ByteSliceToString(attributes[nfulPrefix].Value)
			if !strings.HasSuffix(prefix, " ") {
				return nil, fmt.Errorf("nothing parts the prefix %q from the packet", prefix)
			}
			all = append(all, strings.TrimSuffix(prefix, " ")+": "+s.describe(attributes[nfulPayload].Value))
		}
	}
}

// describe says of a packet whom it is from and where it goes, without the ports of those who ask.
func (s *stage) describe(packet []byte) string {
	from, to, protocol, rest := netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20])), packet[9], packet[20:]
	if packet[0]>>4 == 6 {
		from, to, protocol, rest = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40])), packet[6], packet[40:]
	}
	name := map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}[protocol]
	if name == "" {
		return fmt.Sprintf("%d %s > %s", protocol, s.who(from), to)
	}
	return fmt.Sprintf("%s %s > %s", name, s.who(from), netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:])))
}

// clientNetworks are all the client's.
var clientNetworks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:c::/48")}

func (s *stage) who(a netip.Addr) string {
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

// A writes has a step write lines, each so many times, and no others.
type writes struct {
	step
	lines map[string]int
}

func (w writes) do(s *stage) error {
	if s.journal.NetlinkSocket == nil {
		var err error
		if s.journal, err = s.openJournal(); err != nil {
			return fmt.Errorf("hear the log: %w", err)
		}
		s.t.Cleanup(s.journal.Close)
	}
	repeated := s.repeated
	if err := w.step.do(s); err != nil {
		return err
	}
	lines, err := s.journal.lines(s)
	if err != nil {
		return err
	}
	got := map[string]int{}
	for _, line := range lines {
		got[line]++
	}
	for line, want := range w.lines { // of what was sent once more
		got[line] -= min(max(got[line]-want, 0), s.repeated-repeated)
	}
	if !maps.Equal(got, w.lines) {
		return fmt.Errorf("written was\n\t%v\nwant\n\t%v", got, w.lines)
	}
	return nil
}

// allOf are the lines of several.
func allOf(all ...map[string]int) map[string]int {
	out := map[string]int{}
	for _, lines := range all {
		for line, n := range lines {
			out[line] += n
		}
	}
	return out
}
