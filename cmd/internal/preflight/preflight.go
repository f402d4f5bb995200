// Package preflight warns about the machine: settings, filters, addresses and kernel modules that keep a correct farm
// from working.
//
// The package knows the farms, the kernel's routing table, its sysctls and modules, and the nft chains of other
// programs. It knows neither farmc's own rules nor the state directory, and it changes nothing but the loaded kernel
// modules. Every finding is a warning, because an administrator may have arranged the network in a way that farmc
// cannot see.
//
// Check (preflight.go) is the entry point for forwarding.go (sysctls and forward chains) and addresses.go (addresses of
// frontends and backends); both look up routes with routes.go. LoadTranslators (modules.go) is a second entry point,
// because modules must be loaded before the rules are.
package preflight

import (
	"context"
	"slices"

	"farmc/cmd/internal/nft"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// Check returns warnings about forwarding, about forward chains of other programs, and about addresses that packets
// cannot reach. A question that the kernel does not answer yields no warning, except for the list of chains.
func Check(ctx context.Context, n nft.Nft, farms []*farm.Farm) diag.Diagnostics {
	var warnings diag.Diagnostics
	var routes routes
	defer routes.close()
	for _, family := range addr.Families {
		warnings = append(warnings, routes.forwarding(family, farms)...)
	}
	if routes.forwards(addr.IP4, farms) || routes.forwards(addr.IP6, farms) {
		warnings = append(warnings, foreignDrops(ctx, n, forwardMatches(farms))...)
	}
	return slices.Concat(warnings, routes.missingAddresses(farms), routes.ownBackends(farms))
}
