package compiler

import (
	"fmt"
	"strconv"
	"strings"
)

func readQueue(t *table) (first, last uint16) {
	v, ok := t.raw("queue")
	if !ok {
		return 0, 0
	}
	from, to, isRange := strings.Cut(fmt.Sprint(v.data), "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || b < a {
		t.fault(v.place, `queue = "0-3"`, "queue: %q is not a number or a range of numbers, 0 to 65535", fmt.Sprint(v.data))
	}
	return uint16(a), uint16(b)
}
