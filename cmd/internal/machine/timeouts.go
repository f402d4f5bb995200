package machine

import (
	"os"
	"strconv"
	"strings"
)

// timeoutSettings are the settings of connection tracking for TCP, by nft's names of the states.
var timeoutSettings = map[string]string{
	"syn_sent":    "timeout_syn_sent",
	"syn_recv":    "timeout_syn_recv",
	"established": "timeout_established",
	"fin_wait":    "timeout_fin_wait",
	"close_wait":  "timeout_close_wait",
	"last_ack":    "timeout_last_ack",
	"time_wait":   "timeout_time_wait",
	"close":       "timeout_close",
	"retrans":     "timeout_max_retrans",
	"unack":       "timeout_unacknowledged",
}

// Timeouts gives the seconds after which connection tracking forgets idle TCP connections, by nft's names of their
// states. It lacks states that the kernel has no setting for.
func Timeouts() map[string]int {
	out := make(map[string]int, len(timeoutSettings))
	for state, name := range timeoutSettings {
		text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_tcp_" + name)
		if n, notNumber := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && notNumber == nil {
			out[state] = n
		}
	}
	return out
}
