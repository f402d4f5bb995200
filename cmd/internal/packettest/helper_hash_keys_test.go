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
)

// many addresses: those that a farm listens on by its number and theirs, and those of clients.
type many struct{ services, clients string }

func (m many) service(farm, i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(m.services, farm, i))
}

// A combinations step has a farm for each, which listens on addresses by so many ports in a form of its own.
type combinations struct {
	many
	listen func(at netip.Addr, ports int) string
	on     func(c combinations, keys []string) string // the rest of a farm, before its backends
}

const firstPort = 1000

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
