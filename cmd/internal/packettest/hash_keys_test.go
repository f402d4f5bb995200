package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/compiler"

	"github.com/vishvananda/netlink"
)

// keyScenes: the backend of a connection depends on exactly the keys that a farm hashes on. For each of their 63
// combinations there is a farm, and for each key a number of packets that differ from the first one in it alone:
// they meet the backend of the first one if the farm doesn't hash on it, else not all of them do. All farms hash
// into two slots with a known seed, and MAC addresses are given, so every run sees the same.
var keyScenes = []scene{
	{name: "hash-on-every-combination-ip4", steps: steps{combinations{ip4Many, listenOnPorts, hashedOn}}},
	{name: "hash-on-every-combination-ip6", steps: steps{combinations{ip6Many, listenOnPorts, hashedOn}}},
	{name: "hash-on-every-combination-range-ip4", steps: steps{combinations{ip4Many, listenOnRange, hashedOn}}},
	{name: "hash-on-every-combination-range-ip6", steps: steps{combinations{ip6Many, listenOnRange, hashedOn}}},
	{name: "hash-on-every-combination-whole-ip4", steps: steps{combinations{ip4Many, listenOnAll, hashedOn}}},
	{name: "persistence-on-every-combination-ip4", steps: steps{combinations{ip4Many, listenOnPorts, persistentOn}}},
	{name: "persistence-on-every-combination-ip6", steps: steps{combinations{ip6Many, listenOnPorts, persistentOn}}},
	{name: "persistence-on-every-combination-range-ip4", steps: steps{combinations{ip4Many, listenOnRange, persistentOn}}},
	{name: "persistence-on-every-combination-range-ip6", steps: steps{combinations{ip6Many, listenOnRange, persistentOn}}},
	{name: "persistence-on-every-combination-whole-ip4", steps: steps{combinations{ip4Many, listenOnAll, persistentOn}}},
	{name: "persistence-on-every-combination-whole-ip6", steps: steps{combinations{ip6Many, listenOnAll, persistentOn}}},
	{name: "hash-on-every-combination-whole-ip6", steps: steps{combinations{ip6Many, listenOnAll, hashedOn}}},
}

// many addresses: those that a farm listens on by its number and theirs, and those of clients.
type many struct{ services, clients string }

var (
	ip4Many = many{"198.18.%d.%d", "198.51.100.%d"}
	ip6Many = many{"2001:db8:5:%d::%d", "2001:db8:c::%d"}
)

func (m many) service(farm, i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(m.services, farm, i))
}

// A combinations step has a farm for each, which listens on addresses by so many ports in a form of its own.
type combinations struct {
	many
	listen func(at netip.Addr, ports int) string
	on     func(c combinations, keys []string) string // the rest of a farm, before its backends
}

// hashedOn farms have the keys hashed.
func hashedOn(_ combinations, keys []string) string {
	return fmt.Sprintf("scheduler = \"hash\"\nhash-on = [%s]\n", strings.Join(keys, ", "))
}

// persistentOn farms send every packet where all of it is hashed to, but for those that have the same keys.
func persistentOn(c combinations, keys []string) string {
	all := `"source-address", "destination-address", "source-mac", "destination-mac"`
	if !c.whole() {
		all += `, "source-port", "destination-port"`
	}
	return fmt.Sprintf("scheduler = \"hash\"\nhash-on = [%s]\npersistence = { on = [%s], timeout = \"1h\" }\n", all, strings.Join(keys, ", "))
}

const firstPort = 1000

func listenOnPorts(at netip.Addr, n int) string {
	ports := []string{netip.AddrPortFrom(at, firstPort).String()}
	for i := 1; i < n; i++ {
		ports = append(ports, fmt.Sprint(firstPort+i))
	}
	return strings.Join(ports, ",") + "/udp"
}

func listenOnRange(at netip.Addr, n int) string {
	return fmt.Sprintf("%s-%d/udp", netip.AddrPortFrom(at, firstPort), firstPort+max(n, 2)-1)
}

func listenOnAll(at netip.Addr, _ int) string { return at.String() }

// values is how many each key has; that all meet one backend by chance has a probability of 2^-15.
const values = 16

// A flavour is a packet: which of its values each key has.
type flavour map[compiler.HashKey]int

func (c combinations) do(s *stage) error {
	if err := s.Serve(c.servedPorts()...); err != nil {
		return err
	}
	farms := farms{}
	for _, number := range c.numbers() {
		farms[fmt.Sprintf("farm-%d", number)] = c.farm(number)
	}
	if err := farms.do(s); err != nil {
		return err
	}
	clients := clients{}
	defer clients.close()
	first, err := c.send(s, clients, flavour{})
	if err != nil {
		return err
	}
	var wrong []error
	for _, key := range compiler.HashKeys {
		moved, err := c.moved(s, clients, key, first)
		if err != nil {
			return err
		}
		for _, number := range c.numbers() {
			if on := keysOf(number); moved[number] != slices.Contains(on, key) {
				wrong = append(wrong, fmt.Errorf("on %v: another %s leads to another backend: %t", on, key, moved[number]))
			}
		}
	}
	return errors.Join(wrong...)
}

// moved says of each farm whether packets with other values of the key meet another backend than the first one.
func (c combinations) moved(s *stage, as clients, key compiler.HashKey, first map[int]string) (map[int]bool, error) {
	moved := map[int]bool{}
	for value := 1; value < values; value++ {
		answers, err := c.send(s, as, flavour{key: value})
		if err != nil {
			return nil, fmt.Errorf("another %s: %w", key, err)
		}
		for number, backend := range answers {
			moved[number] = moved[number] || backend != first[number]
		}
	}
	return moved, nil
}

// numbers are those of the combinations, which tell bit by bit what keys they have. Whole addresses have no ports.
func (c combinations) numbers() (all []int) {
	for number := 1; number < 1<<len(compiler.HashKeys); number++ {
		on := keysOf(number)
		if !c.whole() || !slices.Contains(on, compiler.SourcePort) && !slices.Contains(on, compiler.DestinationPort) {
			all = append(all, number)
		}
	}
	return all
}

// whole says whether the farms take every protocol of their addresses.
func (c combinations) whole() bool { return !strings.Contains(c.listen(c.service(1, 1), 1), "/") }

func keysOf(number int) (on []compiler.HashKey) {
	for i, key := range compiler.HashKeys {
		if number&(1<<i) != 0 {
			on = append(on, key)
		}
	}
	return on
}

func (c combinations) servedPorts() (ports []uint16) {
	for i := range values {
		ports = append(ports, uint16(firstPort+i))
	}
	return ports
}

func (c combinations) farm(number int) string {
	var listen, on []string
	for i := range values {
		ports := 1
		if i == 0 {
			ports = values
		}
		listen = append(listen, fmt.Sprintf("%q", c.listen(c.service(number, 1+i), ports)))
	}
	for _, key := range keysOf(number) {
		on = append(on, fmt.Sprintf("%q", key))
	}
	return fmt.Sprintf(`
		mode   = "dnat"
		listen = [%s]
		%s
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
	`, strings.Join(listen, ", "), c.on(c, on))
}

// send sends one packet to every farm, and gives the names of the backends that answer.
func (c combinations) send(s *stage, as clients, f flavour) (map[int]string, error) {
	if err := s.wear(byte(f[compiler.SourceMAC]), byte(f[compiler.DestinationMAC])); err != nil {
		return nil, err
	}
	socket, err := as.socket(s, fmt.Sprintf(c.clients, 2+f[compiler.SourceAddress]), 10000+f[compiler.SourcePort])
	if err != nil {
		return nil, err
	}
	answers := map[int]string{}
	for _, number := range c.numbers() {
		to := netip.AddrPortFrom(c.service(number, 1+f[compiler.DestinationAddress]), uint16(firstPort+f[compiler.DestinationPort]))
		if answers[number], err = whoIs(socket, to); err != nil {
			return nil, fmt.Errorf("on %v: %s: %w", keysOf(number), to, err)
		}
	}
	return answers, nil
}

// clients are sockets by their addresses. They stay open: a program that is just being started holds a copy of them,
// and their addresses.
type clients map[string]*net.UDPConn

func (all clients) socket(s *stage, as string, port int) (*net.UDPConn, error) {
	at := net.JoinHostPort(as, fmt.Sprint(port))
	if all[at] != nil {
		return all[at], nil
	}
	err := s.Client.Do(func() (err error) {
		all[at], err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(as), Port: port})
		return err
	})
	return all[at], err
}

func (all clients) close() {
	for _, socket := range all {
		socket.Close()
	}
}

func whoIs(socket *net.UDPConn, to netip.AddrPort) (string, error) {
	if err := socket.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := socket.WriteToUDPAddrPort([]byte("who?"), to); err != nil {
		return "", err
	}
	answer := make([]byte, 1<<10)
	n, err := socket.Read(answer)
	name, _, _ := strings.Cut(string(answer[:n]), " ")
	return name, err
}

// wear gives the link between client and balancer new MAC addresses, and forgets connections and neighbours.
func (s *stage) wear(client, balancer byte) error {
	for _, end := range []struct {
		do  func(func() error) error
		mac net.HardwareAddr
	}{
		{s.Client.Do, net.HardwareAddr{2, 0, 0, 0, 0, 0x10 + client}},
		{s.Balancer.Do, net.HardwareAddr{2, 0, 0, 0, 0, 0x20 + balancer}},
	} {
		if err := end.do(func() error { return wear(end.mac) }); err != nil {
			return err
		}
	}
	return s.Balancer.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func wear(mac net.HardwareAddr) error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
		return err
	}
	neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, n := range neighbours {
		if err := netlink.NeighDel(&n); err != nil {
			return err
		}
	}
	return nil
}
