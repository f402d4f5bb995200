package ipvs

import (
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// longestTimeout is the longest time of [timeouts], in seconds.
const longestTimeout = 24 * 24 * 3600

// Timeouts writes the times of IPVS for TCP, for TCP after FIN, and for UDP: three numbers of seconds, of which 0 keeps
// the default. They are those of ipvsadm --set.
func Timeouts(r *convert.Result, farm *convert.Farm, s Service, times Option) {
	words := strings.Fields(times.Value)
	if len(words) != 3 {
		r.Lose(times.At, "the timeouts are not three numbers", "write --set TCP TCPFIN UDP, in seconds")
		return
	}
	if farm.Get("mode") != "dnat" {
		return // without connection tracking nothing is timed
	}
	for i, key := range []string{"established", "half-closed", "udp"} {
		switch n, err := strconv.Atoi(words[i]); {
		case err != nil || n < 0 || n > longestTimeout:
			r.Lose(times.At, "a timeout is not a number of seconds up to 24 days",
				"leave it out, or write a shorter one")
		case n > 0 && s.speaks(key == "udp"):
			farm.Set(times.At, Seconds(n), "timeouts", key)
		}
	}
}

// speaks reports whether a service has UDP, or else TCP. A service by mark may have both.
func (s Service) speaks(udp bool) bool {
	for _, a := range s.Addresses {
		if a.Protocol == "udp" && udp || a.Protocol == "tcp" && !udp {
			return true
		}
	}
	return len(s.Addresses) == 0
}
