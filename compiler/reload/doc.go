// Package reload makes the nft script that leads from the loaded ruleset to a new one, and leaves alone the objects and
// elements that are the same in both: they keep counters, sticky entries and their place in a round robin.
//
// The package knows nft objects, their declarations, rules and elements, as text. It must not know farms, TOML or the
// machine. Of farmc's packages it imports ruleset.
//
// Files, in the order to read them: reload.go has Reload and writes its script; parse.go reads a script that farmc
// wrote, now or earlier, into an inventory; diff.go compares two inventories; held.go makes an inventory of the objects
// that the kernel lists, where no script is known; counters.go carries counters from removed elements to their
// successors; backend_counters.go finds the elements that count for a backend; keytype.go has nft's types of keys.
//
// Be aware:
//   - The loaded script may come from an older farmc. The parser accepts the lines of all releases; any other line is
//     an error, and the caller then loads the complete script.
//   - nft 1.0.6 cannot add a rule to a set that is declared with "typeof ... th dport" (it reports conflicting
//     protocols). Such a set is created anew together with its rules.
//   - Linux 6.1 ignores a new size of an existing set without an error. Resized lists these sets.
package reload
