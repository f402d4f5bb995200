package netlab

import (
	"errors"
	"maps"
	"math"
	"net/netip"
	"testing"
)

// Spread calls ask once for each i, and counts each answer.
func TestSpread(t *testing.T) {
	counts, err := Spread(1000, func(i int) (Answer, error) {
		return Answer{Backend: []string{"b1", "b2", "b3", "b3"}[i%4]}, nil
	})
	if want := map[string]int{"b1": 250, "b2": 250, "b3": 500}; err != nil || !maps.Equal(counts, want) {
		t.Errorf("%v, %v", counts, err)
	}
}

// Spread stops after an error.
func TestSpreadStops(t *testing.T) {
	fault := errors.New("no")
	counts, err := Spread(1000, func(i int) (Answer, error) {
		if i >= 10 {
			return Answer{}, fault
		}
		return Answer{Backend: "b1"}, nil
	})
	if counts["b1"] != 10 || !errors.Is(err, fault) {
		t.Errorf("%v, %v", counts, err)
	}
}

// The kernel picks backends by their weights, and Fits rejects other weights.
func TestSpreadFits(t *testing.T) {
	t.Parallel()
	l := servingLab(t, Options{})
	load(t, l, `table inet t {
		chain prerouting {
			type nat hook prerouting priority dstnat
			ip daddr 192.0.2.1 tcp dport 80 dnat to numgen random mod 6 map {
				0 : 10.2.0.11, 1-2 : 10.2.0.12, 3-5 : 10.2.0.13 }
		}
	}`)
	counts, err := Spread(1200, func(i int) (Answer, error) {
		client := l.Client.IP4[i%len(l.Client.IP4)]
		return l.Client.Ask("tcp4", client, netip.MustParseAddrPort("192.0.2.1:80"), patience)
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := Fits(counts, map[string]int{"b1": 1, "b2": 2, "b3": 3}); p < 1e-6 {
		t.Errorf("%v: p = %g", counts, p)
	}
	if p := Fits(counts, map[string]int{"b1": 1, "b2": 1, "b3": 1}); p > 1e-6 {
		t.Errorf("%v by equal weights: p = %g", counts, p)
	}
}

func TestFits(t *testing.T) {
	weights := map[string]int{"b1": 9, "b2": 3, "b3": 3, "b4": 1, "b5": 0}
	for name, c := range map[string]struct {
		counts map[string]int
		p      float64
	}{
		// Mendel's peas: a chi-square of 0.470024 with 3 degrees of freedom
		"near":              {map[string]int{"b1": 315, "b2": 101, "b3": 108, "b4": 32}, 0.925426},
		"exact":             {map[string]int{"b1": 90, "b2": 30, "b3": 30, "b4": 10}, 1},
		"nothing asked":     {nil, 1},
		"one never":         {map[string]int{"b1": 900, "b2": 300, "b3": 300}, 0},
		"weight zero":       {map[string]int{"b1": 90, "b2": 30, "b3": 30, "b4": 10, "b5": 1}, 0},
		"unknown":           {map[string]int{"b1": 90, "b2": 30, "b3": 30, "b4": 10, "b6": 1}, 0},
		"weight zero never": {map[string]int{"b1": 90, "b2": 30, "b3": 30, "b4": 10, "b5": 0}, 1},
	} {
		if p := Fits(c.counts, weights); math.Abs(p-c.p) > 1e-6 {
			t.Errorf("%s: %g, want %g", name, p, c.p)
		}
	}
}

// Critical values of the chi-square distribution, from the NIST/SEMATECH e-Handbook of Statistical Methods,
// section 1.3.6.7.4, and closed forms.
func TestUpperGamma(t *testing.T) {
	for _, c := range []struct{ freedom, square, p float64 }{
		{1, 2.706, 0.10}, {1, 3.841, 0.05}, {1, 6.635, 0.01}, {1, 10.828, 0.001},
		{2, 5.991, 0.05}, {2, 13.816, 0.001},
		{5, 11.070, 0.05}, {10, 18.307, 0.05}, {10, 23.209, 0.01}, {10, 29.588, 0.001},
		{30, 43.773, 0.05}, {50, 67.505, 0.05}, {100, 124.342, 0.05}, {100, 149.449, 0.001},
	} {
		if q := upperGamma(c.freedom/2, c.square/2); math.Abs(q-c.p) > 0.0005*math.Sqrt(c.p) {
			t.Errorf("chi-square %g with %g degrees of freedom: %g, want %g", c.square, c.freedom, q, c.p)
		}
	}
	for x := 0.01; x < 200; x *= 1.3 {
		near(t, x, upperGamma(0.5, x), math.Erfc(math.Sqrt(x)))
		near(t, x, upperGamma(1, x), math.Exp(-x))
		near(t, x, upperGamma(3, x), math.Exp(-x)*(1+x+x*x/2))
	}
}

// near compares to ten digits.
func near(t *testing.T, x, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-10*want+1e-14 {
		t.Errorf("at %g: %g, want %g", x, got, want)
	}
}
