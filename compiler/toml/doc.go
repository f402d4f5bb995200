// Package toml reads TOML files in which every key, value and item keeps its place, and reports every fault at
// its place.
//
// The package knows TOML, the types of values, their bounds, and how durations and rates are written. It must
// not know farms: the caller has the names of the keys and their meaning. It imports diag alone of farmc's
// packages. github.com/BurntSushi/toml does the parsing and is imported as burntsushi; the scanner of this
// package finds the places, which that library does not tell.
//
// Files, in the order to read them: parse.go turns a text into a Table; scan.go finds where keys and values begin;
// position.go turns offsets into places; errors.go words the errors of the library; table.go lays places beside
// values and merges drop-ins; inherit.go adds defaults; reader.go, duration.go and rate.go are the readers of a
// Table; ordered.go is the map below it. document.go turns a Table into a plain value; keyat.go names the key at a
// place. Programs that edit a text ask Statements for the offsets of its keys and values.
//
// Be aware:
//   - Readers never fail. A wrong type or a value out of bounds becomes a fault, the reader returns the zero
//     value, and reading goes on, so that one run finds all faults.
//   - A reader marks its key as known. FaultUnknown reports all other keys, so it comes after the reading.
//   - The library reports its first error only, and accepts some keys that are there twice. Table finds those.
//   - The scanner expects text that the library accepts. Of any other text it returns a part of the keys.
//   - Merge takes over the tables of the drop-in, which report to the merged table from then on.
package toml
