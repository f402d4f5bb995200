package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/trace"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

var traceVerb = verb{
	name:    "trace",
	args:    "[FARM|SERVICE]",
	summary: "follow real packets on their way through the rules",
	about: `Follows packets to a farm, to a service or, without an argument, to every farm that is loaded, and
tells of each which farm took it, what stopped it, which backend it went to, and with which source
address it left; a rule of another program that stops or translates it is shown, too.
SERVICE is ADDRESS:PORT[/PROTOCOL], of tcp by default, ADDRESS/PROTOCOL, or ADDRESS.

Of TCP the packets that open a connection are followed, with --all all of them. With --replies the
answers of backends are followed, too: of TCP those that open or refuse a connection. The kernel
follows 50 packets a second at most, so a trace can run on a busy machine. Its rules are in tables
of their own, which go with farmc trace, even if it is killed.

Exit status: 0 if packets came, 1 if none did.`,
	flags: func(c *call) {
		c.set.StringVar(&c.from, "from", "", "only packets of this `client`: an address, a network, or address:port")
		c.set.StringVar(&c.protocol, "protocol", "", "only packets of this `protocol`: tcp, udp, sctp, icmp, ...")
		c.set.BoolVar(&c.all, "all", false, "all packets of TCP connections")
		c.set.BoolVar(&c.replies, "replies", false, "the answers of backends, too")
		c.set.IntVar(&c.count, "count", 10, "end after this `number` of packets, at most 10000")
		c.set.DurationVar(&c.limit, "for", 30*time.Second, "end after this `time`, at most 1h")
		c.set.BoolVar(&c.json, "json", false, "print a line of JSON for each packet")
	},
	run: tracePackets,
}

// Bounds of a trace.
const (
	maxTracedPackets = 10_000
	maxTraceTime     = time.Hour
)

func tracePackets(ctx context.Context, c *call) int {
	filter, err := c.traceBounds()
	if err != nil {
		return c.usageError("%v", err)
	}
	e := c.engine()
	translator, err := c.translator(ctx, e)
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	target, err := c.traceTargets(&filter, translator.Farms)
	if err != nil {
		return c.usageError("%v", err)
	}
	if err := filter.Validate(); err != nil {
		c.printError(err)
		return exitFailure
	}
	return c.runTrace(ctx, translator, &filter, target)
}

// runTrace prints packets until the trace is over, and returns the exit status.
func (c *call) runTrace(ctx context.Context, t *trace.Translator, filter *trace.Filter, target string) int {
	ctx, end := context.WithTimeout(ctx, c.limit)
	defer end()
	places, frames := trace.FindPlaces(ctx, t.Farms)
	t.Frames = frames
	tracer, err := trace.Start(filter, c.count, places)
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("farmc trace needs root (CAP_NET_ADMIN): %w", err)
	}
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	defer tracer.Close()
	c.log("tracing packets to %s: %d at most, for %s at most", target, c.count, c.limit)
	result, err := t.Run(ctx, tracer, c.count, c.printPacket)
	if result.Lost {
		c.log("some packets are missing, or lack steps: the kernel had more to tell than farmc could read")
	}
	switch {
	case err != nil:
		c.printError(err)
		return exitFailure
	case result.Packets == 0:
		c.log("%s", c.noPacket(target))
		return exitFailure
	}
	return exitOK
}

// noPacket tells what can be the reason that no packet came.
func (c *call) noPacket(target string) string {
	text := "no such packet came to this machine: " + target
	if !c.all {
		text += "; of TCP only packets that open a connection count, with --all all of them"
	}
	return text + "; farmc doctor looks for reasons on the way to this machine"
}

// traceBounds reads the options.
func (c *call) traceBounds() (f trace.Filter, err error) {
	switch {
	case len(c.args) > 1:
		return f, fmt.Errorf("trace takes one farm or service, but there is also %q", c.args[1])
	case c.count < 1 || c.count > maxTracedPackets:
		return f, fmt.Errorf("--count is %d, not 1 to %d", c.count, maxTracedPackets)
	case c.limit <= 0 || c.limit > maxTraceTime:
		return f, fmt.Errorf("--for is %s, not a time above 0 of at most %s", c.limit, maxTraceTime)
	}
	f.All, f.Replies = c.all, c.replies
	if c.from == "" {
		return f, nil
	}
	if network, err := netip.ParsePrefix(c.from); err == nil && !network.Addr().Is4In6() {
		f.Clients = network.Masked()
		return f, nil
	}
	client, err := explain.ParseClient(c.from)
	if err != nil {
		return f, fmt.Errorf("--from: %q is not an address, a network, or ADDRESS:PORT", c.from)
	}
	f.Clients = netip.PrefixFrom(client.Addr(), client.Addr().BitLen())
	f.ClientPort = client.Port()
	return f, nil
}

// translator knows the farms that are loaded. If the kernel has other rules than the ones loaded last, it knows no
// places.
func (c *call) translator(ctx context.Context, e *live.Engine) (*trace.Translator, error) {
	script, err := e.LoadedScript()
	if err != nil {
		return nil, err
	}
	t := &trace.Translator{Farms: script.Farms, Addresses: live.OwnAddresses(), Rule: e.Nft.RuleText}
	held, err := e.Nft.Loaded(ctx)
	switch {
	case err != nil:
		return nil, err
	case held == script.Digest:
		t.Script = script
	case held == "":
		c.log("the kernel has no rules of farmc: run farmc apply")
	default:
		c.log("the kernel has other rules of farmc than were loaded last, so steps have no names and places")
	}
	return t, nil
}

// traceTargets sets the targets of the filter, and describes them.
func (c *call) traceTargets(f *trace.Filter, farms []*farm.Farm) (target string, err error) {
	if len(c.args) == 0 {
		target = "every farm"
		addTargets(f, farms...)
	} else if i := slices.IndexFunc(farms, func(of *farm.Farm) bool { return of.Name == c.args[0] }); i >= 0 {
		target = "farm " + c.args[0]
		addTargets(f, farms[i])
	} else {
		target = c.args[0]
		addTargets(f, farms...) // answers of any of them can be of the service
		if f.Targets, err = serviceTarget(target); err != nil {
			return "", err
		}
	}
	if c.from != "" {
		target += " from " + c.from
	}
	return target, c.keepProtocol(f)
}

func addTargets(f *trace.Filter, farms ...*farm.Farm) {
	for _, of := range farms {
		for _, d := range of.Frontends() {
			f.Targets = append(f.Targets, trace.TargetOf(d))
		}
		f.Tracked = f.Tracked || !of.Mode.Untracked()
		f.Senders = append(f.Senders, trace.SendersOf(of)...)
	}
}

// serviceTarget reads a service that is no farm.
func serviceTarget(text string) ([]trace.Target, error) {
	if a, err := addr.ParseAddress(strings.Trim(text, "[]")); err == nil {
		return []trace.Target{{IP6: a.Is6(), Destination: netip.PrefixFrom(a, a.BitLen())}}, nil
	}
	service, protocol, err := explain.ParseService(text)
	if err != nil {
		return nil, fmt.Errorf("no farm %q is loaded, and %w", text, err)
	}
	if _, err := farm.ParseProtocol(string(protocol), addr.FamilyOf(service.Addr())); err != nil {
		return nil, err
	}
	a := service.Addr()
	return []trace.Target{{IP6: a.Is6(), Destination: netip.PrefixFrom(a, a.BitLen()),
		Protocol: uint8(protocol.Number()), Ports: farm.Ports{First: service.Port(), Last: service.Port()}}}, nil
}

// keepProtocol narrows the targets to the protocol of the options.
func (c *call) keepProtocol(f *trace.Filter) error {
	if c.protocol == "" {
		return nil
	}
	var kept []trace.Target
	for _, t := range f.Targets {
		family := map[bool]addr.Family{false: addr.IP4, true: addr.IP6}[t.IP6]
		p, err := farm.ParseProtocol(c.protocol, family)
		if err != nil {
			return fmt.Errorf("--protocol: %w", err)
		}
		if t.Protocol == 0 || p.Number() == int(t.Protocol) {
			t.Protocol = uint8(p.Number())
			kept = append(kept, t)
		}
	}
	if f.Targets = kept; len(kept) == 0 {
		return fmt.Errorf("--protocol: no such packets belong to the farm: %s", c.protocol)
	}
	return nil
}
