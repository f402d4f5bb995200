// Package slots turns weights into slots: a table with a number of slots, in which each backend has as many as
// its weight asks for. One lookup then picks a backend.
//
// The package knows weights and, for Maglev, keys of backends. It knows nothing of farms and nft, and imports
// none of farmc's packages.
//
// Files, in the order to read them: slots.go assigns slots by weight, spread evenly; maglev.go fills the lookup
// table of Maglev (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
// 3.4); hash.go has the hash of Maglev's keys; jhash.go has the hash that the kernel computes of packets.
//
// Be aware:
//   - Results depend on nothing but the arguments. Another result for the same arguments moves the clients of
//     running farms to other backends at the next load, so a change of a constant or of the hash is a change of
//     behaviour.
//   - Assign is exact to 1 % of each share. Maglev is exact to 1 % with a table of the size that MaglevSize
//     gives.
//   - Assign does not spread more than Max slots, which no load accepts: it returns a slice of zeros of that
//     length.
package slots
