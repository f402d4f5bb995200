package packettest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestAccess: whom a farm denies is dropped and counted, and whom it allows passes, in every mode, wherever the address
// of the service lives.
func TestAccess(t *testing.T) {
	t.Parallel()
	play(t, accessScenes())
}

// The clients of these scenes: one that no list names, one that is denied, and one that is denied and allowed.
const (
	anybody = "198.51.100.9 2001:db8:c::9"
	outcast = "198.51.100.65 2001:db8:c::65"
	friend  = "198.51.100.66 2001:db8:c::66"
)

// accessOwn and accessLists say the same.
const (
	accessOwn = `
		[access]
		allow = ["198.51.100.66", "2001:db8:c::66"]
		deny  = ["198.51.100.64/26", "192.0.2.200", "2001:db8:c::60/124"]
	`
	accessLists = `
		[access]
		allow = "@friends"
		deny  = ["@outcasts", "192.0.2.200"]
	`
	friends = `
		# of ours
		198.51.100.66
		2001:db8:c::66
	`
	outcasts = `
		198.51.100.64 - 198.51.100.66
		198.51.100.67 ; adjoins
		2001:db8:c::60/124
		203.0.113.128/25
	`
)

func accessScenes() (all []scene) {
	for _, mode := range []struct{ name, sees string }{{"snat", "balancer"}, {"dnat", ""}} {
		for _, where := range []struct {
			name, keys string
			lab        netlab.Options
		}{
			{"here", "", netlab.Options{}},
			{"routed", "", netlab.Options{NoVIPs: true}},
		} {
			for _, listen := range []struct{ name, listen, to, answers string }{
				{"ports", listenBoth, both, "b1:80"},
				{"range", everyDoor, "192.0.2.1:8050 [2001:db8::1]:8050", "b1:8050"},
				{"whole", everyDoor, bothSecond, "b1:80"},
			} {
				farm := func(access string) farms {
					return farms{"web": one(mode.name, listen.listen, "b1", 0, where.keys) + access, "friends.list": friends, "outcasts.list": outcasts}
				}
				served := ask{by: "tcp udp", to: listen.to, shares: shares{listen.answers: 1}, sees: mode.sees, times: 2}
				all = append(all, scene{name: strings.Join([]string{mode.name, where.name, listen.name}, "-"), lab: where.lab, steps: steps{
					farm(""), served.askedBy(anybody), served.askedBy(outcast), served.askedBy(friend),
					farm(accessOwn), served.askedBy(anybody), denied{as: outcast, by: "tcp udp", to: listen.to}, served.askedBy(friend),
					farm(accessLists), served.askedBy(anybody), denied{as: outcast, by: "tcp udp", to: listen.to}, served.askedBy(friend),
					farm("[access]\nallow = \"@friends\"\ndeny = \"any\""),
					denied{as: anybody, by: "tcp udp", to: listen.to}, denied{as: outcast, by: "tcp udp", to: listen.to}, served.askedBy(friend),
				}})
			}
		}
	}
	return all
}

// askedBy is the same asked by another client.
func (a ask) askedBy(client string) ask {
	a.as = client
	return a
}

// denied has a farm drop what a client says, and count it.
type denied struct {
	from, as string
	by, to   string
	farm     string // web if empty
}

func (d denied) do(s *stage) (err error) {
	for _, q := range s.questions(d.from, d.by, d.to) {
		err = errors.Join(err, q.blame(d.once(s, q)))
	}
	return err
}

func (d denied) once(s *stage, q question) error {
	before, err := d.count(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- q.askUntil(ctx, s.speakerAs(q.from, q.to.Addr(), d.as)) }()
	for {
		now, err := d.count(s)
		if err != nil || now > before {
			cancel()
			if <-answered == nil {
				return errors.New("counted as denied, and answered")
			}
			return err
		}
		select {
		case err := <-answered:
			return fmt.Errorf("not counted as denied, but answered: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
}

// askUntil asks until the context ends.
func (q question) askUntil(ctx context.Context, as netip.AddrPort) error {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(as)}
	if q.udp() {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(as)
	}
	var c net.Conn
	err := q.from.Do(func() (err error) {
		c, err = dialer.DialContext(ctx, q.network, q.to.String())
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if q.udp() {
		if _, err := c.Write([]byte("who?")); err != nil {
			return err
		}
	}
	_, err = netlab.ReadAnswer(c)
	return err
}

// count is how many packets the farm has denied.
func (d denied) count(s *stage) (n int, err error) {
	farm := d.farm
	if farm == "" {
		farm = "web"
	}
	out, err := s.Balancer.Run(s.ctx, "", "nft", "list", "counter", "inet", "farmc", "farm/"+farm+"/denied")
	if err == nil {
		_, after, _ := strings.Cut(out, "packets ")
		_, err = fmt.Sscan(after, &n)
	}
	return n, err
}
