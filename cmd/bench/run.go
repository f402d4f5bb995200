package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
)

// A bench is where everything happens: a network namespace, and a directory that goes with it.
type bench struct {
	lab    *netlab.Lab
	dir    string
	farmc  string
	nft    string // that farmc is to run: this program, which notes what the real one costs
	rounds int
}

func newBench(farmc string, rounds int) (*bench, error) {
	farmc, err := filepath.Abs(farmc)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "farmc-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, farmc: farmc, nft: filepath.Join(dir, "nft"), rounds: rounds}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, b.nft)
	}
	if err == nil {
		b.lab, err = netlab.New(netlab.Options{Backends: 1})
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	if b.lab != nil {
		b.lab.Close()
	}
	os.RemoveAll(b.dir)
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// A cost is what a program took, and if it ran nft, what each nft took.
type cost struct {
	Time   time.Duration
	User   time.Duration // of a processor, in the program
	System time.Duration // and in the kernel
	Memory int64         // the most it had at once, in bytes
	Args   []string
	nfts   []cost
}

const notes = "BENCH_NOTES" // names the file where the stand-in for nft writes

// measure runs a program to its end.
func (b *bench) measure(program string, args ...string) (cost, error) {
	os.Remove(b.path("notes"))
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), notes+"="+b.path("notes"))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := b.lab.Balancer.Do(cmd.Start); err != nil {
		return cost{}, err
	}
	err := cmd.Wait()
	c := costOf(cmd, time.Since(began))
	if err != nil {
		return c, fmt.Errorf("%s %s: %w: %.2000s", filepath.Base(program), strings.Join(args, " "), err, out.String())
	}
	c.nfts, err = readNotes(b.path("notes"))
	return c, err
}

func costOf(cmd *exec.Cmd, took time.Duration) cost {
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{Time: took, User: cmd.ProcessState.UserTime(), System: cmd.ProcessState.SystemTime(), Memory: usage.Maxrss << 10, Args: cmd.Args[1:]}
}

// times is how many times another cost it is, by the time of a processor: what else the machine does hardly shows in it.
func (c cost) times(other cost) float64 {
	return (c.User + c.System).Seconds() / (other.User + other.System).Seconds()
}

// standIn runs nft with our arguments and notes what it cost.
func standIn() int {
	cmd := exec.Command("nft", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	began := time.Now()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	note, _ := json.Marshal(costOf(cmd, time.Since(began)))
	f, err := os.OpenFile(os.Getenv(notes), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		f.Write(append(note, '\n'))
		f.Close()
	}
	return cmd.ProcessState.ExitCode()
}

func readNotes(path string) (all []cost, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		var c cost
		if err := json.Unmarshal(scan.Bytes(), &c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// nftTime is what nft took in all.
func (c cost) nftTime() (sum time.Duration) {
	for _, n := range c.nfts {
		sum += n.Time
	}
	return sum
}

// nftMemory is the most that one of them had.
func (c cost) nftMemory() (most int64) {
	for _, n := range c.nfts {
		most = max(most, n.Memory)
	}
	return most
}

// shortest is that of costs that took the least time: what disturbs makes it longer, never shorter.
func shortest(costs []cost) cost {
	return slices.MinFunc(costs, func(a, b cost) int { return int(a.Time - b.Time) })
}

// A task is something to be measured several times, after something that isn't.
type task struct {
	before  func() error
	measure func() (cost, error)
}

// take measures the tasks in turn, so that what disturbs hits all of them alike, and gives the shortest of each.
func (b *bench) take(tasks ...task) ([]cost, error) {
	all := make([][]cost, len(tasks))
	for range b.rounds {
		for i, t := range tasks {
			if t.before != nil {
				if err := t.before(); err != nil {
					return nil, err
				}
			}
			c, err := t.measure()
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], c)
		}
	}
	out := make([]cost, len(tasks))
	for i, costs := range all {
		out[i] = shortest(costs)
	}
	return out, nil
}

// flush leaves an empty ruleset.
func (b *bench) flush() error {
	_, err := b.measure("nft", "flush", "ruleset")
	return err
}

// introduce says on what is measured.
func (b *bench) introduce() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	version, err := exec.Command("nft", "--version").Output()
	if err != nil {
		return err
	}
	words := strings.Fields(string(version))
	fmt.Printf("Linux %s, nft %s, %d processors; farms of %d backends; the shortest of %d runs of each.\n"+
		"shared: a ruleset by hand, one map for all farms and no more; each: one with a chain and a map for each farm.\n",
		unix.ByteSliceToString(name.Release[:]), strings.TrimPrefix(words[min(1, len(words)-1)], "v"), processors(), perFarm, b.rounds)
	return nil
}

func processors() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0
	}
	return set.Count()
}
