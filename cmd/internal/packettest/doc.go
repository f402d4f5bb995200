// Package packettest asks whether a real client reaches the right backend: farms are compiled and loaded in the
// balancer of a netlab as apply would, and real sockets tell where connections go. It holds tests alone.
//
// A case is a row: its farms as an administrator would write them, and what is then asked, refused, reloaded. One
// case runs by its name:
//
//	go test ./cmd/internal/packettest -run TestPackets/snat-weights-tcp-ip4
//
// On every stage all machines answer on the ports of stagePorts, the balancer and the client, too, so that a
// connection that goes astray tells where it went.
package packettest
