package nft

import (
	"context"
	"fmt"
	"runtime"
	"syscall"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Removals calls a function after each transaction that deletes table inet farmc, and does not make it anew, until ctx
// is done. The argument is the generation of the ruleset. If the process may have it, the thread of the calls has
// real-time priority, as the nft that deleted the table holds up other transactions when it ends. The nice value does
// not help: the kernel groups processes by session (autogroup), and compares it within a session alone.
func (n Nft) Removals(ctx context.Context, removed func(generation uint32)) error {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	if err != nil {
		return fmt.Errorf("subscribe to changes of the ruleset: %w", err)
	}
	socket.SetReceiveBufferSize(16<<20, true)
	ended, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		socket.Close()
		return fmt.Errorf("subscribe to changes of the ruleset: %w", err)
	}
	context.AfterFunc(ctx, func() { unix.Write(ended, []byte{0, 0, 0, 0, 0, 0, 0, 1}) })
	go func() {
		defer unix.Close(ended)
		defer socket.Close()
		runtime.LockOSThread() // until the goroutine ends, and the thread with it
		setRealtime()
		r := removalReader{socket: socket.GetFd(), buffer: make([]byte, nl.RECEIVE_BUFFER_SIZE)}
		for !r.wait(ended) && r.readAll(removed) {
		}
	}()
	return nil
}

// setRealtime gives the thread real-time priority, the lowest one. Threads and processes that it starts have none.
func setRealtime() {
	attributes := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1,
		Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	unix.SchedSetAttr(0, &attributes, 0)
}

// A removalReader finds the deletions of table inet farmc among notifications. It waits in the kernel, because a
// goroutine that waits for the runtime is woken by another thread.
type removalReader struct {
	socket int
	buffer []byte
	gone   bool // the current transaction has deleted the table, so far
}

// wait waits for notifications, or for the end, and reports the end.
func (r *removalReader) wait(ended int) bool {
	files := []unix.PollFd{{Fd: int32(r.socket), Events: unix.POLLIN}, {Fd: int32(ended), Events: unix.POLLIN}}
	unix.Poll(files, -1) // a signal is no error: the next read finds nothing
	return files[1].Revents != 0
}

// readAll reads all notifications that have come. If some are lost, Monitor has a transaction with Lost set. It returns
// false if no more will come.
func (r *removalReader) readAll(removed func(generation uint32)) bool {
	for {
		n, _, err := unix.Recvfrom(r.socket, r.buffer, unix.MSG_DONTWAIT)
		switch err {
		case nil:
		case unix.EAGAIN, unix.EINTR:
			return true
		default:
			r.gone = false
			return err == unix.ENOBUFS
		}
		messages, _ := syscall.ParseNetlinkMessage(r.buffer[:n])
		for _, m := range messages {
			if generation, ok := r.read(m); ok {
				removed(generation)
			}
		}
	}
}

// read reads a notification, and reports whether it ends a transaction that has deleted the table.
func (r *removalReader) read(m syscall.NetlinkMessage) (generation uint32, removed bool) {
	switch m.Header.Type {
	case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE, unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_DELTABLE:
		if concernsFarmc(m.Data) && m.Data[0] == unix.NFPROTO_INET {
			r.gone = m.Header.Type&0xff == unix.NFT_MSG_DELTABLE
		}
	case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN:
		generation, removed = nfnetlink.ParseMessage(m.Data).Number(unix.NFTA_GEN_ID), r.gone
		r.gone = false
	}
	return generation, removed
}
