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

// A bench is a network namespace and a temporary directory in which programs are measured.
type bench struct {
	lab    *netlab.Lab
	dir    string
	farmc  string
	nft    string // the nft for farmc: a symlink to this program, which runs the real one and records its cost
	rounds int

	compile cost // of farmc compile; zero: not measured yet
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

// A cost is the time and memory that a program has used.
type cost struct {
	Time   time.Duration
	User   time.Duration // processor time in the program
	System time.Duration // processor time in the kernel
	Memory int64         // maximum resident size, in bytes
	Args   []string
	nfts   []cost // of each nft that it has run
}

const costFile = "BENCH_COSTS" // environment variable with the file for the costs of nft

// measure runs a program to its end.
func (b *bench) measure(program string, args ...string) (cost, error) {
	os.Remove(b.path("costs"))
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), costFile+"="+b.path("costs"))
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
	c.nfts, err = readCosts(b.path("costs"))
	return c, err
}

func costOf(cmd *exec.Cmd, took time.Duration) cost {
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{Time: took, User: cmd.ProcessState.UserTime(), System: cmd.ProcessState.SystemTime(),
		Memory: usage.Maxrss << 10, Args: cmd.Args[1:]}
}

// times is the ratio to another cost, by processor time, on which other load of the machine has little influence.
func (c cost) times(other cost) float64 {
	return (c.User + c.System).Seconds() / (other.User + other.System).Seconds()
}

// measureNft runs nft with the arguments of this program, appends its cost to costFile, and gives its exit status.
func measureNft() int {
	cmd := exec.Command("nft", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	began := time.Now()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	note, _ := json.Marshal(costOf(cmd, time.Since(began)))
	f, err := os.OpenFile(os.Getenv(costFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		f.Write(append(note, '\n'))
		f.Close()
	}
	return cmd.ProcessState.ExitCode()
}

func readCosts(path string) (all []cost, err error) {
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

// nftTime is the time of all nft processes.
func (c cost) nftTime() (sum time.Duration) {
	for _, n := range c.nfts {
		sum += n.Time
	}
	return sum
}

// nftMemory is the largest maximum of all nft processes.
func (c cost) nftMemory() (most int64) {
	for _, n := range c.nfts {
		most = max(most, n.Memory)
	}
	return most
}

// shortest gives the cost with the least time, because disturbances only make times longer.
func shortest(costs []cost) cost {
	return slices.MinFunc(costs, func(a, b cost) int { return int(a.Time - b.Time) })
}

// A task is a program to be measured several times, with a preparation that is not measured.
type task struct {
	before  func() error
	measure func() (cost, error)
}

// measureInTurn measures the tasks in turn, so that disturbances affect all of them, and gives the shortest cost of
// each.
func (b *bench) measureInTurn(tasks ...task) ([]cost, error) {
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

// flush deletes the ruleset.
func (b *bench) flush() error {
	_, err := b.measure("nft", "flush", "ruleset")
	return err
}

// printHeader prints the versions, the number of processors and the meaning of the columns.
func (b *bench) printHeader() error {
	meaning := fmt.Sprintf("the shortest of %d runs of each.\n"+
		"shared: a ruleset by hand, with one map for all farms; each: a chain and a map for each farm.", b.rounds)
	return printMachine(meaning)
}

// printMachine prints the versions and the number of processors, and then the meaning of the figures.
func printMachine(meaning string) error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	version, err := exec.Command("nft", "--version").Output()
	if err != nil {
		return err
	}
	words := strings.Fields(string(version))
	fmt.Printf("Linux %s, nft %s, %d processors; farms of %d backends; %s\n",
		unix.ByteSliceToString(name.Release[:]), strings.TrimPrefix(words[min(1, len(words)-1)], "v"), processors(),
		backendsPerFarm, meaning)
	return nil
}

func processors() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0
	}
	return set.Count()
}
