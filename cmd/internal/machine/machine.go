// Package machine reads the state of this machine that rules depend on: the source address that the route to a backend
// names (routes.go, ranges.go and addresses.go), and the ports that programs serve on (ports.go). boot.go tells one
// boot from another, and netfile.go finds the files of /proc/net.
//
// The package knows the kernel's netlink interfaces. It knows neither farms nor nft. A question that the kernel does
// not answer has the answer that needs no rule.
package machine
