package ruleset

// A farm on a loopback address needs route_localnet, with which the kernel takes packets from other machines that have
// loopback addresses, too: to the farm, and to all programs that listen on loopback addresses alone. So a chain drops
// these packets before connection tracking, as the kernel does without route_localnet. Replies of backends have the
// machine's own address there.

// loopbackGuard is the chain that drops packets with loopback addresses from other machines.
const loopbackGuard = "loopback-guard"

// guardLoopback adds the chain if a farm listens on a loopback address.
func (l *linker) guardLoopback(tracked []frontend) {
	if first(tracked, func(d *frontend) bool { return !d.Address.IsLoopback() }) < len(tracked) {
		l.staticChain(loopbackGuard, dispatchSection)
	}
}
