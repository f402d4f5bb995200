package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// wholeWay takes plain farms from their files to the kernel, and one of them through changes.
func (b *bench) wholeWay(farms int) error {
	farmsDir, script := b.path("farms.d"), b.path("script.nft")
	if err := plain.write(farmsDir, farms); err != nil {
		return err
	}
	for name, again := range map[string]bool{"shared.nft": false, "shared-again.nft": true} {
		if err := reference(shared).write(b.path(name), farms, again); err != nil {
			return err
		}
	}
	if err := reference(changeOfOne).write(b.path("change.nft"), farms, false); err != nil {
		return err
	}
	fmt.Printf("\n%-36s%7s%8s%9s%8s%10s\n", fmt.Sprintf("%d farms", farms), "seconds", "MB", "nft", "MB", "to shared")
	compile, err := b.take(task{measure: func() (cost, error) {
		return b.measure(b.farmc, "compile", "--dir", farmsDir, "-o", script)
	}})
	if err != nil {
		return err
	}
	show("compile", compile[0], 0)
	if err := b.byNft(script); err != nil {
		return err
	}
	return b.byFarmc(farmsDir, farms)
}

// byNft measures what nft makes of the script, in turn with the reference.
func (b *bench) byNft(script string) error {
	nft := func(args ...string) func() (cost, error) {
		return func() (cost, error) { return b.nftCost(args...) }
	}
	costs, err := b.take(
		task{b.flush, nft("-c", "-f", script)},
		task{b.flush, nft("-c", "-f", b.path("shared.nft"))},
		task{b.flush, nft("-f", script)},
		task{nil, nft("-f", script)},
		task{b.flush, nft("-f", b.path("shared.nft"))},
		task{nil, nft("-f", b.path("shared-again.nft"))},
		task{nil, nft("-f", b.path("change.nft"))},
	)
	if err != nil {
		return err
	}
	show("check by nft -c -f", costs[0], costs[1].Time)
	show("load by nft -f", costs[2], costs[4].Time)
	show("the same once more", costs[3], costs[5].Time)
	show("(change of one, shared)", costs[6], 0)
	return b.flush()
}

// nftCost is that of an nft by itself.
func (b *bench) nftCost(args ...string) (cost, error) {
	c, err := b.measure("nft", args...)
	c.nfts, c.Memory = []cost{c}, 0
	return c, err
}

// byFarmc measures farmc's own verbs.
func (b *bench) byFarmc(farmsDir string, farms int) error {
	state := b.path("state")
	verb := func(words ...string) func() (cost, error) {
		return func() (cost, error) {
			return b.measure(b.farmc, append(words, "--dir", farmsDir, "--state-dir", state, "--nft", b.nft)...)
		}
	}
	changes := 0
	change := func() error {
		changes++
		return rewrite(filepath.Join(farmsDir, file(farms/2)), plain.farm(farms/2), changes)
	}
	costs, err := b.take(
		task{nil, verb("check")},
		task{func() error { return os.RemoveAll(state) }, func() (cost, error) {
			if err := b.flush(); err != nil {
				return cost{}, err
			}
			return verb("apply")()
		}},
		task{nil, verb("apply")},
		task{change, verb("apply")},
	)
	if err != nil {
		return err
	}
	for i, name := range []string{"farmc check", "farmc apply, all new", "farmc apply, nothing to do", "farmc apply, one changed"} {
		show(name, costs[i], 0)
	}
	return b.watch(farmsDir, state, change)
}

// rewrite writes a farm in which a weight has changed, by ones that need the same number of slots.
func rewrite(path, text string, change int) error {
	last := strings.LastIndex(text, "address = ")
	changed := text[:last] + strings.Replace(text[last:], "port = 8080", fmt.Sprintf("port = %d", 9000+change), 1)
	return os.WriteFile(path, []byte(changed), 0o644)
}

// watch measures the time from the close of a file to the commit of what it says.
func (b *bench) watch(farmsDir, state string, change func() error) error {
	cmd := exec.Command(b.farmc, "watch", "--dir", farmsDir, "--state-dir", state, "--nft", b.nft)
	os.Remove(b.path("notes"))
	cmd.Env = append(os.Environ(), notes+"="+b.path("notes"))
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	said := make(chan string, 100)
	go func() {
		defer close(said)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			said <- scan.Text()
		}
	}()
	if err := b.lab.Balancer.Do(cmd.Start); err != nil {
		return err
	}
	began := time.Now()
	defer func() {
		w.Close()
	}()
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM)
	if err := await(said); err != nil {
		return err
	}
	var latencies []cost
	for range b.rounds {
		os.Remove(b.path("notes"))
		took, err := b.untilCommitted(change)
		if err != nil {
			return err
		}
		if err := await(said); err != nil {
			return err
		}
		c := cost{Time: took}
		if c.nfts, err = readNotes(b.path("notes")); err != nil {
			return err
		}
		latencies = append(latencies, c)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	best := shortest(latencies)
	best.Memory = costOf(cmd, time.Since(began)).Memory
	show("farmc watch, file closed to commit", best, 0)
	return nil
}

// await waits until farmc says that it has loaded, or need not.
func await(said <-chan string) error {
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-said:
			switch {
			case !ok:
				return fmt.Errorf("farmc watch has ended")
			case strings.Contains(line, "loaded") || strings.Contains(line, "nothing to do"):
				return nil
			case strings.Contains(line, "error"):
				return fmt.Errorf("farmc watch says: %s", line)
			}
		case <-limit:
			return fmt.Errorf("farmc watch does not say that it has loaded")
		}
	}
}

// show prints a line: what farmc took, what of that is nft's, and how many times the reference that is.
func show(what string, c cost, reference time.Duration) {
	columns := []string{seconds(c.Time), megabytes(c.Memory), seconds(c.nftTime()), megabytes(c.nftMemory()), ""}
	if len(c.nfts) == 0 {
		columns[2] = ""
	}
	if reference > 0 {
		columns[4] = fmt.Sprintf("%.2f", c.Time.Seconds()/reference.Seconds())
	}
	fmt.Printf("  %-34s", what)
	for i, text := range columns {
		fmt.Printf("%*s", [...]int{7, 8, 9, 8, 10}[i], text)
	}
	fmt.Println()
}

func seconds(t time.Duration) string { return fmt.Sprintf("%.3f", t.Seconds()) }

func megabytes(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint((n + 1<<19) >> 20)
}
