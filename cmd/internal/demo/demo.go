// Package demo shows farmc in network namespaces of its own. It loads the farms of farms.d, opens real connections
// through them, prints the backends that answer, changes a farm while farmc watch runs, and cleans up.
//
// It knows the farms of farms.d and the messages of farmc watch. All of it is in this file: the stage is built by open,
// and play runs the acts.
package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"farmc/cmd/internal/netlab"
	farmsd "farmc/farms.d"
)

// patience is the time limit for each step of the demo.
const patience = time.Minute

// A stage is the lab, the farms and the running farmc watch.
type stage struct {
	*netlab.Lab
	out   io.Writer
	farmc string
	farms string        // a copy that can be changed
	log   <-chan string // lines of farmc watch
}

// Run shows the demo on out, with the farmc of that path. A user without root gets a user namespace, in which the
// program runs again from its beginning.
func Run(out io.Writer, farmc string) error {
	if err := netlab.Enter(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "farmc-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab, err := netlab.New(netlab.Options{})
	if err != nil {
		return err
	}
	defer lab.Close()
	s := &stage{Lab: lab, out: out, farmc: farmc, farms: filepath.Join(dir, "farms.d")}
	if err := os.CopyFS(s.farms, farmsd.Farms); err != nil {
		return err
	}
	stop, err := s.open(filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer stop()
	return s.play()
}

// services are the addresses that the farms listen on.
var services = []string{"192.0.2.10/32", "192.0.2.11/32", "192.0.2.12/32", "192.0.2.99/32", "2001:db8::10/128"}

// open adds the services' addresses, starts the servers of the backends, and starts farmc watch on the balancer.
func (s *stage) open(state string) (stop func(), err error) {
	s.say("A client, a balancer and three backends, in network namespaces of their own.")
	for _, a := range services {
		if err := s.Balancer.AddAddress("lo", netip.MustParsePrefix(a)); err != nil {
			return nil, err
		}
	}
	if err := s.Serve(8080, 53, 25, 143, 80); err != nil {
		return nil, err
	}
	s.say("The balancer checks its farms, then farmc watches them:")
	if err := s.command("check", "--dir", s.farms); err != nil {
		return nil, err
	}
	watching := exec.Command(s.farmc, "watch", "--dir", s.farms, "--state-dir", state)
	watching.Dir = filepath.Dir(s.farms)
	r, w := io.Pipe()
	watching.Stdout, watching.Stderr = w, w
	s.log = lines(r)
	s.prompt("farmc watch --dir farms.d &")
	if err := s.Balancer.Do(watching.Start); err != nil {
		return nil, err
	}
	return func() {
		watching.Process.Signal(syscall.SIGTERM)
		watching.Wait()
	}, s.await("loaded")
}

func (s *stage) play() error {
	acts := []struct {
		words string
		act   func() error
	}{
		{"web: 400 connections, weights 3 and 1, another port on the backends; IPv4, then IPv6.", func() error {
			return errors.Join(s.spread("tcp4", "192.0.2.10:80", 400), s.spread("tcp6", "[2001:db8::10]:80", 400))
		}},
		{"dns: each client always gets the same backend, which sees the client's address.", s.hashed},
		{"mail: round-robin.", func() error { return s.roundRobin("192.0.2.12:25", 6) }},
		{"An administrator drains backend b1 of web:", func() error {
			if err := s.edit("web.toml", "weight = 3", "state = \"drain\"", "loaded"); err != nil {
				return err
			}
			return s.spread("tcp4", "192.0.2.10:80", 100)
		}},
		{"... makes a mistake: the loaded rules stay,", func() error {
			if err := s.edit("web.toml", "[backends.b2]", "[backend.b2]", "stay"); err != nil {
				return err
			}
			return s.spread("tcp4", "192.0.2.10:80", 100)
		}},
		{"... corrects it, and sets the last backend down, too: connections are refused at once,", func() error {
			if err := s.edit("web.toml", "[backend.b2]", "[backends.b2]\nstate = \"down\"", "loaded"); err != nil {
				return err
			}
			return s.refused("tcp4", "192.0.2.10:80")
		}},
		{"... and sets both backends up again.", func() error {
			if err := s.edit("web.toml", "state = \"drain\"", "weight = 3", "loaded"); err != nil {
				return err
			}
			if err := s.edit("web.toml", "state = \"down\"\n", "", "loaded"); err != nil {
				return err
			}
			return s.spread("tcp4", "192.0.2.10:80", 400)
		}},
	}
	for _, a := range acts {
		s.say(a.words)
		if err := a.act(); err != nil {
			return err
		}
	}
	s.say("Done. farmc ends, and the namespaces are deleted.")
	return nil
}

func (s *stage) say(words string)      { fmt.Fprintf(s.out, "\n%s\n", words) }
func (s *stage) prompt(command string) { fmt.Fprintf(s.out, "    $ %s\n", command) }
func (s *stage) show(text string)      { fmt.Fprintf(s.out, "    %s\n", text) }

func (s *stage) command(args ...string) error {
	s.prompt("farmc " + strings.ReplaceAll(strings.Join(args, " "), s.farms, "farms.d"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.farmc, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := s.Balancer.Do(cmd.Run)
	for line := range strings.Lines(out.String()) {
		s.show(strings.TrimRight(strings.ReplaceAll(line, s.farms, "farms.d"), "\n"))
	}
	return err
}

// spread opens n connections, and prints the number of answers of each backend.
func (s *stage) spread(network, to string, n int) error {
	at := netip.MustParseAddrPort(to)
	counts, err := netlab.Spread(n, func(int) (netlab.Answer, error) {
		return s.Client.Ask(network, netip.Addr{}, at, patience)
	})
	if err != nil {
		return err
	}
	var words []string
	for _, b := range s.Backends {
		words = append(words, fmt.Sprintf("%s %3d", b.Name, counts[b.Name]))
	}
	s.show(fmt.Sprintf("%d connections to %s: %s", n, to, strings.Join(words, "  ")))
	return nil
}

// hashed sends datagrams of four clients, and fails if a client gets several backends.
func (s *stage) hashed() error {
	for _, client := range s.Client.IP4[:4] {
		var got []string
		var peer netip.Addr
		for range 4 {
			a, err := s.Client.Ask("udp4", client, netip.MustParseAddrPort("192.0.2.11:53"), patience)
			if err != nil {
				return err
			}
			got, peer = append(got, a.Backend), a.Peer.Addr()
		}
		s.show(fmt.Sprintf("client %s: %s, which saw %s", client, strings.Join(got, " "), peer))
		if len(slices.Compact(slices.Clone(got))) > 1 || peer != client {
			return fmt.Errorf("client %s: backends %s, which saw %s; want one backend that sees the client's address",
				client, strings.Join(got, " "), peer)
		}
	}
	return nil
}

func (s *stage) roundRobin(to string, n int) error {
	var got []string
	for range n {
		a, err := s.Client.Ask("tcp4", netip.Addr{}, netip.MustParseAddrPort(to), patience)
		if err != nil {
			return err
		}
		got = append(got, a.Backend)
	}
	s.show(fmt.Sprintf("%d connections to %s: %s", n, to, strings.Join(got, " ")))
	return nil
}

func (s *stage) refused(network, to string) error {
	began := time.Now()
	_, err := s.Client.Ask(network, netip.Addr{}, netip.MustParseAddrPort(to), patience)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("connection to %s: got %v, want a refusal", to, err)
	}
	s.show(fmt.Sprintf("a connection to %s: refused after %s", to, time.Since(began).Round(10*time.Microsecond)))
	return nil
}

// edit changes a farm as an editor would, and waits for a line of farmc watch with the word.
func (s *stage) edit(file, from, to, word string) error {
	path := filepath.Join(s.farms, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		return fmt.Errorf("%s: %q not found", file, from)
	}
	s.show("farms.d/" + file + ":")
	for line := range strings.Lines(from) {
		s.show("  - " + strings.TrimRight(line, "\n"))
	}
	for line := range strings.Lines(to) {
		s.show("  + " + strings.TrimRight(line, "\n"))
	}
	if err := os.WriteFile(path+".new", []byte(changed), 0o644); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return s.await(word)
}

// await prints the lines of farmc watch until one holds the word.
func (s *stage) await(word string) error {
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-s.log:
			if !ok {
				return errors.New("farmc watch has ended")
			}
			s.show("farmc: " + strings.ReplaceAll(line, s.farms, "farms.d"))
			if strings.Contains(line, word) {
				return nil
			}
		case <-limit:
			return fmt.Errorf("farmc watch: no line with %q within %s", word, patience)
		}
	}
}

func lines(r io.Reader) <-chan string {
	out := make(chan string, 100)
	go func() {
		defer close(out)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			out <- scan.Text()
		}
	}()
	return out
}
