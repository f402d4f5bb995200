package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"

	"farmc/cmd/internal/netlab"
)

// A contest measures balancers in turn, in one lab. Its unit is the nanosecond, which is an instruction in the virtual
// machine of make compare.
type contest struct {
	*packetLab
	services int
	took     time.Duration // by the last load or change
}

func compareBalancers(farmc string, o options) error {
	lab, err := newPacketLab(farmc)
	if err != nil {
		return err
	}
	defer lab.Close()
	c := &contest{packetLab: lab, services: o.services}
	defer c.clear() // ends HAProxy
	if err := c.prepare(); err != nil {
		return err
	}
	if err := printMachine("instructions, without the sender and the links"); err != nil {
		return err
	}
	if err := lab.measureLinks(); err != nil {
		return err
	}
	if err := c.clear(); err != nil {
		return err
	}
	direct, err := c.connectionCost("10.2.0.11:8080")
	if err != nil {
		return fmt.Errorf("a connection without a balancer: %w", err)
	}
	fmt.Printf("A connection without a balancer: %.0f. Loads and changes in billions, of %d services.\n\n"+
		"| balancer | established | reply | new | connection | load | change | cut | failed |\n"+
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|\n", direct, c.services)
	for _, b := range balancers {
		if !selected(b.name, o.only) {
			continue
		}
		if err := c.measure(b, direct); err != nil {
			fmt.Printf("| %s | %v |\n", b.name, err)
		}
	}
	return nil
}

// prepare gives the backend all addresses of backends, and a server.
func (c *contest) prepare() error {
	exec.Command("modprobe", "ip_vs", "conn_tab_bits=18").Run() // without it IPVS says so itself
	backend := c.Backends[0]
	if err := backend.AddAddress("eth0", netip.MustParsePrefix("10.2.0.12/24")); err != nil {
		return err
	}
	// replies of backends with the service's address are routed by the balancer, as there is no other link
	if err := c.Balancer.Sysctl("net.ipv4.conf.eth1.accept_local", "1"); err != nil {
		return err
	}
	return backend.Do(func() error {
		for _, port := range []string{":80", ":8080"} {
			l, err := net.Listen("tcp4", port)
			if err != nil {
				return err
			}
			go serveBytes(l)
		}
		return nil
	})
}

// serveBytes answers each byte with itself.
func serveBytes(l net.Listener) {
	for {
		connection, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			io.Copy(struct{ io.Writer }{connection}, struct{ io.Reader }{connection})
		}()
	}
}

// run runs a program on the balancer, without a time limit: an emulated processor is slow.
func (c *contest) run(input, program string, arguments ...string) error {
	cmd := exec.Command(program, arguments...)
	var out strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	cmd.WaitDelay = time.Second
	if err := c.Balancer.Do(cmd.Start); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil && err != exec.ErrWaitDelay {
		return fmt.Errorf("%s: %w: %.500s", program, err, out.String())
	}
	return nil
}

// timed notes the time of a load or change.
func (c *contest) timed(f func() error) error {
	began := time.Now()
	err := f()
	c.took = time.Since(began)
	return err
}

// clear stops all balancers, and forgets their connections.
func (c *contest) clear() error {
	if pid, err := os.ReadFile(c.path("haproxy.pid")); err == nil {
		if err := c.run("", "kill", strings.Fields(string(pid))...); err != nil {
			return err
		}
		os.Remove(c.path("haproxy.pid"))
	}
	if _, err := exec.LookPath("ipvsadm"); err == nil {
		c.run("", "ipvsadm", "-C") // fails without the module, and then there is nothing to stop
	}
	if err := c.run("flush ruleset\n", "nft", "-f", "-"); err != nil {
		return err
	}
	if err := c.Balancer.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) }); err != nil {
		return err
	}
	for _, h := range []*netlab.Host{c.Client, c.Backends[0]} {
		if _, err := h.Run(c.ctx, "flush ruleset\n", "nft", "-f", "-"); err != nil {
			return err
		}
	}
	settle()
	return nil
}

// measure measures a balancer and prints a line.
func (c *contest) measure(b balancer, direct float64) error {
	if err := c.clear(); err != nil {
		return err
	}
	if err := b.start(c, poolsOf(1)); err != nil {
		return err
	}
	settle()
	connection, err := c.connectionCost("192.0.2.1:80")
	if err != nil {
		return fmt.Errorf("a connection: %w", err)
	}
	var packets cost4
	if !b.proxy {
		if packets, err = c.packets(b.oneWay); err != nil {
			return err
		}
	}
	if err := c.clear(); err != nil {
		return err
	}
	pools := poolsOf(c.services)
	if err := b.start(c, pools); err != nil {
		return err
	}
	load := c.took
	settle()
	cut, failed, err := c.losses(func() error {
		pools[0].backends = pools[0].backends[:1]
		return b.change(c, pools)
	})
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %s | %s | %s | %.0f | %.2f | %.3f | %d | %d |\n", b.name, cell(packets.established),
		cell(packets.reply), cell(packets.opening), connection-direct, load.Seconds(), c.took.Seconds(), cut, failed)
	return nil
}

// cell is a cost in a table, where costs that were not measured are 0.
func cell(cost float64) string {
	if cost == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", cost)
}

// packets measures packets, which both ends drop meanwhile.
func (c *contest) packets(oneWay bool) (cost4, error) {
	for _, h := range []*netlab.Host{c.Client, c.Backends[0]} {
		if _, err := h.Run(c.ctx, sink, "nft", "-f", "-"); err != nil {
			return cost4{}, err
		}
	}
	return c.measureFamily(families[0], viaFarm["IPv4"], oneWay)
}

// connectionCost is the median of the costs of whole connections, each with one byte in both directions, for client,
// balancer and server together.
func (c *contest) connectionCost(to string) (float64, error) {
	const chunks, size = 15, 20
	var costs []float64
	for range chunks {
		began := time.Now()
		for range size {
			connection, err := c.dial(to)
			if err != nil {
				return 0, err
			}
			err = exchange(connection)
			connection.Close()
			if err != nil {
				return 0, err
			}
		}
		costs = append(costs, float64(time.Since(began))/size)
	}
	slices.Sort(costs)
	return costs[len(costs)/2], nil
}

// answerTime is the time for a connection, and for an answer.
const answerTime = 2 * time.Second

// dial opens a connection that is reset when it is closed, so that none stays behind.
func (c *contest) dial(to string) (connection net.Conn, err error) {
	err = c.Client.Do(func() (err error) {
		connection, err = net.DialTimeout("tcp4", to, answerTime)
		if err != nil {
			return err
		}
		return connection.(*net.TCPConn).SetLinger(0)
	})
	return connection, err
}

// exchange sends a byte and reads the answer.
func exchange(connection net.Conn) error {
	if err := connection.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	b := []byte{'a'}
	if _, err := connection.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(connection, b)
	return err
}

// losses makes a change while connections are open and others are opened. It returns the number of open ones that were
// cut, of 20, and of new ones that failed.
func (c *contest) losses(change func() error) (cut, failed int, err error) {
	var open []net.Conn
	for range 20 {
		connection, err := c.dial("192.0.2.1:80")
		if err != nil {
			return 0, 0, err
		}
		defer connection.Close()
		if err := exchange(connection); err != nil {
			return 0, 0, err
		}
		open = append(open, connection)
	}
	var done atomic.Bool
	failures := make(chan int)
	go func() { failures <- c.openUntil(&done) }()
	err = change()
	time.Sleep(time.Second)
	done.Store(true)
	failed = <-failures
	for _, connection := range open {
		if exchange(connection) != nil {
			cut++
		}
	}
	return cut, failed, err
}

// openUntil opens connections one after the other, and returns the number of those that failed.
func (c *contest) openUntil(done *atomic.Bool) (failed int) {
	for !done.Load() {
		connection, err := c.dial("192.0.2.1:80")
		if err == nil {
			err = exchange(connection)
			connection.Close()
		}
		if err != nil {
			failed++
		}
		time.Sleep(10 * time.Millisecond)
	}
	return failed
}
