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
	s := newStage(t, netlab.Options{})
	err := farms{"web": one("snat", listenBoth, "b1", 0, `queue = "0-3"`)}.do(s)
	if err == nil {
		return false
	}
	for _, want := range []string{"web.toml:4:", "this kernel has no queue statement (module nft_queue)"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("told is no %q:\n%v", want, err)
		}
	}
	return true
}

// A judge is a program of the balancer's that listens to queues, and says of each packet whether it may go on.
type judge struct {
	socket *nl.NetlinkSocket
	ended  chan struct{}

	mutex  sync.Mutex
	stern  bool // nobody may
	judged map[string]int
}

// Of include/uapi/linux/netfilter/nfnetlink_queue.h.
const (
	nfqPacket, nfqVerdict, nfqConfig  = 0, 1, 2
	nfqPacketHeader, nfqVerdictHeader = 1, 2
	nfqPayload                        = 10
	nfqCfgCmd, nfqCfgParams           = 1, 2
	nfqBind, nfqCopyPacket            = 1, 2
)

// judges begins to listen to so many queues, from 0 on, until hush.
type judges int

func (queues judges) do(s *stage) error {
	j := &judge{ended: make(chan struct{}), judged: map[string]int{}}
	err := s.Balancer.Do(func() (err error) {
		if j.socket, err = nl.Subscribe(unix.NETLINK_NETFILTER); err != nil {
			return err
		}
		for n := range uint16(queues) {
			err = errors.Join(err,
				request(j.socket, unix.NFNL_SUBSYS_QUEUE, nfqConfig, n, nl.NewRtAttr(nfqCfgCmd, []byte{nfqBind, 0, 0, 0})),
				request(j.socket, unix.NFNL_SUBSYS_QUEUE, nfqConfig, n, nl.NewRtAttr(nfqCfgParams, []byte{0, 0, 255, 255, nfqCopyPacket})))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("listen to queues: %w", err)
	}
	s.judge = j
	go j.listen(s)
	return nil
}

// hush ends the listening.
var hush = deed(func(s *stage) error {
	s.judge.mutex.Lock()
	stop := s.judge.ended
	s.judge.judged = nil
	s.judge.mutex.Unlock()
	<-stop
	return nil
})

func (j *judge) listen(s *stage) {
	defer close(j.ended)
	defer j.socket.Close()
	buffer := make([]byte, 1<<18)
	for s.ctx.Err() == nil && j.sits() {
		waiting := []unix.PollFd{{Fd: int32(j.socket.GetFd()), Events: unix.POLLIN}}
		unix.Poll(waiting, 50) // ms; then it looks whether it is to end
		n, _, err := unix.Recvfrom(j.socket.GetFd(), buffer, unix.MSG_DONTWAIT)
		if err != nil {
			continue
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:(n+3)&^3]) // the kernel doesn't fill up the last
		if err != nil {
			s.t.Error(err)
		}
		for _, m := range messages {
			if m.Header.Type == unix.NFNL_SUBSYS_QUEUE<<8|nfqPacket {
				j.hear(s, m.Data)
			}
		}
	}
}

func (j *judge) sits() bool {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.judged != nil
}

// hear gives the verdict on a packet.
func (j *judge) hear(s *stage, message []byte) {
	attributes, err := nl.ParseRouteAttrAsMap(append(bytes.Clone(message[nl.SizeofNfgenmsg:]), 0, 0, 0)) // here neither
	if err != nil {
		s.t.Error(err)
		return
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.judged != nil {
		j.judged[s.describe(attributes[nfqPayload].Value)]++
	}
	verdict := binary.BigEndian.AppendUint32(nil, map[bool]uint32{false: 1, true: 0}[j.stern]) // NF_ACCEPT, NF_DROP
	r := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_QUEUE<<8|nfqVerdict, 0)
	r.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, ResId: binary.NativeEndian.Uint16(message[2:])})
	r.AddData(nl.NewRtAttr(nfqVerdictHeader, append(verdict, attributes[nfqPacketHeader].Value[:4]...)))
	j.socket.Send(r)
}

// A judged has a step bring packets before the judge, each so many times, and no others.
type judged struct {
	step
	packets map[string]int
}

func (w judged) do(s *stage) error {
	if err := w.step.do(s); err != nil {
		return err
	}
	s.judge.mutex.Lock()
	defer s.judge.mutex.Unlock()
	got := s.judge.judged
	s.judge.judged = map[string]int{}
	if !maps.Equal(got, w.packets) {
		return fmt.Errorf("judged were\n\t%v\nwant\n\t%v", got, w.packets)
	}
	return nil
}

// sternly has the judge let nobody by meanwhile.
type sternly struct{ step }

func (a sternly) do(s *stage) error {
	set := func(stern bool) {
		s.judge.mutex.Lock()
		defer s.judge.mutex.Unlock()
		s.judge.stern = stern
	}
	set(true)
	defer set(false)
	return a.step.do(s)
}

// packets are so many of TCP and as many of UDP, from somebody to each destination.
func packets(times int, from, destinations string) map[string]int {
	out := map[string]int{}
	for line, n := range lines(times, "", from, destinations) {
		out[strings.TrimPrefix(line, ": ")] = n
	}
	return out
}

// udpPacket is a datagram to each destination.
func udpPacket(from, destinations string) map[string]int {
	out := packets(1, from, destinations)
	maps.DeleteFunc(out, func(line string, _ int) bool { return strings.HasPrefix(line, "tcp") })
	return out
}
