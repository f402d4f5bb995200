package nft

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"farmc/cmd/internal/nfnetlink"
	"farmc/compiler/diag"
)

// plainName matches names that nft takes without quotes.
var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// maxRuleTime bounds the time to list a chain, because nft reads all sets of its table first.
const maxRuleTime = 5 * time.Second

// RuleText returns a rule as nft lists it, on one line, printable and of at most 300 bytes; "" if nft does not list it
// in time. The family is one of unix.NFPROTO_*.
func (n Nft) RuleText(ctx context.Context, family uint8, table, chain string, handle uint64) string {
	if !plainName.MatchString(table) || !plainName.MatchString(chain) || nfnetlink.FamilyName(family) == "" {
		return ""
	}
	ctx, end := context.WithTimeout(ctx, maxRuleTime)
	defer end()
	out, err := n.run(ctx, inherited, nil, "--handle", "list", "chain", nfnetlink.FamilyName(family), table, chain)
	if err != nil {
		return ""
	}
	return ruleIn(out, handle)
}

// ruleIn finds the rule with the handle in a listing of a chain.
func ruleIn(listing []byte, handle uint64) string {
	end := fmt.Sprintf(" # handle %d", handle)
	for line := range bytes.Lines(listing) {
		if text, ok := strings.CutSuffix(strings.TrimSpace(string(line)), end); ok && !strings.HasSuffix(text, "{") {
			return diag.Printable(text[:min(len(text), 300)])
		}
	}
	return ""
}
