// Demo shows farmc at work, in network namespaces of its own: it loads the farms of a directory, sends real
// connections through them, shows who answered, changes a farm while farmc watches, and cleans up.
//
//	demo FARMC DIRECTORY
package main

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
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: demo FARMC DIRECTORY")
		os.Exit(2)
	}
	if err := netlab.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	if err := demo(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// patience is how long anything of the demo may take.
const patience = time.Minute

// A stage is the lab, the farms and the watching farmc.
type stage struct {
	*netlab.Lab
	farmc string
	farms string // a copy that can be changed
	said  <-chan string
}

func demo(farmc, farms string) error {
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
	if farmc, err = filepath.Abs(farmc); err != nil {
		return err
	}
	s := &stage{Lab: lab, farmc: farmc, farms: filepath.Join(dir, "farms.d")}
	if err := os.CopyFS(s.farms, os.DirFS(farms)); err != nil {
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

// open gives the machines what they need, and starts farmc watch on the balancer.
func (s *stage) open(state string) (stop func(), err error) {
	say("A client, a balancer and three backends, in network namespaces of their own.")
	for _, a := range services {
		if err := s.Balancer.AddAddress("lo", netip.MustParsePrefix(a)); err != nil {
			return nil, err
		}
	}
	if err := s.Serve(8080, 53, 25, 143, 80); err != nil {
		return nil, err
	}
	say("The balancer checks its farms, and then watches them:")
	if err := s.command("check", "--dir", s.farms); err != nil {
		return nil, err
	}
	watching := exec.Command(s.farmc, "watch", "--dir", s.farms, "--state-dir", state)
	watching.Dir = filepath.Dir(s.farms)
	r, w := io.Pipe()
	watching.Stdout, watching.Stderr = w, w
	s.said = lines(r)
	prompt("farmc watch --dir farms.d &")
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
		{"web: 400 connections, weights 3 and 1, the backends' port is another one; IPv4, then IPv6.", func() error {
			return errors.Join(s.spread("tcp4", "192.0.2.10:80", 400), s.spread("tcp6", "[2001:db8::10]:80", 400))
		}},
		{"dns: the same client always meets the same backend, which sees its address.", s.hashed},
		{"mail: one after the other.", func() error { return s.inTurn("192.0.2.12:25", 6) }},
		{"An administrator lets backend b1 of web drain:", func() error {
			if err := s.edit("web.toml", "weight  = 3", "state   = \"drain\"", "loaded"); err != nil {
				return err
			}
			return s.spread("tcp4", "192.0.2.10:80", 100)
		}},
		{"... makes a slip of the hand: nothing changes,", func() error {
			if err := s.edit("web.toml", "[backends.b2]", "[backend.b2]", "stay"); err != nil {
				return err
			}
			return s.spread("tcp4", "192.0.2.10:80", 100)
		}},
		{"... mends it, and takes the last backend away, too: clients are refused at once,", func() error {
			if err := s.edit("web.toml", "[backend.b2]", "[backends.b2]\nstate   = \"down\"", "loaded"); err != nil {
				return err
			}
			return s.refused("tcp4", "192.0.2.10:80")
		}},
		{"... and brings both back.", func() error {
			if err := s.edit("web.toml", "state   = \"drain\"", "weight  = 3", "loaded"); err != nil {
				return err
			}
			if err := s.edit("web.toml", "state   = \"down\"\n", "", "loaded"); err != nil {
				return err
			}
			return s.spread("tcp4", "192.0.2.10:80", 400)
		}},
	}
	for _, a := range acts {
		say(a.words)
		if err := a.act(); err != nil {
			return err
		}
	}
	say("Done. Farmc ends, and the namespaces go with all that was in them.")
	return nil
}

func say(words string)      { fmt.Printf("\n%s\n", words) }
func prompt(command string) { fmt.Printf("    $ %s\n", command) }
func shown(text string)     { fmt.Printf("    %s\n", text) }

func (s *stage) command(args ...string) error {
	prompt("farmc " + strings.ReplaceAll(strings.Join(args, " "), s.farms, "farms.d"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.farmc, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := s.Balancer.Do(cmd.Run)
	for line := range strings.Lines(out.String()) {
		shown(strings.TrimRight(strings.ReplaceAll(line, s.farms, "farms.d"), "\n"))
	}
	return err
}

// spread asks many times, and shows who answered how often.
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
	shown(fmt.Sprintf("%d connections to %s: %s", n, to, strings.Join(words, "  ")))
	return nil
}

// hashed asks as a few clients, several times each.
func (s *stage) hashed() error {
	for _, client := range s.Client.IP4[:4] {
		var met []string
		var peer netip.Addr
		for range 4 {
			a, err := s.Client.Ask("udp4", client, netip.MustParseAddrPort("192.0.2.11:53"), patience)
			if err != nil {
				return err
			}
			met, peer = append(met, a.Backend), a.Peer.Addr()
		}
		shown(fmt.Sprintf("client %s: %s, which saw %s", client, strings.Join(met, " "), peer))
		if len(slices.Compact(met)) > 1 || peer != client {
			return fmt.Errorf("client %s met several backends, or was seen as %s", client, peer)
		}
	}
	return nil
}

func (s *stage) inTurn(to string, n int) error {
	var met []string
	for range n {
		a, err := s.Client.Ask("tcp4", netip.Addr{}, netip.MustParseAddrPort(to), patience)
		if err != nil {
			return err
		}
		met = append(met, a.Backend)
	}
	shown(fmt.Sprintf("%d connections to %s: %s", n, to, strings.Join(met, " ")))
	return nil
}

func (s *stage) refused(network, to string) error {
	began := time.Now()
	_, err := s.Client.Ask(network, netip.Addr{}, netip.MustParseAddrPort(to), patience)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("not refused, but: %w", err)
	}
	shown(fmt.Sprintf("a connection to %s: refused after %s", to, time.Since(began).Round(10*time.Microsecond)))
	return nil
}

// edit changes a farm as an editor would, and waits for farmc's word.
func (s *stage) edit(file, from, to, word string) error {
	path := filepath.Join(s.farms, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		return fmt.Errorf("%s does not hold %q", file, from)
	}
	shown("farms.d/" + file + ":")
	for line := range strings.Lines(from) {
		shown("  - " + strings.TrimRight(line, "\n"))
	}
	for line := range strings.Lines(to) {
		shown("  + " + strings.TrimRight(line, "\n"))
	}
	if err := os.WriteFile(path+".new", []byte(changed), 0o644); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return s.await(word)
}

// await shows what farmc says until a line has the word.
func (s *stage) await(word string) error {
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-s.said:
			if !ok {
				return errors.New("farmc watch has ended")
			}
			shown("farmc: " + strings.ReplaceAll(line, s.farms, "farms.d"))
			if strings.Contains(line, word) {
				return nil
			}
		case <-limit:
			return fmt.Errorf("farmc watch does not say %q", word)
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
