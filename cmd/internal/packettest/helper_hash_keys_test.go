package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/compiler/farm"
)

// addressFormats are the addresses of services, by the numbers of the farm and of the address, and of clients.
type addressFormats struct{ services, clients string }

func (m addressFormats) service(farm, i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(m.services, farm, i))
}

// keyCombinations loads a farm for each combination of keys.
type keyCombinations struct {
	addressFormats
	listen func(at netip.Addr, ports int) string
	on     func(c keyCombinations, keys []string) string // keys of the farm
}

const firstPort = 1000

// values is the number of values of each key. All reach one backend by chance with a probability of 2^-15.
const values = 16

// keyValues describe a packet: the number of the value that each key has.
type keyValues map[farm.HashKey]int

func (c keyCombinations) do(s *testbed) error {
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
	clients := udpClients{}
	defer clients.close()
	first, err := c.send(s, clients, keyValues{})
	if err != nil {
		return err
	}
	var wrong []error
	for _, key := range farm.HashKeys {
		moved, err := c.moved(s, clients, key, first)
		if err != nil {
			return err
		}
		for _, number := range c.numbers() {
			if on := keysOf(number); moved[number] != slices.Contains(on, key) {
				wrong = append(wrong, fmt.Errorf("on %v: another %s leads to another backend: %t", on, key,
					moved[number]))
			}
		}
	}
	return errors.Join(wrong...)
}

// moved says for each farm whether packets with other values of the key reach another backend than the first packet.
func (c keyCombinations) moved(s *testbed, as udpClients, key farm.HashKey, first map[int]string) (map[int]bool,
	error) {
	moved := map[int]bool{}
	for value := 1; value < values; value++ {
		answers, err := c.send(s, as, keyValues{key: value})
		if err != nil {
			return nil, fmt.Errorf("another %s: %w", key, err)
		}
		for number, backend := range answers {
			moved[number] = moved[number] || backend != first[number]
		}
	}
	return moved, nil
}

// numbers are bit masks of keys, one for each combination. Whole addresses have no ports.
func (c keyCombinations) numbers() (all []int) {
	for number := 1; number < 1<<len(farm.HashKeys); number++ {
		on := keysOf(number)
		if !c.whole() || !slices.Contains(on, farm.SourcePort) && !slices.Contains(on, farm.DestinationPort) {
			all = append(all, number)
		}
	}
	return all
}

// whole says whether the farms listen on whole addresses.
func (c keyCombinations) whole() bool { return strings.HasSuffix(c.listen(c.service(1, 1), 1), "/all") }

func keysOf(number int) (on []farm.HashKey) {
	for i, key := range farm.HashKeys {
		if number&(1<<i) != 0 {
			on = append(on, key)
		}
	}
	return on
}

func (c keyCombinations) servedPorts() (ports []uint16) {
	for i := range values {
		ports = append(ports, uint16(firstPort+i))
	}
	return ports
}

func (c keyCombinations) farm(number int) string {
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

// send sends one packet to every farm, and returns the names of the answering backends.
func (c keyCombinations) send(s *testbed, as udpClients, f keyValues) (map[int]string, error) {
	if err := s.setMACs(byte(f[farm.SourceMAC]), byte(f[farm.DestinationMAC])); err != nil {
		return nil, err
	}
	socket, err := as.socket(s, fmt.Sprintf(c.clients, 2+f[farm.SourceAddress]), 10000+f[farm.SourcePort])
	if err != nil {
		return nil, err
	}
	answers := map[int]string{}
	for _, number := range c.numbers() {
		to := netip.AddrPortFrom(c.service(number, 1+f[farm.DestinationAddress]),
			uint16(firstPort+f[farm.DestinationPort]))
		if answers[number], err = askName(socket, to); err != nil {
			return nil, fmt.Errorf("on %v: %s: %w", keysOf(number), to, err)
		}
	}
	return answers, nil
}

// udpClients are sockets by their addresses. They stay open: a process between fork and exec holds a copy of each
// socket, and so its address.
type udpClients map[string]*net.UDPConn

func (all udpClients) socket(s *testbed, as string, port int) (*net.UDPConn, error) {
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

func (all udpClients) close() {
	for _, socket := range all {
		socket.Close()
	}
}

func askName(socket *net.UDPConn, to netip.AddrPort) (string, error) {
	if err := socket.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
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
