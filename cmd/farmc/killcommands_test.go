package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// After a kill of any command that loads, the kernel and the state directory have one of the two sets, complete, the
// same command works again, and the next apply leaves no trace of the kill. STRESS=1 kills each command 70 times, 350
// together (make stress).
func TestKilledCommands(t *testing.T) {
	skipShort(t)
	for _, c := range killedCommands {
		t.Run(c.name, func(t *testing.T) {
			needMachine(t) // the thread of this subtest
			defer sweep()
			k := &commandKillings{killings: newKillings(t), random: rand.New(rand.NewPCG(5, 6)), command: c}
			kills := rounds(8, 70)
			k.measure()
			for range kills {
				k.once()
			}
			t.Logf("killed %d of %d; otherwise it takes %v and makes the events %q", k.killed, kills, k.usual, k.events)
			if k.killed < kills/5 {
				t.Errorf("of %d only %d were killed", kills, k.killed)
			}
		})
	}
}

// A killedCommand is a command with the state that it needs. The target is the set that the prepared state leads to.
type killedCommand struct {
	name    string
	prepare func(k *commandKillings)
	args    func(k *commandKillings) []string
}

var killedCommands = []killedCommand{
	{"apply", nil, func(k *commandKillings) []string { return []string{"apply", "--dir", k.farms(k.target)} }},
	{"isolate", (*commandKillings).breakFarm,
		func(k *commandKillings) []string { return []string{"apply", "--isolate", "--dir", k.farms(2)} }},
	{"apply-confirm", nil, func(k *commandKillings) []string {
		return []string{"apply", "--confirm", "1m", "--dir", k.farms(k.target)}
	}},
	{"confirm", (*commandKillings).beginTrial, func(*commandKillings) []string { return []string{"confirm"} }},
	{"rollback", (*commandKillings).applyTarget,
		func(k *commandKillings) []string { return []string{"rollback", "--dir", k.farms(k.target)} }},
}

type commandKillings struct {
	*killings
	random  *rand.Rand
	command killedCommand
	killed  int
	trial   *exec.Cmd // apply --confirm that waits; nil: none
}

// measure runs the command once without a kill.
func (k *commandKillings) measure() {
	k.prepare()
	began := time.Now()
	k.end(moment{clock: time.Hour})
	k.usual = time.Since(began)
	k.restore(moment{clock: time.Hour})
}

func (k *commandKillings) once() {
	when := moment{clock: time.Duration(k.random.Float64() * float64(k.usual))}
	if k.random.IntN(2) == 1 && len(k.events) > 0 {
		when = moment{event: 1 + k.random.IntN(len(k.events))}
	}
	k.prepare()
	if k.end(when) {
		k.killed++
	}
	k.complete(when)
	k.restore(when)
}

// prepare makes the other set the target, and brings about the state that the command needs.
func (k *commandKillings) prepare() {
	k.target = 1 - k.target
	if k.command.prepare != nil {
		k.command.prepare(k)
	}
}

// end runs the command and kills it at the moment. It returns false if the command ended before.
func (k *commandKillings) end(when moment) bool {
	killed, said, err := k.try(when)
	if err != nil && k.command.name != "isolate" {
		k.Fatalf("%v: %s: %v\n%s", when, k.command.name, err, said.text())
	}
	return killed
}

// try does so, and returns the error of a command that ended. An apply on trial has done its work once it waits.
func (k *commandKillings) try(when moment, options ...string) (killed bool, said stderrFile, err error) {
	killed, err = k.killAt(when, func(ctx context.Context, now func()) *exec.Cmd {
		args := slices.Concat(k.command.args(k), []string{"--state-dir", k.state()}, options)
		cmd := exec.CommandContext(ctx, "farmc", args...)
		said = k.stderr(cmd)
		if k.command.name == "apply-confirm" {
			go said.untilWaits(ctx, now)
		}
		return cmd
	})
	return killed, said, err
}

// A stderrFile is the standard error of a command. The confirm timer outlives its command, and would keep a pipe open.
type stderrFile string

func (k *commandKillings) stderr(of *exec.Cmd) stderrFile {
	f, err := os.CreateTemp(k.dir, "said")
	if err != nil {
		k.Fatal(err)
	}
	k.Cleanup(func() { f.Close() })
	of.Stderr = f
	return stderrFile(f.Name())
}

func (f stderrFile) text() string {
	text, _ := os.ReadFile(string(f))
	return string(text)
}

// untilWaits calls now once apply --confirm says that it waits.
func (f stderrFile) untilWaits(ctx context.Context, now func()) {
	for ctx.Err() == nil {
		if strings.Contains(f.text(), "run farmc confirm") {
			now()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// complete checks that kernel and state directory have one of the two sets, complete. A trial and a rollback may have
// no script before the last one.
func (k *commandKillings) complete(when moment) {
	k.Helper()
	k.completeKernel(when)
	k.completeFile(when, "loaded.nft")
	k.completeFile(when, "boot.nft")
	if _, err := os.Stat(filepath.Join(k.state(), "previous.nft")); !os.IsNotExist(err) {
		k.completeFile(when, "previous.nft")
	}
}

// restore ends a trial and a hold, and checks that the next apply leaves no trace of the kill.
func (k *commandKillings) restore(when moment) {
	k.Helper()
	onTrial := func() bool {
		_, err := os.Stat(filepath.Join(k.state(), "trial.json"))
		return err == nil
	}
	for began := time.Now(); onTrial(); { // the confirm timer can restore the farms before the trial meanwhile
		out, err := exec.Command("farmc", "confirm", "--state-dir", k.state()).CombinedOutput()
		if onTrial() && time.Since(began) > time.Minute {
			k.Fatalf("%v: confirm: %v\n%s", when, err, out)
		}
	}
	if k.trial != nil {
		k.trial.Wait()
		k.trial = nil
	}
	for range 2 { // the first one can meet the hold of a rollback, which the other set ends
		k.target = 1 - k.target
		exec.Command("farmc", "apply", "--dir", k.farms(k.target), "--state-dir", k.state()).Run()
	}
	k.mend(when)
}

// applyTarget loads the target, so that a rollback has a load before it.
func (k *commandKillings) applyTarget() {
	k.run("farmc", "apply", "--dir", k.farms(k.target), "--state-dir", k.state())
}

// breakFarm makes a third set: the target with one more farm, which has a fault and was never loaded.
func (k *commandKillings) breakFarm() {
	if err := os.RemoveAll(k.farms(2)); err != nil {
		k.Fatal(err)
	}
	k.run("cp", "-r", k.farms(k.target), k.farms(2))
	if err := os.WriteFile(filepath.Join(k.farms(2), "broken.toml"), []byte("lisen = 1\n"), 0o644); err != nil {
		k.Fatal(err)
	}
}

// beginTrial starts apply --confirm of the target, and waits until it waits.
func (k *commandKillings) beginTrial() {
	ctx, waits := context.WithCancel(k.Context())
	defer waits()
	k.trial = exec.Command("farmc", "apply", "--confirm", "1m", "--dir", k.farms(k.target), "--state-dir", k.state())
	said := k.stderr(k.trial)
	if err := k.trial.Start(); err != nil {
		k.Fatal(err)
	}
	go said.untilWaits(ctx, waits)
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		k.Fatal("apply --confirm does not wait")
	}
}
