package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each command that loads meets a full disk, a read-only state directory, and an nft that is missing, hangs, is killed
// or is slow. Kernel and state directory then have one of the two sets, complete; the next commands work and leave no
// trace. watch loads the farms by itself once the hindrance is over. STRESS=1 has each command meet each hindrance ten
// times (make stress).
func TestHinderedCommands(t *testing.T) {
	skipShort(t)
	t.Parallel()
	for _, c := range append(killedCommands, killedCommand{name: "watch"}) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			nft := needMachine(t)
			defer sweep()
			dir := t.TempDir()
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "state"), 0o755),
				unix.Mount("tmpfs", filepath.Join(dir, "state"), "tmpfs", 0, "size=8m,mode=755")); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Unmount(filepath.Join(dir, "state"), unix.MNT_DETACH) })
			k := &hindered{program: nft, commandKillings: &commandKillings{killings: newKillingsIn(t, dir),
				random: rand.New(rand.NewPCG(7, 8)), command: c}}
			for range rounds(1, 10) {
				for _, h := range hindrances {
					k.meet(h)
				}
			}
			t.Logf("%d of %d failed", k.failed, k.met)
		})
	}
}

// A hindrance keeps a command from its work, or from a part of it.
type hindrance struct {
	name       string
	begin, end func(k *hindered)
	harmless   bool // commands succeed
}

var hindrances = []hindrance{
	{name: "disk-full", begin: (*hindered).fillDisk, end: (*hindered).freeDisk},
	{name: "state-directory-read-only", begin: func(k *hindered) { k.remount(unix.MS_RDONLY) },
		end: func(k *hindered) { k.remount(0) }},
	{name: "nft-missing", begin: func(k *hindered) { k.must(os.Remove(k.nft())) }},
	{name: "nft-hangs-before-the-load", begin: func(k *hindered) { k.replaceNft("case $* in *-f*) sleep 1000; esac") }},
	{name: "nft-hangs-after-the-load", begin: func(k *hindered) { k.replaceNft("$real; sleep 1000") }},
	{name: "nft-is-killed", begin: func(k *hindered) {
		k.replaceNft(fmt.Sprintf("exec 3<&0; $real <&3 & sleep 0.%03d; kill -KILL $! $$", k.random.IntN(60)))
	}},
	{name: "nft-is-slow", harmless: true,
		begin: func(k *hindered) { k.replaceNft("sleep 0.2; $real; status=$?; sleep 0.2; exit $status") }},
}

type hindered struct {
	*commandKillings
	program     string // the path of nft
	met, failed int
}

// meet has the command meet the hindrance.
func (k *hindered) meet(h hindrance) {
	k.Helper()
	k.plainNft()
	when := moment{clock: time.Hour, hindrance: h.name}
	limit := time.Second
	if h.harmless {
		limit = time.Minute
	}
	options := []string{"--nft", k.nft(), "--nft-limit", limit.String()}
	k.prepare()
	k.met++
	if k.command.name == "watch" {
		k.watchMeets(h, when, options)
		return
	}
	h.begin(k)
	_, said, err := k.try(when, options...)
	if err != nil {
		k.failed++
	}
	if err != nil && h.harmless && k.command.name != "isolate" {
		k.Errorf("%v: %v\n%s", when, err, said.text())
	}
	k.finish(h)
	k.complete(when)
	k.restore(when)
}

// watchMeets has a watch that runs meet the hindrance, while the farms change.
func (k *hindered) watchMeets(h hindrance, when moment, options []string) {
	k.Helper()
	w := k.watch(options...)
	k.settled(when)
	h.begin(k)
	for range 3 {
		k.turn(1 - k.target)
		time.Sleep(time.Duration(k.random.IntN(400)) * time.Millisecond)
	}
	k.completeKernel(when)
	k.finish(h)
	k.settled(when)
	w.Process.Kill()
	w.Wait()
	k.wholesome(when)
	k.mend(when)
}

// finish ends the hindrance.
func (k *hindered) finish(h hindrance) {
	if h.end != nil {
		h.end(k)
	}
	k.plainNft()
}

func (k *hindered) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *hindered) nft() string { return filepath.Join(k.dir, "nft") }

func (k *hindered) plainNft() { k.replaceNft("exec $real") }

// replaceNft has a script of the shell stand for nft. In it $real is nft with its arguments. The kernel runs no program
// that is open for writing, and a process that another test starts has it open until its exec.
func (k *hindered) replaceNft(script string) {
	k.Helper()
	text := fmt.Sprintf("#!/bin/sh\nreal=\"%s $*\"\n%s\n", k.program, script)
	syscall.ForkLock.RLock()
	err := os.WriteFile(k.nft()+".new", []byte(text), 0o755)
	syscall.ForkLock.RUnlock()
	k.must(errors.Join(err, os.Rename(k.nft()+".new", k.nft())))
}

// fillDisk leaves room for a part of the script of a load, or for none.
func (k *hindered) fillDisk() {
	k.Helper()
	script, err := os.Stat(filepath.Join(k.state(), "loaded.nft"))
	k.must(err)
	f, err := os.Create(k.ballast())
	k.must(err)
	defer f.Close()
	size := int64(0)
	for page := make([]byte, 4096); err == nil; size += 4096 {
		_, err = f.Write(page)
	}
	k.must(f.Truncate(size - 4096*(1+k.random.Int64N(script.Size()/4096))))
}

func (k *hindered) freeDisk() { k.must(os.Remove(k.ballast())) }

func (k *hindered) ballast() string { return filepath.Join(k.state(), "ballast") }

// remount waits while a process writes a file there.
func (k *hindered) remount(flags uintptr) {
	k.Helper()
	for patience := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Mount("", k.state(), "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
		if err != unix.EBUSY || time.Now().After(patience) {
			k.must(err)
			return
		}
	}
}
