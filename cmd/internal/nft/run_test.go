package nft

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// aborts is a script that makes nft 1.0.6 abort, as the data of the map needs more registers than update has.
const aborts = `table inet t {
	map m {
		type ipv6_addr : ipv6_addr . inet_service
		flags dynamic,timeout
		timeout 1m
	}
	chain c {
		update @m { ip6 saddr : ip6 daddr . tcp dport }
	}
}
`

const assertion = "nft: netlink_linearize.c:799: netlink_gen_expr: Assertion `dreg < ctx->reg_low' failed."

func TestCrash(t *testing.T) {
	nfts := map[string]Nft{
		"signal":      recordedNft(t, assertion+"\n", "kill -ABRT $$"),
		"exit-status": recordedNft(t, assertion+"\n", "exit 134"),
	}
	if nft, recorded := realNft(t); recorded {
		nfts["real"] = nft
	}
	for name, nft := range nfts {
		t.Run(name, func(t *testing.T) {
			var c *Crash
			err := nft.Check(t.Context(), []byte(aborts))
			if !errors.As(err, &c) || c.Signal != syscall.SIGABRT || c.Tail != assertion {
				t.Error(err)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	err := Nft{Path: filepath.Join(t.TempDir(), "nft")}.Check(t.Context(), nil)
	if !errors.Is(err, ErrMissing) || errors.Is(err, ErrCannotAsk) {
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := (Nft{Path: "nft"}).Load(t.Context(), nil); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}

func TestFoundOutsideOfPath(t *testing.T) {
	realNft(t)
	t.Setenv("PATH", t.TempDir())
	if _, err := (Nft{}).Version(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFoundOnPath(t *testing.T) {
	path := fakeNft(t, "echo 'nftables v1.1.3 (Commodore Bullmoose)'").Path
	t.Setenv("PATH", filepath.Dir(path))
	if got, err := (Nft{}).Version(t.Context()); got != "1.1.3" || err != nil {
		t.Error(got, err)
	}
}

// A wrapper of nft hangs, and so does its child. Both hold a pipe open, and both must be killed.
func TestHangingNftIsStopped(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	nft := fakeNft(t, "exec 3>"+pipe+"\nsleep 1000 &\necho alive >&3\nwait\n")
	ctx, stop := context.WithCancelCause(t.Context())
	reason, ended := errors.New("enough"), make(chan error)
	go func() {
		alive, _ := os.Open(pipe)
		defer alive.Close()
		alive.Read(make([]byte, 6))
		stop(reason)
		_, err := io.ReadAll(alive)
		ended <- err
	}()
	if err := nft.Load(ctx, []byte("table inet t { }\n")); !errors.Is(err, reason) {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A wrapper of nft succeeds, and leaves a background process that holds the pipes open.
func TestBackgroundProcessIsNoFailure(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for 5 s")
	}
	nft := fakeNft(t, "cat >/dev/null; sleep 60 & exit 0")
	if err := nft.Load(t.Context(), []byte("table inet t { }\n")); err != nil {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	if err := fakeNft(t, "exec sleep 1000").Load(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestLongOutputIsCut(t *testing.T) {
	var r *Refusal
	err := fakeNft(t, "cat >/dev/null; head -c 3000000 /dev/zero >&2; exit 1").Load(t.Context(), nil)
	if !errors.As(err, &r) || len(r.Output) != 1<<20 {
		t.Error("kept more, or less, than 1 MiB")
	}
}

func TestErrorsOfTheKernel(t *testing.T) {
	complaint := func(message string) string {
		return "/dev/stdin:1:1-1: Error: Could not process rule: " + message + "\n"
	}
	for _, c := range []struct {
		name, stderr string
		want         error
	}{
		{"not-permitted", complaint("Operation not permitted"), ErrNotPermitted},
		{"too-long", "netlink: Error: Could not process rule: Message too long\n", ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := recordedNft(t, c.stderr, "exit 1").Load(t.Context(), nil); !errors.Is(err, c.want) {
				t.Error(err)
			}
		})
	}
}

func TestScriptIsWhole(t *testing.T) {
	script := []byte(strings.Repeat("# a line of some length that fills more than a pipe\n", 100_000))
	copied := filepath.Join(t.TempDir(), "script")
	if err := fakeNft(t, "cat >"+copied).Load(t.Context(), script); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(copied); err != nil || string(got) != string(script) {
		t.Error("nft got another script", err)
	}
}
