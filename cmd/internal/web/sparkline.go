package web

import (
	"strconv"
	"strings"
)

// A sparkline is a small graph of the course of a number.
type sparkline struct {
	Width, Height int
	Line, Area    string // paths of SVG; "": there are fewer than two points
	Label         string // in words, for readers who do not see the graph
	Class         string
}

// newSparkline draws the course of a figure into a box, from 0 to the largest value. The course ends at the right edge,
// and has a gap where the number was not known.
func newSparkline(f figure, width, height int) sparkline {
	s := sparkline{Width: width, Height: height, Class: f.Kind}
	values := thin(f.Course, width+width/4)
	least, most, last := bounds(values)
	if len(values) < 2 || last == nil {
		s.Label = f.Label + ": no course yet"
		return s
	}
	s.Label = f.Label + " from " + f.Words(float64(least)) + " to " + f.Words(float64(most)) + ", now " +
		f.Words(float64(*last))
	step := float64(width-2) / float64(max(len(values), leastPoints)-1)
	left := float64(width-1) - step*float64(len(values)-1)
	var line, area strings.Builder
	for from, i := 0, 0; i <= len(values); i++ {
		if i < len(values) && values[i] != nil {
			continue
		}
		if from < i {
			course := drawn(values[from:i], left+step*float64(from), step, height, most)
			first, last := coordinate(left+step*float64(from)), coordinate(left+step*float64(i-1))
			line.WriteString("M" + course)
			area.WriteString("M" + first + " " + strconv.Itoa(height) + "L" + course + "L" + last + " " +
				strconv.Itoa(height) + "Z")
		}
		from = i + 1
	}
	s.Line, s.Area = line.String(), area.String()
	return s
}

// leastPoints is the number of points that fill a graph. Fewer ones begin in its midst.
const leastPoints = 24

// drawn returns the coordinates of values in a row, without the ones on a level part.
func drawn(values []*float32, left, step float64, height int, most float32) string {
	var out strings.Builder
	for i, v := range values {
		if i > 0 && i < len(values)-1 && *v == *values[i-1] && *v == *values[i+1] {
			continue
		}
		y := float64(height) - 1.5
		if most > 0 {
			y -= float64(*v/most) * (float64(height) - 3)
		}
		if i > 0 {
			out.WriteByte('L')
		}
		out.WriteString(coordinate(left+step*float64(i)) + " " + coordinate(y))
	}
	return out.String()
}

// bounds returns the smallest and the largest value, and the last one; nil: there is none.
func bounds(values []*float32) (least, most float32, last *float32) {
	for _, v := range values {
		if v == nil {
			continue
		}
		if last == nil {
			least = *v
		}
		least, most, last = min(least, *v), max(most, *v), v
	}
	return least, most, last
}

// thin returns at most so many values: the larger one of two neighbours, as peaks tell most.
func thin(values []*float32, most int) []*float32 {
	for len(values) > most {
		var half []*float32
		for i := len(values) % 2; i < len(values); i += 2 {
			one, other := values[i], values[i+1]
			if one == nil || other != nil && *other > *one {
				one = other
			}
			half = append(half, one)
		}
		values = half
	}
	return values
}

func coordinate(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }
