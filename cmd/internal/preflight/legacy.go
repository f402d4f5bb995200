package preflight

import (
	"fmt"
	"os"
	"slices"
	"strings"

	network "farmc/cmd/internal/machine"
)

// legacyTables finds tables of iptables-legacy and arptables-legacy with rules, or with policies other than ACCEPT,
// which nf_tables does not show. The programs create a table when they list it, and it stays until the next boot.
func (s *search) legacyTables() {
	for _, p := range legacyPrograms {
		names := p.tablesInUse()
		if len(names) == 0 {
			continue
		}
		s.found.add(Finding{Kind: "legacy", Object: p.name, Effect: Harms,
			Message: fmt.Sprintf(
				"%s has rules in table %s, and farmc cannot check whether they drop or translate packets",
				p.name, strings.Join(names, ", ")),
			Advice: p.name + "-save shows the rules; the finding ends once the table has no rule, and policies ACCEPT"},
			nil)
	}
}

// tablesInUse are the tables of the program with rules, or with policies other than ACCEPT.
func (p legacyProgram) tablesInUse() []string {
	text, _ := os.ReadFile(network.NetFile(p.tables))
	return slices.DeleteFunc(strings.Fields(string(text)), p.isHarmless)
}
