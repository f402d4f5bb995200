package preflight

import (
	"context"
	"slices"

	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

// Check warns of what would make right farms silent: a machine that does not forward, a filter of somebody else's
// that drops what it does not know, an address that no packet can reach.
func Check(ctx context.Context, n nft.Nft, farms []*compiler.Farm) diag.Diagnostics {
	var told diag.Diagnostics
	var ways routing
	defer ways.close()
	for _, family := range addr.Families {
		told = append(told, ways.forwarding(family, farms)...)
	}
	if ways.forwards(addr.IP4, farms) || ways.forwards(addr.IP6, farms) {
		told = append(told, foreignDrops(ctx, n, wayThrough(farms))...)
	}
	return slices.Concat(told, ways.unreached(farms), ways.handedToItself(farms))
}
