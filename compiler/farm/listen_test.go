package farm

import "testing"

func TestParseListen(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // as a farm would write it, or the fault
	}{
		{"192.0.2.10:80", "192.0.2.10:80/tcp"},
		{"192.0.2.10:80/tcp", "192.0.2.10:80/tcp"},
		{"192.0.2.10:53/udp,tcp", "192.0.2.10:53/udp,tcp"},
		{"192.0.2.10:53/tcp,tcp", "192.0.2.10:53/tcp"},
		{"192.0.2.10:3868/sctp", "192.0.2.10:3868/sctp"},
		{"192.0.2.10:1,2-3,65535", "192.0.2.10:1,2-3,65535/tcp"},
		{"192.0.2.10:1-65535/udp", "192.0.2.10:1-65535/udp"},
		{"192.0.2.10:80-80", "192.0.2.10:80/tcp"},
		{"192.0.2.10:080", "192.0.2.10:80/tcp"},
		{"192.0.2.10/all", "192.0.2.10/all"},
		{"2001:db8::10/all", "2001:db8::10/all"},
		{"[2001:db8::10]/all", "2001:db8::10/all"},
		{"[2001:db8::10]:443/tcp,udp", "[2001:db8::10]:443/tcp,udp"},
		{"[2001:DB8:0:0:0::10]:443", "[2001:db8::10]:443/tcp"},
		{"fe80::1/all", "fe80::1/all"},
		{"*:80", "*:80/tcp"},
		{"*:80,443,8000-8100/udp", "*:80,443,8000-8100/udp"},
		{"0.0.0.0:80", "0.0.0.0:80/tcp"},
		{"[::]:80", "[::]:80/tcp"},
		{"[0::0]:80", "[::]:80/tcp"},

		{"198.51.100.0/28:443", "198.51.100.0/28:443/tcp"},
		{"198.51.100.0/28:80,443,8000-8100/tcp,udp", "198.51.100.0/28:80,443,8000-8100/tcp,udp"},
		{"198.51.100.0/028:443", "198.51.100.0/28:443/tcp"},
		{"198.51.100.2/31:443", "198.51.100.2/31:443/tcp"},
		{"198.51.100.3/32:443", "198.51.100.3:443/tcp"},
		{"198.51.100.0/28/all", "198.51.100.0/28/all"},
		{"[2001:db8::/64]:443", "[2001:db8::/64]:443/tcp"},
		{"[2001:db8::1/128]:443", "[2001:db8::1]:443/tcp"},
		{"2001:db8::/64/all", "2001:db8::/64/all"},
		{"[2001:db8::/64]/all", "2001:db8::/64/all"},
		{"192.0.2.10/esp", "192.0.2.10/esp"},
		{"192.0.2.10/esp,ah,gre,esp", "192.0.2.10/esp,ah,gre"},
		{"192.0.2.10/icmp", "192.0.2.10/icmp"},
		{"192.0.2.10/proto-50", "192.0.2.10/esp"},
		{"192.0.2.10/proto-1,proto-89", "192.0.2.10/icmp,proto-89"},
		{"192.0.2.10/proto-255", "192.0.2.10/proto-255"},
		{"2001:db8::10/esp", "2001:db8::10/esp"},
		{"[2001:db8::10]/gre", "2001:db8::10/gre"},
		{"2001:db8::10/icmp", "2001:db8::10/icmpv6"},
		{"2001:db8::10/proto-58", "2001:db8::10/icmpv6"},
		{"198.51.100.0/28/esp", "198.51.100.0/28/esp"},
		{"[2001:db8::/64]/esp,ah", "2001:db8::/64/esp,ah"},

		{"", `fault: "" is not an address`},
		{":80", `fault: "" is not an address`},
		{"80", `fault: "80" is not an address`},
		{"example.org:80", `fault: "example.org" is not an address`},
		{"192.0.2.10:80 ", `fault: "80 " is not a port or a range of ports, 1 to 65535`},
		{" 192.0.2.10:80", `fault: " 192.0.2.10" is not an address`},
		{"192.0.2.10:", `fault: "" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:0", `fault: "0" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:65536", `fault: "65536" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:80,", `fault: "" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:-80", `fault: "-80" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:+80", `fault: "+80" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:8_0", `fault: "8_0" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:0x50", `fault: "0x50" is not a port or a range of ports, 1 to 65535`},
		{"192.0.2.10:90-80", `fault: the range of ports 90-80 ends before it begins`},
		{"192.0.2.10:80/", `fault: "" is not a protocol: tcp, udp, sctp, icmp, ` +
			`gre, esp, ah, proto-N or all`},
		{"192.0.2.0/24", `fault: 192.0.2.0/24 lacks ports, or /all for every port and protocol`},
		{"2001:db8::/64", `fault: 2001:db8::/64 lacks ports, or /all for every port and protocol`},
		{"198.51.100.3/28:443", `fault: 198.51.100.3/28 has bits beyond the prefix: the network is 198.51.100.0/28`},
		{"[2001:db8::3/64]:443", `fault: 2001:db8::3/64 has bits beyond the prefix: the network is 2001:db8::/64`},
		{"0.0.0.0/0:443", `fault: 0.0.0.0/0 is no network of services; every address of this machine is *`},
		{"192.0.2.0/0:443", `fault: 192.0.2.0/0 is no network of services; every address of this machine is *`},
		{"[::/0]:443", `fault: ::/0 is no network of services; every address of this machine is *`},
		{"0.0.0.0/8:443", `fault: 0.0.0.0/8 is no network of services; every address of this machine is *`},
		{"192.0.2.0/33:443", `fault: 192.0.2.0/33: the length of a prefix is 1 to 32`},
		{"[2001:db8::/129]:443", `fault: 2001:db8::/129: the length of a prefix is 1 to 128`},
		{"192.0.2.0/99999999999999999999:443",
			`fault: 192.0.2.0/99999999999999999999: the length of a prefix is 1 to 32`},
		{"192.0.2.10:80/28", `fault: "192.0.2.10:80/28": the number after the slash is the length of a prefix, which ` +
			`stands before the ports`},
		{"[2001:db8::10]:80/64", `fault: "[2001:db8::10]:80/64": the number after the slash is the length of a ` +
			`prefix, which stands before the ports`},
		{"[2001:db8::]/64:80", `fault: "[2001:db8::]/64:80": the length of a prefix stands inside the brackets`},
		{"2001:db8::/64:443", `fault: "2001:db8::/64:443": before ports an IPv6 network stands in brackets: ` +
			`[2001:db8::/64]:443`},
		{"*/28:443", `fault: "*" is not an address`},
		{"198.51.100.0/28x:443", `fault: "28x:443" is not a protocol: tcp, udp, sctp, icmp, ` +
			`gre, esp, ah, proto-N or all`},
		{"[2001:db8::/x]:443", `fault: 2001:db8::/x: the length of a prefix is 1 to 128`},
		{"[2001:db8::/]:443", `fault: 2001:db8::/?: the length of a prefix is 1 to 128`},
		{"127.0.0.0/8:80", `fault: 127.0.0.0/8 holds loopback addresses (127.0.0.0/8), on which no farm can listen`},
		{"64.0.0.0/2:80", `fault: 64.0.0.0/2 holds loopback addresses (127.0.0.0/8), on which no farm can listen`},
		{"224.0.1.0/24:80", `fault: 224.0.1.0/24 holds multicast addresses (224.0.0.0/4), on which no farm can listen`},
		{"[ff00::/8]:80", `fault: ff00::/8 holds multicast addresses (ff00::/8), on which no farm can listen`},
		{"192.0.2.10:80/TCP", `fault: "TCP" is not a protocol: tcp, udp, sctp, icmp, ` +
			`gre, esp, ah, proto-N or all`},
		{"192.0.2.10:80/tcp/udp", `fault: "tcp/udp" is not a protocol: tcp, udp, sctp, icmp, ` +
			`gre, esp, ah, proto-N or all`},
		{"192.0.2.10:80/tcp, udp", `fault: " udp" is not a protocol: tcp, udp, sctp, icmp, ` +
			`gre, esp, ah, proto-N or all`},
		{"192.0.2.10:80/all", `fault: all takes no ports: it is the whole address, whatever the protocol`},
		{"192.0.2.10/tcp", `fault: tcp needs ports: ADDRESS:PORTS/tcp`},
		{"192.0.2.10/proto-6", `fault: tcp needs ports: ADDRESS:PORTS/tcp`},
		{"192.0.2.10/esp,udp", `fault: udp needs ports: ADDRESS:PORTS/udp`},
		{"192.0.2.10:500/udp,esp", `fault: esp has no ports: ADDRESS/esp`},
		{"192.0.2.10/esp,all", `fault: all stands alone: it holds every protocol`},
		{"192.0.2.10/proto-0", `fault: "proto-0" is not a protocol: the number is 1 to 255`},
		{"192.0.2.10/proto-256", `fault: "proto-256" is not a protocol: the number is 1 to 255`},
		{"192.0.2.10/proto-050", `fault: "proto-050" is not a protocol: the number is 1 to 255`},
		{"192.0.2.10/proto-", `fault: "proto-" is not a protocol: the number is 1 to 255`},
		{"192.0.2.10/proto-x", `fault: "proto-x" is not a protocol: the number is 1 to 255`},
		{"192.0.2.10/50", `fault: 192.0.2.10/50: the length of a prefix is 1 to 32`},
		{"192.0.2.10/icmpv6", `fault: icmpv6 is no protocol of IPv4`},
		{"2001:db8::10/proto-1", `fault: icmp is no protocol of IPv6`},
		{"*/esp", `fault: "*/esp": a protocol without ports needs an address or a network`},
		{"192.0.2.10/tcp,all", `fault: all stands alone: it holds every protocol`},
		{"192.0.2.10", "fault: 192.0.2.10 lacks ports, or /all for every port and protocol"},
		{"2001:db8::10", "fault: 2001:db8::10 lacks ports, or /all for every port and protocol"},
		{"[2001:db8::10]", "fault: 2001:db8::10 lacks ports, or /all for every port and protocol"},
		// an address by itself, which is why brackets are there
		{"2001:db8::10:80", "fault: 2001:db8::10:80 lacks ports, or /all for every port and protocol"},
		{"*", `fault: "*" would take every protocol of every address of this machine`},
		{"*/all", `fault: "*/all" would take every protocol of every address of this machine`},
		{"0.0.0.0", `fault: "0.0.0.0" would take every protocol of every address of this machine`},
		{"::", `fault: "::" would take every protocol of every address of this machine`},
		{"224.0.0.251:5353/udp", `fault: 224.0.0.251 is not the address of one machine`},
		{"255.255.255.255:67/udp", `fault: 255.255.255.255 is not the address of one machine`},
		{"[ff02::fb]:5353/udp", `fault: ff02::fb is not the address of one machine`},
		{"[::ffff:192.0.2.10]:80", `fault: "::ffff:192.0.2.10" is an IPv4 address written as IPv6`},
		{"[fe80::1%eth0]:80", `fault: "fe80::1%eth0" names a zone, which a rule can't hold`},
		{"[2001:db8::10:80", `fault: "[2001:db8::10:80" lacks a closing bracket`},
		{"[2001:db8::10]80", `fault: "[2001:db8::10]80": after the bracket comes a colon and the ports`},
		{"[192.0.2.10]:80", `fault: "[192.0.2.10]:80": brackets are for IPv6 addresses`},
		{"192.0.2.010:80", `fault: "192.0.2.010" is not an address`},
	} {
		l, err := parseListen(test.text)
		got := ""
		if err != nil {
			got = "fault: " + err.Error()
		} else {
			got = l.String()
		}
		if got != test.want {
			t.Errorf("%q: got %s, want %s", test.text, got, test.want)
		}
		if err != nil {
			continue
		}
		again, err := parseListen(got)
		if err != nil || again.String() != got {
			t.Errorf("%q comes to %q, which comes to %q, %v", test.text, got, again.String(), err)
		}
	}
}
