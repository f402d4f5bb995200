// Package trace follows real packets through the rules of farmc and of other programs, and tells their way in words:
// the farm, the steps, the backend, and the rule that stops a packet.
//
// A Tracer (tracer.go) makes two tables of its own, which go with its netlink socket, also if the process is killed.
// Their rules (table.go, expression.go) mark the packets of a Filter (filter.go) as soon as they come in, a bounded
// number a second. The kernel then sends an event (event.go, header.go) for each rule that a marked packet matches.
// journey.go collects the events of a packet. A Translator (translate.go, steps.go, outcome.go) makes a Packet of them
// (packet.go), which is the document of farmc trace --json; rules.go asks the kernel for the rules behind the events.
// answers.go selects the answers of backends, and tells their client and service. places.go finds the interfaces where
// packets are met as frames, run.go is the loop.
//
// The package knows netlink, the farms, and the names in farmc's script. It loads nothing and changes no table but its
// own. It writes no nft text: rules are made as the kernel knows them.
//
// Be aware:
//   - The kernel sends the events of all traces to all readers. A journey begins with the mark of the own table.
//   - The kernel uses the ID of a packet again for later ones.
//   - An event has the headers of its packet only if it is the first one in a base chain. So the table has base chains
//     without rules at each hook, first and last: their events tell how far a packet came, and with which addresses.
package trace
