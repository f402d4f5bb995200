package nfnetlink

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Batch is a transaction: the kernel makes all of its changes, or none. The zero Batch is empty.
type Batch struct{ messages []*nl.NetlinkRequest }

// Add adds a message to nf_tables, one of unix.NFT_MSG_NEW* or NFT_MSG_DEL*, with flags of netlink such as
// unix.NLM_F_CREATE.
func (b *Batch) Add(message, flags int, family uint8, attrs ...nl.NetlinkRequestData) {
	b.messages = append(b.messages, NewRequest(message, flags|unix.NLM_F_REQUEST, family, attrs...))
}

// Send sends the batch by a socket that receives no notifications, and waits for the answer of the kernel. The error is
// that of the first message which the kernel refuses; without CAP_NET_ADMIN it is unix.EPERM. An empty batch changes
// nothing.
func (b *Batch) Send(socket *nl.NetlinkSocket) error {
	if len(b.messages) == 0 {
		return nil
	}
	last := b.messages[len(b.messages)-1]
	last.Flags |= unix.NLM_F_ACK // the kernel answers each faulty message, and this one in any case
	begin := border(unix.NFNL_MSG_BATCH_BEGIN)
	var all bytes.Buffer
	for _, m := range append(append([]*nl.NetlinkRequest{begin}, b.messages...), border(unix.NFNL_MSG_BATCH_END)) {
		all.Write(m.Serialize())
	}
	// A longer batch than the buffer would be refused. Without the privilege it stays as it is.
	unix.SetsockoptInt(socket.GetFd(), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, max(all.Len(), minSendBuffer))
	kernel := unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(socket.GetFd(), all.Bytes(), 0, &kernel); err != nil {
		return fmt.Errorf("send a batch to nf_tables: %w", err)
	}
	return answerTo(socket, last.Seq)
}

// minSendBuffer is the default of net.core.wmem_default, in bytes.
const minSendBuffer = 212992

// border is the first or the last message of a batch. Its resource ID is the subsystem, in network byte order.
func border(message int) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(message, unix.NLM_F_REQUEST)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_UNSPEC, ResId: nl.Swap16(unix.NFNL_SUBSYS_NFTABLES)})
	return request
}

// answerTo reads answers until the one to the message with the sequence number, or until the first error.
func answerTo(socket *nl.NetlinkSocket, sequence uint32) error {
	for {
		messages, _, err := socket.Receive()
		if err != nil {
			return fmt.Errorf("receive the answer of nf_tables: %w", err)
		}
		for _, m := range messages {
			if err := ErrorOf(m); err != nil {
				return fmt.Errorf("nf_tables refuses a change: %w", err)
			}
			if m.Header.Seq == sequence {
				return nil
			}
		}
	}
}

// ErrorOf gives the error that an answer of the kernel reports, a syscall.Errno; nil for an acknowledgement.
func ErrorOf(m syscall.NetlinkMessage) error {
	if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
		return nil
	}
	if number := int32(binary.NativeEndian.Uint32(m.Data)); number != 0 {
		return syscall.Errno(-number)
	}
	return nil
}
