package nfnetlink

import "golang.org/x/sys/unix"

// families are nft's names of the families of tables.
var families = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6",
	unix.NFPROTO_NETDEV: "netdev", unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_ARP: "arp"}

// FamilyName gives nft's name of the family of a table, for one of unix.NFPROTO_*; "" for other numbers.
func FamilyName(number uint8) string { return families[number] }
