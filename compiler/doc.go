// Package compiler turns farms, one TOML file each, into one complete nft script. It is pure: files in, bytes out; the
// same files give the same bytes on every machine.
//
// This package is the front door. The work is done below it; imports run from right to left:
//
//	diag <- toml
//	diag, toml, addr, slots <- farm <- ruleset <- reload
//	                           farm <- flows
//	                           farm, ruleset <- compiler
//
// The pipeline:
//
//	directories
//	   |  farm/files.go      masks, precedence, drop-ins
//	   v
//	files
//	   |  toml               tables, with the place of every key and value
//	   v
//	tables
//	   |  farm/keys.go       all keys: types, bounds, defaults, modes; farm/validate.go: rules between keys
//	   v
//	farms                    valid each for itself
//	   |  ruleset/link.go    rules between farms; then every feature adds its objects
//	   v
//	objects                  sets, maps, chains, with the origin of each element and rule
//	   |  ruleset/script.go  templates
//	   v
//	script  ->  reload       the script that changes a loaded ruleset into this one
//
// It must not know the machine: package live of cmd asks the kernel, and tells which network interfaces are absent,
// which source addresses the routes to backends name, and on which ports programs of the machine serve.
// Terms, as all packages use them:
//
//   - farm: a load-balanced service, from one TOML file and its drop-ins.
//   - frontend: an address, protocol and ports that clients connect to. An entry of listen gives one or more.
//   - backend: a server that the connections of a farm are sent to.
//   - service: a farm inside of package ruleset, with its frontends, assignments and rendered elements.
//   - slot, assignment: a backend gets slots by its weight; an assignment has a farm's slots of one family.
//   - pick: the rule that draws a slot, at random, in turn or by a hash, and so the backend of a new connection.
//   - backend ID: the number or address that stands for a backend between the first and the second step of a pick.
//   - target: the address, port and way to a backend, which a map finds by the backend ID.
//   - sticky table: the map of the clients that a farm remembers, with their backends.
//   - hook, gate: base chains of nft, where packets enter the rules; gates are for access and limits.
//   - object: a set, map, chain, flow table, counter, limit or helper of nft.
//   - section: the part of a table that one feature's objects have in the script.
//   - element, piece: an element of a set or map; the rendered elements of one frontend in a shared map.
//   - origin: the farm, key and place in a file that a line of the script comes from.
//   - inventory: the objects of a script that reload compares.
//
// Files: compile.go. The tests of this package compile the cases in golden/, walk packets through random farms, and
// load scripts into a kernel.
//
// Be aware: a Compiler keeps the farms and their rendered elements from one call to the next, and must give the same
// result as a first compile. The zero Compiler is ready for use; it is not for several goroutines at once.
package compiler
