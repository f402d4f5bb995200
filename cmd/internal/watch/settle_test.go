package watch

import (
	"testing"
	"testing/synctest"
	"time"
)

// settled gives the times of the signals for changes at the given times, in milliseconds.
func settled(t *testing.T, moments ...int) []int {
	var signals []int
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan struct{})
		signal, begin := settle(changes, never), time.Now()
		go func() {
			for _, at := range moments {
				time.Sleep(time.Duration(at)*time.Millisecond - time.Since(begin))
				changes <- struct{}{}
			}
			time.Sleep(time.Minute)
			close(changes)
		}()
		for range signal {
			signals = append(signals, int(time.Since(begin).Milliseconds()))
		}
	})
	return signals
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []int
		want    []int
	}{
		{"nothing", nil, nil},
		{"one", []int{50}, []int{150}},
		{"many-are-one", []int{0, 10, 90, 180}, []int{280}},
		{"quiet-between", []int{0, 101, 202}, []int{100, 201, 302}},
		{"never-quiet", every(70, 0, 4900), []int{2000, 4030, 5000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := settled(t, c.changes...)
			if len(got) != len(c.want) {
				t.Fatalf("signals at %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("signals at %v, want %v", got, c.want)
				}
			}
		})
	}
}

func never() bool { return false }

// settle waits for files that are open for writing, for maxDelay at most.
func TestSettleWaitsForWriters(t *testing.T) {
	for _, c := range []struct{ busy, want int }{{0, 100}, {150, 200}, {930, 1000}, {5000, 2000}} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			elapsed := func() int { return int(time.Since(begin).Milliseconds()) }
			changes := make(chan struct{})
			signal := settle(changes, func() bool { return elapsed() < c.busy })
			changes <- struct{}{}
			<-signal
			if got := elapsed(); got != c.want {
				t.Errorf("busy for %d ms: signal after %d, want %d", c.busy, got, c.want)
			}
			close(changes)
		})
	}
}

func every(step, from, to int) (moments []int) {
	for at := from; at <= to; at += step {
		moments = append(moments, at)
	}
	return moments
}

// A slow receiver gets one signal, and another one if there was a change after it received the first.
func TestSignalWaitsForASlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan struct{})
		signal := settle(changes, never)
		for range 3 {
			changes <- struct{}{}
			time.Sleep(time.Second)
		}
		<-signal
		select {
		case <-signal:
			t.Error("a second signal for the same changes")
		default:
		}
		changes <- struct{}{}
		<-signal
		close(changes)
		if _, more := <-signal; more {
			t.Error("a signal after the end")
		}
	})
}
