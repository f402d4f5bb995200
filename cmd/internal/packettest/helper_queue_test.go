package packettest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func lacksQueues(t *testing.T) bool {
	s := newTestbed(t, netlab.Options{})
	err := farms{"web": oneBackend("snat", listen1, "b1", 0, `queue = "0-3"`)}.do(s)
	if err == nil {
		return false
	}
	for _, want := range []string{"web.toml:4:", "this kernel has no queue statement (module nft_queue)"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error has no %q:\n%v", want, err)
		}
	}
	return true
}

// A queueProgram runs on the balancer, reads queues, and accepts or drops each packet.
type queueProgram struct {
	socket *nl.NetlinkSocket
	ended  chan struct{}

	mutex  sync.Mutex
	drop   bool // drop all packets
	queued map[string]int
}

// From include/uapi/linux/netfilter/nfnetlink_queue.h.
const (
	nfqPacket, nfqVerdict, nfqConfig  = 0, 1, 2
	nfqPacketHeader, nfqVerdictHeader = 1, 2
	nfqPayload                        = 10
	nfqCfgCmd, nfqCfgParams           = 1, 2
	nfqBind, nfqCopyPacket            = 1, 2
)

// listenOnQueues reads this number of queues, from 0 on, until stopListening.
type listenOnQueues int

func (queues listenOnQueues) do(s *testbed) error {
	j := &queueProgram{ended: make(chan struct{}), queued: map[string]int{}}
	err := s.Balancer.Do(func() (err error) {
		if j.socket, err = nl.Subscribe(unix.NETLINK_NETFILTER); err != nil {
			return err
		}
		for n := range uint16(queues) {
			err = errors.Join(err,
				netlinkRequest(j.socket, unix.NFNL_SUBSYS_QUEUE, nfqConfig, n,
					nl.NewRtAttr(nfqCfgCmd, []byte{nfqBind, 0, 0, 0})),
				netlinkRequest(j.socket, unix.NFNL_SUBSYS_QUEUE, nfqConfig, n,
					nl.NewRtAttr(nfqCfgParams, []byte{0, 0, 255, 255, nfqCopyPacket})))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("listen to queues: %w", err)
	}
	s.queueProgram = j
	go j.listen(s)
	return nil
}

// stopListening ends the queue program.
var stopListening = stepFunc(func(s *testbed) error {
	s.queueProgram.mutex.Lock()
	stop := s.queueProgram.ended
	s.queueProgram.queued = nil
	s.queueProgram.mutex.Unlock()
	<-stop
	return nil
})

func (j *queueProgram) listen(s *testbed) {
	defer close(j.ended)
	defer j.socket.Close()
	buffer := make([]byte, 1<<18)
	for s.ctx.Err() == nil && j.listening() {
		waiting := []unix.PollFd{{Fd: int32(j.socket.GetFd()), Events: unix.POLLIN}}
		unix.Poll(waiting, 50) // ms; then it checks whether to end
		n, _, err := unix.Recvfrom(j.socket.GetFd(), buffer, unix.MSG_DONTWAIT)
		if err != nil {
			continue
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:(n+3)&^3]) // the kernel does not pad the last message
		if err != nil {
			s.t.Error(err)
		}
		for _, m := range messages {
			if m.Header.Type == unix.NFNL_SUBSYS_QUEUE<<8|nfqPacket {
				j.verdict(s, m.Data)
			}
		}
	}
}

func (j *queueProgram) listening() bool {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.queued != nil
}

// verdict sends the verdict on a packet.
func (j *queueProgram) verdict(s *testbed, message []byte) {
	attributes, err := nl.ParseRouteAttrAsMap(append(bytes.Clone(message[nl.SizeofNfgenmsg:]), 0, 0,
		0)) // the kernel does not pad it either
	if err != nil {
		s.t.Error(err)
		return
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.queued != nil {
		j.queued[s.describe(attributes[nfqPayload].Value)]++
	}
	verdict := binary.BigEndian.AppendUint32(nil, map[bool]uint32{false: 1, true: 0}[j.drop]) // NF_ACCEPT, NF_DROP
	r := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_QUEUE<<8|nfqVerdict, 0)
	r.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, ResId: binary.NativeEndian.Uint16(message[2:])})
	r.AddData(nl.NewRtAttr(nfqVerdictHeader, append(verdict, attributes[nfqPacketHeader].Value[:4]...)))
	j.socket.Send(r)
}

// queued: a step sends these packets to the queue program, each so many times, and no others.
type queued struct {
	step
	packets map[string]int
}

func (w queued) do(s *testbed) error {
	if err := w.step.do(s); err != nil {
		return err
	}
	s.queueProgram.mutex.Lock()
	defer s.queueProgram.mutex.Unlock()
	got := s.queueProgram.queued
	s.queueProgram.queued = map[string]int{}
	if !maps.Equal(got, w.packets) {
		return fmt.Errorf("queued packets are\n\t%v\nwant\n\t%v", got, w.packets)
	}
	return nil
}

// dropping: the queue program drops all packets during a step.
type dropping struct{ step }

func (a dropping) do(s *testbed) error {
	set := func(stern bool) {
		s.queueProgram.mutex.Lock()
		defer s.queueProgram.mutex.Unlock()
		s.queueProgram.drop = stern
	}
	set(true)
	defer set(false)
	return a.step.do(s)
}

// queuedPackets are packets for each destination, times over TCP and times over UDP.
func queuedPackets(times int, from, destinations string) map[string]int {
	out := map[string]int{}
	for line, n := range logLines(times, "", from, destinations) {
		out[strings.TrimPrefix(line, ": ")] = n
	}
	return out
}

// queuedDatagrams are one datagram for each destination.
func queuedDatagrams(from, destinations string) map[string]int {
	out := queuedPackets(1, from, destinations)
	maps.DeleteFunc(out, func(line string, _ int) bool { return strings.HasPrefix(line, "tcp") })
	return out
}
