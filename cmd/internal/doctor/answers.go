package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"

	"farmc/cmd/internal/machine"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// patience is the time that a machine on the link has to answer. The question is repeated meanwhile, because links lose
// packets.
const (
	patience = time.Second
	repeated = 250 * time.Millisecond
)

// maxAsked is the number of addresses that are asked for, so that the doctor sends no flood.
const maxAsked = 256

// A question is an address of a dsr service on the link of its backends.
type question struct {
	link    string
	service netip.Addr
}

// answers finds machines that answer ARP requests and neighbour solicitations for the address of a dsr service. Clients
// and routers on the link then send their packets to that machine, past the balancer.
func answers(ctx context.Context, farms []*farm.Farm) (found preflight.Findings) {
	asked := map[question][]*farm.Farm{}
	var order []question
	for _, f := range farms {
		for _, q := range questionsOf(f) {
			if asked[q] == nil && len(order) < maxAsked {
				order = append(order, q)
			}
			asked[q] = append(asked[q], f)
		}
	}
	replies := askAll(order, deadlineOf(ctx))
	for i, q := range order {
		if replies[i] != "" {
			found = append(found, q.finding(replies[i], asked[q]))
		}
	}
	return found
}

// questionsOf returns the questions about a farm: each address that it listens on, on each link of its backends.
func questionsOf(f *farm.Farm) (out []question) {
	if f.Mode != farm.DSR {
		return nil
	}
	own := machine.Addresses()
	for _, d := range f.Frontends() {
		if !d.Address.IsValid() {
			continue
		}
		backends := f.WithFamily(d.Family)
		isBackend := slices.ContainsFunc(backends, func(b farm.Backend) bool {
			return slices.Contains(own, b.Address[d.Family])
		})
		for _, b := range backends {
			q := question{f.InterfaceOf(b), d.Address}
			if !slices.Contains(out, q) && !(isBackend && q.isElsewhere()) {
				out = append(out, q)
			}
		}
	}
	return out
}

// isElsewhere reports whether the link lacks the address of the service. On a machine that is a backend, a balancer
// that has the address answers then, as the active one of a pair by VRRP.
func (q question) isElsewhere() bool {
	link, err := net.InterfaceByName(q.link)
	if err != nil {
		return false
	}
	there, err := link.Addrs()
	return err == nil && !slices.ContainsFunc(there, func(o net.Addr) bool {
		p, err := netip.ParsePrefix(o.String())
		return err == nil && p.Addr() == q.service
	})
}

// deadlineOf is the time until which answers count.
func deadlineOf(ctx context.Context) time.Time {
	deadline := time.Now().Add(patience)
	if until, limited := ctx.Deadline(); limited && until.Before(deadline) {
		return until
	}
	return deadline
}

// askAll asks all questions at once. A reply is the hardware address of another machine; "" if none answers. The
// sockets are opened by the calling thread, which may be in a network namespace of its own.
func askAll(questions []question, deadline time.Time) []string {
	replies := make([]string, len(questions))
	var all sync.WaitGroup
	for i, q := range questions {
		if await := q.ask(deadline); await != nil {
			all.Go(func() { replies[i] = await() })
		}
	}
	all.Wait()
	return replies
}

// ask sends the question, and returns the function that waits for the reply; nil if it cannot be sent.
func (q question) ask(deadline time.Time) func() string {
	link, err := net.InterfaceByName(q.link)
	if err != nil || len(link.HardwareAddr) == 0 {
		return nil
	}
	await := askNDP
	if q.service.Is4() {
		await = askARP
	}
	reply := await(link, q.service, deadline)
	if reply == nil {
		return nil
	}
	return func() string {
		who := reply()
		if slices.Equal(who, link.HardwareAddr) {
			return ""
		}
		return who.String()
	}
}

// askARP asks for an IPv4 address (RFC 826). Without an answer the function returns nil.
func askARP(link *net.Interface, a netip.Addr, deadline time.Time) func() net.HardwareAddr {
	c, err := arp.Dial(link)
	if err != nil {
		return nil
	}
	return func() net.HardwareAddr {
		defer c.Close()
		for time.Now().Before(deadline) {
			if c.SetDeadline(time.Now().Add(repeated)) != nil {
				break
			}
			if who, err := c.Resolve(a); err == nil {
				return who
			}
		}
		return nil
	}
}

// askNDP asks for an IPv6 address (RFC 4861, 7.2.2). Without an answer the function returns nil.
func askNDP(link *net.Interface, a netip.Addr, deadline time.Time) func() net.HardwareAddr {
	group, err := ndp.SolicitedNodeMulticast(a)
	if err != nil {
		return nil
	}
	c, _, err := ndp.Listen(link, ndp.LinkLocal)
	if err != nil {
		return nil
	}
	solicitation := &ndp.NeighborSolicitation{TargetAddress: a, Options: []ndp.Option{
		&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: link.HardwareAddr}}}
	return func() net.HardwareAddr {
		defer c.Close()
		for time.Now().Before(deadline) {
			if c.SetDeadline(time.Now().Add(repeated)) != nil || c.WriteTo(solicitation, nil, group) != nil {
				break
			}
			if who := awaitAdvertisement(c, a); who != nil {
				return who
			}
		}
		return nil
	}
}

// awaitAdvertisement reads messages until one answers for the address, or until the deadline of the connection.
func awaitAdvertisement(c *ndp.Conn, a netip.Addr) net.HardwareAddr {
	for {
		message, _, _, err := c.ReadFrom()
		if err != nil {
			return nil
		}
		if who := answerFor(message, a); who != nil {
			return who
		}
	}
}

// answerFor returns the hardware address in an advertisement of the address; nil for any other message.
func answerFor(message ndp.Message, a netip.Addr) net.HardwareAddr {
	advertisement, ok := message.(*ndp.NeighborAdvertisement)
	if !ok || advertisement.TargetAddress != a {
		return nil
	}
	for _, o := range advertisement.Options {
		if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == ndp.Target {
			return l.Addr
		}
	}
	return nil
}

func (q question) finding(who string, farms []*farm.Farm) *preflight.Finding {
	f := &preflight.Finding{Kind: "dsr-answer", Object: q.service.String(), Farms: names(farms),
		Effect: preflight.Harms,
		Message: fmt.Sprintf("on the link of %s the machine %s answers for the service's address %s, "+
			"so clients and routers there can reach it past this machine", q.link, nameOf(who, q, farms), q.service)}
	f.Advice = "farmc doctor --backend " + farms[0].Name + " prints the commands for backends"
	return f
}

// nameOf adds the names of the backends that the kernel knows at the hardware address.
func nameOf(who string, q question, farms []*farm.Farm) string {
	var backends []string
	for _, f := range farms {
		for _, b := range f.WithFamily(addr.FamilyOf(q.service)) {
			if hardwareAddress(q.link, b.Address[addr.FamilyOf(q.service)]) == who {
				backends = append(backends, b.Name)
			}
		}
	}
	if len(backends) == 0 {
		return who
	}
	return who + " (backend " + strings.Join(slices.Compact(backends), ", ") + ")"
}
