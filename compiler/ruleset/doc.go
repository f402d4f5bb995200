// Package ruleset turns farms into one complete nft script: sets, maps, chains and other objects in farmc's two tables,
// inet farmc and netdev farmc.
//
// The package knows nft 1.0.6, the kernel from 6.1 on, and the templates. It must not know files or TOML, and of
// the machine only the answers of a Machine.
// Of farmc's packages it imports diag, toml (for rates), addr, slots, farm and templates.
//
// Files, in the order to read them:
//   - object.go and element.go have the objects and their elements; script.go renders them section by section and
//     returns a Script; writer.go runs the templates and keeps the origin of each line, digester.go makes the digest
//     meanwhile.
//   - services.go is the entry: it keeps a service for each farm. service.go has the service and its frontends. link.go
//     calls the features in the order in which a packet meets them. portable.go keeps the rules for the script of the
//     boot. dispatch.go fills the maps from address, protocol and port to a verdict, zone.go keeps those of zones of
//     connection tracking apart.
//   - assignment.go assigns slots to backends, backend_id.go numbers backends inside the rules, hash.go has the fields
//     of hashes. pick.go and two_step.go have the two ways to pick a backend: at once, or first a backend ID, which can
//     be remembered, counted or replaced, and then its target.
//   - nat_pick.go, nat_two_step.go, dsr_pick.go, dsr_two_step.go, stateless_pick.go, stateless_two_step.go and
//     stateless_reply.go do so for each mode. stateless_gateway.go hands on replies at ingress, slow_path.go has the
//     packets that it leaves to the stack, own_addresses.go the addresses of the machine, dsr_here.go the share
//     of a machine that is a backend itself, dsr_table.go the tables of maglev that are asked first.
//     persistence_table.go, static_sessions.go and backend_limits.go have the tables that the second way asks;
//     persistence_group.go has the rules for farms that share a table of clients, known_clients.go has the farms whose
//     rules translate packets of known clients at once.
//   - moved_ports.go has the ports of backends that get connections on other ports than clients ask for.
//   - new_connections.go counts the connections of dsr and stateless; maps of the other modes count by themselves.
//   - machine.go has the state of a machine that rules depend on. source_nat.go chooses the source address of
//     connections, source_pool.go from a range, hairpin.go for clients beside the backends, outgoing.go for connections
//     of backends, marked_sources.go for connections of this machine, route_sources.go by the routes of the machine,
//     and source_ports.go replaces source ports.
//   - mark_replies.go marks replies by the interface of their request. mark.go, helpers.go, flowtable.go, timeouts.go,
//     invalid.go, queue.go and log.go have a feature each.
//   - gate.go has the base chains that clients pass first, access.go and limits.go their rules, client_sets.go the sets
//     of networks. synproxy.go has the SYNs that the kernel answers with cookies.
//   - ingress.go, fragments.go, ask_first.go and interface_match.go handle frames at the ingress of an interface.
//   - step.go tells which part of a packet's way a chain is; prediction.go computes hashes as the kernel does.
//
// templates/X.nft is filled by X.go, always.
//
// Be aware:
//   - The same farms give the same bytes on every machine. No map is walked without sorting, and no time or number of
//     the machine is read.
//   - Text in a script has no escapes. Only typed values and validated names reach a template.
//   - Adding an object of the same name twice is the same as adding it once. The data is of the first one, so features
//     ask for an object with obtain and add to its data.
//   - A piece (the rendered elements of one frontend) follows from its farm alone and is kept until the farm changes.
//     It must not depend on other farms.
//   - Package reload reads the script line by line. A new form of line in an object needs a look at its parser.
package ruleset
