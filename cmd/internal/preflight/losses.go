package preflight

import (
	"fmt"
	"os"
	"time"

	"farmc/compiler/farm"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Losses is a sample of the kernel's counters of connections that connection tracking lost, of all processors.
type Losses struct {
	Failed  uint64    `json:"insertFailed"` // packets of a connection with the addresses and ports of another one
	Dropped uint64    `json:"dropped"`      // the same, and packets of connections for which the table had no room
	At      time.Time `json:"at"`           // zero: no sample
}

// minLosses is the number of packets from which losses are a finding. Programs that send two packets at once from one
// socket cause a few.
const minLosses = 100

// MorePorts is the remedy of a lack of source ports.
const MorePorts = "one source address has 64,000 ports towards a backend: add backends, or give the farm several " +
	"addresses (source-address = \"10.2.0.2-10.2.0.9\")"

// SampleLosses reads the counters. The zero Losses means that the kernel did not answer.
func SampleLosses(now time.Time) Losses {
	const statistics, insertFailed, drop = 4, 9, 10 // IPCTNL_MSG_CT_GET_STATS_CPU, CTA_STATS_*
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|statistics, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC})
	messages, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return Losses{}
	}
	l := Losses{At: now}
	for _, m := range messages {
		attributes, _ := nl.ParseRouteAttr(m[nl.SizeofNfgenmsg:])
		for _, a := range attributes {
			switch a.Attr.Type & nl.NLA_TYPE_MASK {
			case insertFailed:
				l.Failed += bigEndian(a.Value)
			case drop:
				l.Dropped += bigEndian(a.Value)
			}
		}
	}
	return l
}

func bigEndian(data []byte) (n uint64) {
	for _, b := range data {
		n = n<<8 | uint64(b)
	}
	return n
}

// losses finds connections that were lost since a sample.
func (s *search) losses(since Losses) {
	if since.At.IsZero() {
		return
	}
	now := SampleLosses(time.Now())
	if now.At.IsZero() || now.Failed < since.Failed || now.Dropped < since.Dropped { // another boot
		return
	}
	failed := now.Failed - since.Failed
	// nf_conntrack_confirm of Linux 6.18 counts a failed packet as dropped, too
	full := now.Dropped - since.Dropped - min(failed, now.Dropped-since.Dropped)
	var tracked []*farm.Farm
	for _, f := range s.farms {
		if f.Tracked() {
			tracked = append(tracked, f)
		}
	}
	if failed >= minLosses {
		for _, f := range s.crowded(tracked) {
			s.found.add(Finding{Kind: "losses", Object: "ports", Effect: Harms,
				Message: "new connections were lost, because their addresses and ports were in use (insert_failed)",
				Advice:  MorePorts + "; conntrack -S counts the losses"}, f)
		}
	}
	for _, f := range tracked {
		if full >= minLosses {
			found := LargerTable(atoi(sysctl(tableSize)))
			found.Kind, found.Object, found.Effect = "losses", "table", Harms
			found.Message = "new connections were lost, because connection tracking had no room for them"
			s.found.add(found, f)
		}
	}
}

const tableSize = "net/netfilter/nf_conntrack_max"

// LargerTable is the remedy of a finding about the table of connection tracking, which has room for size entries. The
// kernel has one size for all network namespaces, and lets only the first one change it.
func LargerTable(size int) Finding {
	f := Finding{Commands: []string{setSysctl(tableSize, fmt.Sprint(2*size))},
		Advice: "a connection takes 300 bytes of memory; a file in /etc/sysctl.d keeps it"}
	if info, err := os.Stat("/proc/sys/" + tableSize); err == nil && info.Mode().Perm()&0o200 == 0 {
		f.Advice += "; this is a container: set it on its host"
	}
	return f
}

func atoi(text string) (n int) {
	fmt.Sscan(text, &n)
	return max(n, 131072)
}

// timeouts notes a setting that costs new connections time: farmc gives each of them a longer timeout.
func (s *search) timeouts() {
	const path = "net/netfilter/nf_conntrack_tcp_timeout_close_wait"
	if sysctl(path) != "60" {
		return
	}
	for _, f := range s.farms {
		if !f.Tracked() || !speaks(f, farm.TCP) || f.Timeouts != (farm.Timeouts{}) {
			continue
		}
		s.found.add(Finding{Kind: "timeout", Object: "close_wait", Effect: Notes,
			Message: "new connections cost 8 to 15 % more, because farmc sets an hour for half-closed ones one by one" +
				" (nf_conntrack_tcp_timeout_close_wait)",
			Commands: []string{setSysctl(path, "3600")},
			Advice: "for all connections that this machine tracks: those that no program closes are remembered " +
				"for an hour; a file in /etc/sysctl.d keeps it"}, f)
	}
}

// isCost reports whether a finding is about the cost of packets. It loses none.
func isCost(f *Finding) bool { return f.Kind == "timeout" }

func speaks(f *farm.Farm, protocol farm.Protocol) bool {
	for _, l := range f.Listen {
		for _, p := range l.Protocols {
			if p == protocol || p == farm.AnyProtocol {
				return true
			}
		}
	}
	return false
}
