package web

import (
	"strconv"
	"strings"
)

// A sparkline is a small graph of the course of a number.
type sparkline struct {
	Width, Height int
	Line, Area    string // paths of SVG; "": there are fewer than two samples
	Label         string // in words, for readers who do not see the graph
	Most          string // of the largest value
	Class         string
}

// newSparkline draws values into a box, from 0 to the largest one. The course ends at the right edge.
func newSparkline(values []float32, width, height int, class, label string) sparkline {
	s := sparkline{Width: width, Height: height, Class: class}
	if len(values) < 2 {
		s.Label = label + ": no course yet"
		return s
	}
	least, most := values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	s.Most = rateWords(float64(most))
	s.Label = label + " from " + rateWords(float64(least)) + " to " + s.Most + ", now " +
		rateWords(float64(values[len(values)-1]))
	step := float64(width-2) / float64(max(len(values), leastSamples)-1)
	left := float64(width-1) - step*float64(len(values)-1)
	var path strings.Builder
	for i, v := range values {
		y := float64(height) - 1.5
		if most > 0 {
			y -= float64(v/most) * (float64(height) - 3)
		}
		path.WriteString(map[bool]string{true: "M", false: "L"}[i == 0])
		path.WriteString(coordinate(left+step*float64(i)) + " " + coordinate(y))
	}
	s.Line = path.String()
	bottom := " " + strconv.Itoa(height)
	s.Area = s.Line + "L" + strconv.Itoa(width-1) + bottom + "L" + coordinate(left) + bottom + "Z"
	return s
}

// leastSamples is the number of samples that fill a graph. Fewer ones begin in its midst.
const leastSamples = 24

func coordinate(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }
