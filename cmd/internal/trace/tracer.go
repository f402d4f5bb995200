package trace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Places are the interfaces where packets are watched as frames, and the backends that frames are sent to.
type Places struct {
	Ingress, Egress []string
	Backends        []net.HardwareAddr // at most MaxBackends are told apart
}

// MaxBackends bounds the rules that every frame at an egress is compared with while a trace runs.
const MaxBackends = 256

// A Tracer traces packets until Close.
type Tracer struct {
	owner  *nl.NetlinkSocket // of the tables: they go when the kernel closes it
	events *nl.NetlinkSocket
	table  string
}

// Start makes the tables and begins to trace the packets of the filter, which Validate has accepted: so many at once,
// and 50 a second afterwards. Without CAP_NET_ADMIN the error is unix.EPERM.
func Start(f *Filter, most int, places Places) (*Tracer, error) {
	t := &Tracer{}
	var err error
	if t.events, err = nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTRACE); err != nil {
		return nil, fmt.Errorf("subscribe to traces: %w", err)
	}
	if t.owner, err = nl.Subscribe(unix.NETLINK_NETFILTER); err != nil {
		t.events.Close()
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	// A packet is up to 50 events, and the kernel takes 1 KB for each. If it grants a smaller buffer, events are lost,
	// and the reader is told.
	t.events.SetReceiveBufferSize(8<<20, true)
	if err := t.load(f, most, places); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// load makes the tables. A kernel without egress hooks (CONFIG_NETFILTER_EGRESS) gets none.
func (t *Tracer) load(f *Filter, most int, places Places) error {
	port, err := t.owner.GetPid()
	if err != nil {
		return fmt.Errorf("read the ID of a netlink socket: %w", err)
	}
	t.table = fmt.Sprint(tablePrefix, port)
	if err := networkTable(t.table, f, most).Send(t.owner); err != nil {
		return err
	}
	if len(places.Ingress) == 0 {
		return nil
	}
	err = frameTable(t.table, f, most, places).Send(t.owner)
	if errors.Is(err, unix.EOPNOTSUPP) {
		places.Egress, places.Backends = nil, nil
		err = frameTable(t.table, f, most, places).Send(t.owner)
	}
	return err
}

// Close ends the trace. The kernel deletes the tables.
func (t *Tracer) Close() {
	t.owner.Close()
	t.events.Close()
}

// A batch is events that came at the same time.
type batch struct {
	events []event
	lost   bool // events before were lost
}

// read sends the events until ctx is done.
func (t *Tracer) read(ctx context.Context) <-chan batch {
	out := make(chan batch, 64)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			b, err := t.next()
			if err != nil {
				return
			}
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// receiveTime is the longest wait for events, after which the reader looks whether the trace is over.
const receiveTime = 200 * time.Millisecond

// next waits for events. It returns no events if none come for a while, or if the kernel dropped some.
func (t *Tracer) next() (b batch, err error) {
	wait := unix.NsecToTimeval(receiveTime.Nanoseconds())
	if err := t.events.SetReceiveTimeout(&wait); err != nil {
		return b, err
	}
	messages, _, err := t.events.Receive()
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return batch{lost: true}, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, os.ErrDeadlineExceeded):
		return b, nil
	case err != nil:
		return b, err
	}
	for _, m := range messages {
		if e, ok := parseEvent(m); ok {
			b.events = append(b.events, e)
		}
	}
	return b, nil
}
