package probe

import (
	"context"
	"fmt"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

// BenchmarkTCP is the cost of one check of type tcp, of 1000 backends in turn, without the cost of their kernel.
func BenchmarkTCP(b *testing.B) { benchmark(b, a(farm.HealthTCP)) }

// BenchmarkHTTP is the cost of one check of type http, and of the server's answer.
func BenchmarkHTTP(b *testing.B) { benchmark(b, a(farm.HealthHTTP)) }

// BenchmarkICMP is the cost of one check of type icmp.
func BenchmarkICMP(b *testing.B) { benchmark(b, a(farm.HealthICMP)) }

func benchmark(b *testing.B, check farm.Health) {
	l, err := netlab.New(netlab.Options{Backends: 1})
	if err != nil {
		b.Skip(err)
	}
	defer l.Close()
	check.Interval = 100 * time.Millisecond
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("b", i)
	}
	serve(b, l.Backends[0], 80, answers(ok))
	b.ReportAllocs()
	l.Balancer.Do(func() error {
		for i := 0; b.Loop(); i++ {
			checked := target(l.Backends[0].IP4[0], 80, check)
			checked.Backend = names[i%len(names)]
			if r := Run(context.Background(), checked); !r.Healthy {
				b.Fatalf("%+v", r)
			}
		}
		return nil
	})
}
