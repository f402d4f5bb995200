// Package addr has the arithmetic of IP addresses: families, ranges, and the sets of prefixes that cover
// ranges.
//
// The package knows IPv4 and IPv6 and the words of nft for the two. It knows nothing of farms and files, and
// imports none of farmc's packages.
//
// Files, in the order to read them: family.go has the two versions of IP; parse.go reads addresses, networks
// and ranges as files write them; range.go merges ranges and parts them into prefixes; prefixset.go arranges
// prefixes in few sets, each of one prefix length; number.go has the 128-bit arithmetic below.
//
// Be aware:
//   - Arrays are indexed by Family, and Families is the order in which the families are rendered.
//   - ParseAddress refuses zones and IPv4 addresses written as IPv6, because nft refuses them.
//   - A Number carries no family. An IPv4 address is in its lower 32 bits, and the caller passes the Family
//     along.
//   - A prefix of length 0 is written as two prefixes of length 1.
//   - PrefixSets expects merged ranges. It may write a prefix as several longer ones to save a set, as each set
//     costs a lookup for every packet.
package addr
