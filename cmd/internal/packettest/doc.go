// Package packettest tests with real packets that a client reaches the right backend. Farms are compiled and loaded on
// the balancer of a netlab, as apply does, and sockets show where connections go. The package holds tests only.
//
// A case is a row in a table: a name that says the rule it holds, the lab, and the steps. Steps load farms, written as
// an administrator writes them, send requests, and reload. Each case runs in network namespaces of its own, beside
// others. One case runs by its name:
//
//	go test ./cmd/internal/packettest -run TestPackets/snat-weights-tcp-ip4
//
// The flag -short skips all cases.
//
// Files that begin with helper_ hold the steps and the farms that cases use; read helper_case, helper_testbed and
// helper_request first. All other files hold cases, and are named for their topic.
//
// All machines of a testbed answer on testbedPorts, the balancer and the client, too. So a misdirected connection shows
// where it went.
package packettest
