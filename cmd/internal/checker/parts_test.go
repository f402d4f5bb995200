package checker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDelays(t *testing.T) {
	var d Delays
	for i := range 99 {
		d.add(time.Duration(i) * time.Microsecond)
	}
	d.add(time.Second)
	if starts, within := d.Take(0.99); starts != 100 || within < 98*time.Microsecond || within > 130*time.Microsecond {
		t.Errorf("%d starts, 99%% within %s", starts, within)
	}
	d.add(time.Second)
	if starts, within := d.Take(0.99); starts != 1 || within < time.Second || within > 1250*time.Millisecond {
		t.Errorf("%d starts, 99%% within %s", starts, within)
	}
	for us := range 100_000 {
		late := time.Duration(us) * time.Microsecond
		if c := class(late); upper(c) <= late || c > 0 && upper(c-1) > late {
			t.Fatalf("%s is in class %d, up to %s", late, c, upper(c))
		}
	}
}

// After a standstill checks start at twice the usual rate.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{}
		p.set(10_000)
		started := 0
		for began := time.Now(); time.Since(began) < time.Second; {
			if pause := p.take(time.Now()); pause > 0 {
				time.Sleep(pause)
			} else {
				started++
			}
		}
		if started < 19_000 || started > 21_500 {
			t.Errorf("%d starts in a second", started)
		}
	})
}

func TestHold(t *testing.T) {
	var d damping
	now := time.Now()
	for i, want := range []time.Duration{0, 0, 0, 10 * time.Second, 20 * time.Second, 40 * time.Second,
		80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		if got := d.fell(now); got != want {
			t.Errorf("failure %d: out for %s, want %s", i+1, got, want)
		}
	}
	for range 30 {
		if got := d.fell(now); got != maxHold {
			t.Errorf("out for %s", got)
		}
	}
	if got := d.fell(now.Add(flapWindow)); got != 0 {
		t.Errorf("a failure after a quiet time: out for %s", got)
	}
}
