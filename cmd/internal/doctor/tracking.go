package doctor

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
)

// A tracking is the table of connection tracking of this network namespace.
type tracking struct{ entries, most int } // most is 0 without the table

func readTracking() tracking {
	entries, _ := conntrack.Count()
	text, _ := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	most, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return tracking{entries, most}
}

// fullShare is the share of entries, in percent, from which the table is nearly full.
const fullShare = 80

// findings finds a table that is nearly full. The kernel drops packets of new connections once it is full.
func (t tracking) findings(farms []*farm.Farm) (found preflight.Findings) {
	if t.most == 0 || t.entries*100 < t.most*fullShare {
		return nil
	}
	var tracked []*farm.Farm
	for _, f := range farms {
		if f.Tracked() || f.Mode == farm.Local {
			tracked = append(tracked, f)
		}
	}
	if len(tracked) == 0 {
		return nil
	}
	f := preflight.LargerTable(t.most)
	f.Kind, f.Object, f.Farms, f.Effect = "tracking", "table", names(tracked), preflight.Harms
	f.Message = fmt.Sprintf("connection tracking has %d of at most %d entries: new connections fail when it is full",
		t.entries, t.most)
	return preflight.Findings{&f}
}
