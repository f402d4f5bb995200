package addr

import "slices"

// A Range is a range of addresses of one family as numbers, from First to Last, both included.
type Range struct{ First, Last Number }

// Holds reports whether the address is in the range. It must be of the family of the range.
func (s Range) Holds(a Number) bool { return s.First.compare(a) <= 0 && a.compare(s.Last) <= 0 }

// Merge joins ranges that overlap or adjoin, and returns the result in ascending order. It sorts its argument.
func Merge(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return a.First.compare(b.First) })
	var out []Range
	for _, s := range ranges {
		n := len(out)
		if n > 0 && (s.First.compare(out[n-1].Last) <= 0 || s.First == out[n-1].Last.plus(Number{0, 1})) {
			if s.Last.compare(out[n-1].Last) > 0 {
				out[n-1].Last = s.Last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// CountPrefixes gives the number of prefixes of EachPrefix.
func (s Range) CountPrefixes(f Family) (n int) {
	s.EachPrefix(f, func(Number, int) { n++ })
	return n
}

// EachPrefix calls do with the fewest prefixes that cover the range exactly, in ascending order. The length is from 1
// to the family's width: all addresses of a family are two prefixes of length 1.
func (s Range) EachPrefix(f Family, do func(first Number, length int)) {
	width := f.Width()
	for at := s.First; ; {
		size := min(at.trailingZeros(), width-1)
		if left := s.Last.minus(at).plus(Number{0, 1}); left != (Number{}) { // else all addresses of IPv6 are left
			size = min(size, left.bitLength()-1)
		}
		do(at, width-size)
		at = at.plus(power(size))
		if end := at.minus(Number{0, 1}); end == s.Last {
			return
		}
	}
}
