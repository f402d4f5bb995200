#!/bin/bash
# Announces the IPv6 addresses of farmc's routing table by FRR 8.4, which imports IPv4 routes alone from other tables.
# The addresses are networks of BGP, which are added and removed with each change of the table. The route map farmc marks
# them, and networks without it stay. This runs beside FRR:
#
#   systemd-run --unit=farmc-frr --property=Restart=always /etc/farmc/frr-ipv6.sh
#
# Arguments are options of vtysh(1).
set -o pipefail

table=251
as=64512

# wanted are the addresses and networks in the table.
wanted() {
	ip -6 route show table "$table" proto 251 type blackhole 2>/dev/null |
		awk '{ print $2 ~ "/" ? $2 : $2 "/128" }' | sort
}

# announced are the networks of BGP with the route map.
announced() {
	vtysh "$@" -c 'show running-config bgpd' |
		awk '$1 == "network" && $2 ~ ":" && $3 == "route-map" && $4 == "farmc" { print $2 }' | sort
}

update() {
	local is command commands=()
	is=$(announced "$@") || return
	while read -r command; do
		commands+=(-c "$command")
	done < <(comm -3 <(wanted) <(printf '%s' "$is${is:+$'\n'}") |
		sed '/^\t/!s/^/network /; s/^\t/no network /; s/$/ route-map farmc/')
	[ ${#commands[@]} = 0 ] ||
		vtysh "$@" -c 'configure terminal' -c "router bgp $as" -c 'address-family ipv6 unicast' "${commands[@]}"
}

# FRR may have started anew: its networks are compared each 10 s, too.
ip -6 monitor route | while true; do
	update "$@"
	read -r -t 10 || [ $? -gt 128 ] || exit 1
done
