package netlab

import "math"

// Fits is the p-value of Pearson's chi-square test: the probability that backends which are drawn at random by the
// weights differ from them as much as the counts, or more. With the limit p > 1e-6 a right farm fails once in a million
// runs. Fits is 0 if a backend without weight was drawn.
func Fits(counts, weights map[string]int) (p float64) {
	var n, weight float64
	for _, c := range counts {
		n += float64(c)
	}
	for _, w := range weights {
		weight += float64(w)
	}
	for backend, c := range counts {
		if c > 0 && weights[backend] == 0 {
			return 0
		}
	}
	square, freedom := 0.0, -1.0
	for backend, w := range weights {
		if w == 0 {
			continue
		}
		expected := n * float64(w) / weight
		difference := float64(counts[backend]) - expected
		square += difference * difference / expected
		freedom++
	}
	if n == 0 || freedom < 1 {
		return 1
	}
	return upperGamma(freedom/2, square/2)
}

// upperGamma is the regularized upper incomplete gamma function Q(a, x) for a > 0, x >= 0, to about 12 digits:
// the series of DLMF 8.11.4 below a+1, Lentz's continued fraction above, as in Numerical Recipes in C (2nd ed.),
// section 6.2.
func upperGamma(a, x float64) float64 {
	if x <= 0 {
		return 1
	}
	logGamma, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - logGamma)
	if x < a+1 {
		return 1 - front*lowerSeries(a, x)
	}
	return front * upperFraction(a, x)
}

const (
	precision = 1e-15
	steps     = 10000 // either needs about the square root of a
)

// lowerSeries is the sum of x^k / (a (a+1) ... (a+k)) over k >= 0.
func lowerSeries(a, x float64) float64 {
	term := 1 / a
	sum := term
	for k := 1.0; k < steps && term > sum*precision; k++ {
		term *= x / (a + k)
		sum += term
	}
	return sum
}

// upperFraction is 1/(x+1-a- 1(1-a)/(x+3-a- 2(2-a)/(x+5-a- ...))), formula 6.2.7 there.
func upperFraction(a, x float64) float64 {
	const tiny = 1e-300
	b := x + 1 - a
	c := 1 / tiny
	d := 1 / b
	h := d
	for i := 1.0; i < steps; i++ {
		numerator := -i * (i - a)
		b += 2
		d = numerator*d + b
		if math.Abs(d) < tiny {
			d = tiny
		}
		c = b + numerator/c
		if math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		h *= d * c
		if math.Abs(d*c-1) < precision {
			break
		}
	}
	return h
}
