package preflight

import (
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

// neighbours are machines on the links of this one that do not answer the kernel. A machine without a word of the
// kernel is not among them.
type neighbours struct {
	failed map[netip.Addr]bool // did not answer the last questions
	asked  map[netip.Addr]bool // have not answered yet; looked at once more before they count
	waited bool
}

// answerTime is the time in which a neighbour answers, unless it is down.
const answerTime = 200 * time.Millisecond

func readNeighbours() *neighbours {
	n := &neighbours{failed: map[netip.Addr]bool{}, asked: map[netip.Addr]bool{}}
	all, _ := netlink.NeighList(0, 0)
	for i := range all {
		a, ok := netip.AddrFromSlice(all[i].IP)
		switch {
		case ok && all[i].State == netlink.NUD_FAILED:
			n.failed[a.Unmap()] = true
		case ok && all[i].State == netlink.NUD_INCOMPLETE:
			n.asked[a.Unmap()] = true
		}
	}
	return n
}

// silent reports whether a neighbour does not answer. While packets wait for it, the kernel asks again and again, so
// that its state is not always failed.
func (n *neighbours) silent(a netip.Addr) bool {
	if n.asked[a] && !n.waited {
		time.Sleep(answerTime)
		later := readNeighbours()
		for a := range n.asked {
			n.asked[a] = later.asked[a] || later.failed[a]
		}
		n.waited = true
	}
	return n.failed[a] || n.asked[a]
}
