package checker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/probe"
	"farmc/compiler/farm"
)

// still is a farmc watch that takes all words, and farms that never change.
type still struct{ checks []Check }

func (s *still) Checks(context.Context) ([]Check, error) {
	if s.checks == nil {
		return nil, ErrSame
	}
	out := s.checks
	s.checks = nil
	return out, nil
}

func (*still) Present(context.Context, []Name) (map[Name]Verdict, error) { return nil, nil }

func (*still) Say(context.Context, []Word) (map[int]error, error) { return nil, nil }

// BenchmarkChecks makes 10,000 TCP checks per second of as many backends on this machine, and shows how late they
// start. In the second run, 10,000 more backends never answer their checks.
func BenchmarkChecks(b *testing.B) {
	for _, silent := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("silent=%d", silent), func(b *testing.B) {
			for b.Loop() {
				benchmarkChecks(b, backends(b, 10_000, silent))
			}
		})
	}
}

// benchmarkTime is the time that a benchmark measures, after a longer time to start: each backend is checked 20 times.
const benchmarkTime = 10 * time.Second

func benchmarkChecks(b *testing.B, checks []Check) {
	ctx, end := context.WithCancel(b.Context())
	failed := 0 // of the loop
	c := &Checker{Farms: &still{checks}, Listen: &still{}, Log: func(string, ...any) {}, Poll: time.Minute}
	c.Turned = func(t Turn) {
		if !t.Healthy && t.Backend[0] == 'a' {
			failed++
		}
	}
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	time.Sleep(2 * benchmarkTime)
	c.Started.Take(1)
	before := processorTime(b)
	time.Sleep(benchmarkTime)
	used := processorTime(b) - before
	starts, within := c.Started.Take(0.99)
	end()
	<-done
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(starts)/benchmarkTime.Seconds(), "checks/s")
	b.ReportMetric(within.Seconds()*1000, "p99-late-ms")
	b.ReportMetric(100*used.Seconds()/benchmarkTime.Seconds(), "processor-%")
	b.ReportMetric(float64(memory.Sys)/1e6, "MB")
	b.ReportMetric(float64(failed), "failed")
}

// backends are backends that answer, and silent ones: a UDP socket that nothing reads.
func backends(b *testing.B, answering, silent int) (checks []Check) {
	tcp, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	udp, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tcp.Close(); udp.Close() })
	go func() {
		for c, err := tcp.Accept(); err == nil; c, err = tcp.Accept() {
			c.Close()
		}
	}()
	health := farm.Health{Type: farm.HealthTCP, Interval: time.Second, FastInterval: time.Second, Timeout: time.Second,
		Jitter: 10, Rise: 2, Fall: 3, Start: farm.Up}
	at := tcp.Addr().(*net.TCPAddr).AddrPort().Port()
	for i := range answering {
		checks = append(checks, newCheck([]probe.Target{{Address: loopback(i), Port: at, Backend: fmt.Sprint("a", i),
			Check: health}}))
	}
	health.Type, health.Send, health.Expect = farm.HealthUDP, "who?", "I"
	health.Interval, health.FastInterval, health.Timeout = silence, silence, silence
	at = udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	for i := range silent {
		checks = append(checks, newCheck([]probe.Target{{Address: loopback(i), Port: at, Backend: fmt.Sprint("s", i),
			Check: health}}))
	}
	return checks
}

// silence is the timeout of silent backends. They are checked all the time.
const silence = 5 * time.Second

// loopback is an address of this machine.
func loopback(n int) netip.Addr { return netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}) }

// processorTime is the time that this process had a processor.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
