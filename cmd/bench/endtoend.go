package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// endToEnd measures plain farms from their files to the kernel, and changes of one of them.
func (b *bench) endToEnd(farms int) error {
	farmsDir, script := b.path("farms.d"), b.path("script.nft")
	if err := plain.write(farmsDir, farms); err != nil {
		return err
	}
	for name, replace := range map[string]bool{"shared.nft": false, "shared-again.nft": true} {
		if err := reference(shared).write(b.path(name), farms, replace); err != nil {
			return err
		}
	}
	if err := reference(changeOneFarm).write(b.path("change.nft"), farms, false); err != nil {
		return err
	}
	fmt.Printf("\n%-36s%7s%8s%9s%8s%10s%12s\n", fmt.Sprintf("%d farms", farms), "seconds", "MB", "nft", "MB",
		"to shared", "to compile")
	compile, err := b.measureInTurn(task{measure: func() (cost, error) {
		return b.measure(b.farmc, "compile", "--dir", farmsDir, "-o", script)
	}})
	if err != nil {
		return err
	}
	b.compile = compile[0]
	b.printRow("compile", compile[0], 0)
	if err := b.measureScript(script); err != nil {
		return err
	}
	return b.measureCommands(farmsDir, farms)
}

// measureScript measures nft with the script of farmc, in turn with the reference.
func (b *bench) measureScript(script string) error {
	nft := func(args ...string) func() (cost, error) {
		return func() (cost, error) { return b.costOfNft(args...) }
	}
	costs, err := b.measureInTurn(
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
	b.printRow("check by nft -c -f", costs[0], costs[1].Time)
	b.printRow("load by nft -f", costs[2], costs[4].Time)
	b.printRow("the same once more", costs[3], costs[5].Time)
	b.printRow("(change of one, shared)", costs[6], 0)
	return b.flush()
}

// costOfNft measures nft without farmc.
func (b *bench) costOfNft(args ...string) (cost, error) {
	c, err := b.measure("nft", args...)
	c.nfts, c.Memory = []cost{c}, 0
	return c, err
}

// measureCommands measures the commands check, apply and watch of farmc.
func (b *bench) measureCommands(farmsDir string, farms int) error {
	state := b.path("state")
	verb := func(words ...string) func() (cost, error) {
		return func() (cost, error) {
			return b.measure(b.farmc, append(words, "--dir", farmsDir, "--state-dir", state, "--nft", b.nft)...)
		}
	}
	changes := 0
	change := func() error {
		changes++
		return rewrite(filepath.Join(farmsDir, fileName(farms/2)), plain.farm(farms/2), changes)
	}
	costs, err := b.measureInTurn(
		task{nil, verb("check")},
		task{func() error { return os.RemoveAll(state) }, func() (cost, error) {
			if err := b.flush(); err != nil {
				return cost{}, err
			}
			return verb("apply")()
		}},
		task{nil, verb("apply")},
		task{change, verb("apply")},
		task{nil, verb("status")},
	)
	if err != nil {
		return err
	}
	for i, name := range []string{"farmc check", "farmc apply, all new", "farmc apply, nothing to do",
		"farmc apply, one changed", "farmc status"} {
		b.printRow(name, costs[i], 0)
	}
	return b.watch(farmsDir, state, change)
}

// rewrite writes a farm with another port of its last backend, so that the number of slots stays the same.
func rewrite(path, text string, change int) error {
	last := strings.LastIndex(text, "address = ")
	changed := text[:last] + strings.Replace(text[last:], "port = 8080", fmt.Sprintf("port = %d", 9000+change), 1)
	return os.WriteFile(path, []byte(changed), 0o644)
}

// watch measures the time from the close of a file to the transaction with its change.
func (b *bench) watch(farmsDir, state string, change func() error) error {
	w, err := b.startWatch("--dir", farmsDir, "--state-dir", state, "--nft", b.nft)
	if err != nil {
		return err
	}
	defer w.stop()
	latencies, err := b.measureChanges(w, change)
	if err != nil {
		return err
	}
	served, err := b.measureServed(w.cmd.Process.Pid, farmsDir, state)
	if err != nil {
		return err
	}
	w.stop()
	best := shortest(latencies)
	best.Memory = costOf(w.cmd, 0).Memory
	b.printRow("farmc watch, file closed to commit", best, 0)
	for i, c := range servedCommands {
		b.printRow(c.name, served[i], 0)
	}
	return nil
}

// measureChanges measures changes of a file.
func (b *bench) measureChanges(w *watchProcess, change func() error) (all []cost, err error) {
	for range b.rounds {
		os.Remove(b.path("costs"))
		took, err := b.timeToCommit(change)
		if err == nil {
			err = w.await()
		}
		if err != nil {
			return nil, err
		}
		c := cost{Time: took}
		if c.nfts, err = readCosts(b.path("costs")); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// servedCommands are commands that a running watch runs. Drain and up take turns, so that each round changes a state.
var servedCommands = []struct {
	name  string
	words func(round int) []string
}{
	{"farmc drain and up, by watch", func(round int) []string {
		return []string{[]string{"drain", "up"}[round%2], "farm-00000", "b1"}
	}},
	{"farmc status, by watch", func(int) []string { return []string{"status"} }},
}

// measureServed measures servedCommands. The processor time is that of watch.
func (b *bench) measureServed(watch int, farmsDir, state string) ([]cost, error) {
	round := 0
	var tasks []task
	for _, c := range servedCommands {
		tasks = append(tasks, task{nil, func() (cost, error) {
			time.Sleep(pauseAfterCommand)
			before := processorTime(watch)
			args := append(c.words(round), "--dir", farmsDir, "--state-dir", state, "--nft", b.nft)
			out, err := b.measure(b.farmc, args...)
			out.User, out.System = processorTime(watch)-before, 0
			if c.name == servedCommands[0].name {
				round++
			}
			return out, err
		}})
	}
	return b.measureInTurn(tasks...)
}

// pauseAfterCommand is the time in which watch looks at the result of a command.
const pauseAfterCommand = 3 * time.Second

// processorTime reads the processor time that a process has used, in steps of 10 ms; 0 if there is no such process.
func processorTime(pid int) time.Duration {
	const user, system = 11, 12 // fields after the name in parentheses, see proc_pid_stat(5)
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= system {
		return 0
	}
	userTime, _ := strconv.Atoi(fields[user])
	systemTime, _ := strconv.Atoi(fields[system])
	return time.Duration(userTime+systemTime) * 10 * time.Millisecond
}

// printRow prints a line of the table: the cost, the part of nft, the ratio to the time of the reference, and the ratio
// to the processor time of farmc compile.
func (b *bench) printRow(name string, c cost, reference time.Duration) {
	columns := []string{seconds(c.Time), megabytes(c.Memory), seconds(c.nftTime()), megabytes(c.nftMemory()), "", ""}
	if len(c.nfts) == 0 {
		columns[2] = ""
	}
	if reference > 0 {
		columns[4] = fmt.Sprintf("%.2f", c.Time.Seconds()/reference.Seconds())
	}
	if c.User+c.System > 0 && b.compile.User > 0 {
		columns[5] = fmt.Sprintf("%.2f", c.times(b.compile))
	}
	fmt.Printf("  %-34s", name)
	for i, text := range columns {
		fmt.Printf("%*s", [...]int{7, 8, 9, 8, 10, 12}[i], text)
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
