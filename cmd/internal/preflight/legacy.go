package preflight

import (
	"fmt"
	"os"
	"strings"
)

// legacyPrograms are the programs whose tables nf_tables does not show, with the files that name the tables.
var legacyPrograms = []struct{ name, tables string }{
	{"iptables-legacy", "ip_tables_names"},
	{"ip6tables-legacy", "ip6_tables_names"},
	{"arptables-legacy", "arp_tables_names"},
}

// legacyTables finds tables of iptables-legacy and arptables-legacy. The programs create a table when they list it, and
// it stays until the next boot.
func (s *search) legacyTables() {
	for _, p := range legacyPrograms {
		text, _ := os.ReadFile("/proc/thread-self/net/" + p.tables)
		names := strings.Fields(string(text))
		if len(names) == 0 {
			continue
		}
		s.found.add(Finding{Kind: "legacy", Object: p.name, Effect: Harms,
			Message: fmt.Sprintf("%s has table %s, and farmc cannot check whether its rules drop or translate packets",
				p.name, strings.Join(names, ", ")),
			Advice: p.name + "-save shows the rules; a table without rules and with policies ACCEPT does no harm"}, nil)
	}
}
