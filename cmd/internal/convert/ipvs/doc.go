// Package ipvs turns virtual services of IPVS, the kernel's LVS, into farms. Package ipvsadm and package keepalived
// read them from their formats.
//
// The package knows the meaning of IPVS: schedulers, forwarding methods, persistence, weights and thresholds. It knows
// no format of a file.
//
// service.go has Service, Server and Import; scheduler.go, persistence.go and server.go have the parts of a service.
package ipvs
