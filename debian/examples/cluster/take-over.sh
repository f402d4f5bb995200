#!/bin/sh
# keepalived runs this script on the balancer that becomes active. conntrackd writes the connections that the other
# balancer has reported to the kernel (-c), and sends all connections to the other one (-B).
set -u
for step in -c -f -R -B; do
	conntrackd -C /etc/conntrackd/conntrackd.conf "$step" || logger -t conntrackd "take-over: $step failed"
done
