// Package farm reads farms from their files: TOML, drop-ins and lists become values of type Farm, and every fault of
// every file becomes a diagnostic with its place.
//
// The package knows the directories and their precedence, the keys of a farm, their types, bounds and defaults, the
// modes in which a key has an effect, and the rules between keys and between farms. It must not know nft, the kernel's
// state or the network interfaces of a machine: the caller says which interfaces are absent. Of farmc's packages it
// imports diag, toml, addr and slots.
//
// Files, in the order to read them:
//   - farm.go has Farm, Backend and the words for modes, schedulers and states; listen.go, access.go, list.go,
//     limits.go, log.go, queue.go, mark.go, helper.go, timeouts.go, sources.go, hairpin.go, outgoing.go,
//     marked_sources.go, interfaces.go, portmap.go and persistence.go have the parts of a farm, each with its reader.
//     health.go has the checks of backends and the judgement of words about them; health_keys.go is their part of the
//     table of keys, health_values.go has their readers, health_validate.go their rules. host.go makes backends of the
//     addresses of hostnames, hostaddress.go has the keys of single addresses.
//   - cache.go is the entry: it reads directories, and parses the files that changed. files.go collects the files and
//     sorts out masks, precedence and drop-ins. reading.go has the result of reading one farm, for programs that show
//     its files and their keys.
//   - keys.go is the table of all keys: reading, the check of modes and describing go through it. key.go has the types
//     of values. read.go reads one farm, dropin.go merges its drop-ins, defaults.go adds the keys that it inherits from
//     the defaults of its directory. allowed.go refuses keys without effect in the farm's mode. validate.go checks the
//     keys of one farm against each other.
//   - frontend.go gives the frontends of a farm, from the most specific to the most general; conflict.go and reply.go
//     find frontends and replies of two farms that collide.
//   - describe.go describes a farm in words, compares two descriptions, and recalls a farm from one. share.go,
//     client.go and maglev.go answer questions about a farm.
//
// Be aware:
//   - Cache.Read returns farms with faults too, so that faults between farms are found in the same run. A farm with
//     faults is not complete: check diag.Diagnostics.Faulty before its values are used.
//   - A Farm does not change once it is read. Services of package ruleset keep rendered elements by its pointer.
//   - The state directory keeps descriptions, also of an older farmc. Recall must read them.
//   - Names of farms, backends, lists and interfaces, and the prefix of log lines, are the only text of an author that
//     reaches a script. Their checks here keep nft statements out of it.
package farm
