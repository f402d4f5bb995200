// Package nft loads scripts into nf_tables and reads tables, chains, sets and counters from it.
//
// It knows the nft program, the netlink protocol of nf_tables and the name of farmc's tables: inet farmc and netdev
// farmc. It knows nothing of farms, and it writes no nft text.
//
// Scripts go through the nft program, which is run nowhere else in farmc: nft.go is the front, run.go runs the process,
// userns.go checks without root, refusal.go parses nft's error messages. Everything else asks the kernel by netlink,
// because nft reads all elements of all sets before it answers, which takes seconds with large sets: netlink.go sends a
// query, digest.go finds the script that is loaded, objects.go lists the objects of farmc's tables, counters.go reads
// counters, bans.go changes sets with timeouts, chains.go lists base chains, monitor.go and removals.go receive
// notifications, and snapshot.go and part.go compare two states of the tables. replyguard.go loads rules where each
// millisecond counts. rule.go lists a rule of another program with nft.
//
// nft needs CAP_NET_ADMIN even for a check. Error messages are parsed in the wording of nft 1.0.6 and later, with
// LC_ALL=C. Constants of linux/netfilter/nf_tables.h that golang.org/x/sys/unix lacks are in netlink.go.
package nft

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Nft is the nft program.
type Nft struct {
	Path  string        // its path or name; "" means nft from PATH, else /usr/sbin/nft or /sbin/nft
	Limit time.Duration // after which nft is killed; 0: never
}

// A LimitError is an nft that was killed because it did not end in time.
type LimitError struct{ Limit time.Duration }

func (e LimitError) Error() string {
	return fmt.Sprintf(
		"nft was stopped, because it did not end within %s; try again, or give it more time with --nft-limit: %s",
		e.Limit, "a load of the largest farms takes a minute")
}

// Errors that do not come from the script, for errors.Is. A script that nft or the kernel refuses is a *Refusal, an nft
// that ends by a signal a *Crash.
var (
	ErrMissing      = errors.New("nft is not installed: apt install nftables")
	ErrNotPermitted = errors.New("nft needs root (CAP_NET_ADMIN)")
	ErrTooLong      = errors.New("the script is too long for the netlink buffer of a user namespace (some 70 KB)")
	ErrCannotAsk    = errors.New("could not ask nft") // from Check only: the script may be right or wrong
)

// Check has nft and the kernel check the script (nft -c), and changes nothing. A script with faults gives a *Refusal.
//
// Without CAP_NET_ADMIN the check runs in a new user and network namespace. If no check is possible the error is
// ErrCannotAsk, and wraps the reason.
func (n Nft) Check(ctx context.Context, script []byte) error {
	err := ErrNotPermitted
	if hasNetAdmin() { // without it nft 1.0.6 does not always ask the kernel, and accepts a lone flush ruleset
		_, err = n.run(ctx, inherited, script, "-c", "-f", "-")
	}
	if errors.Is(err, ErrNotPermitted) {
		_, err = n.run(ctx, isolated, script, "-c", "-f", "-")
		err = withoutNamespaceComplaints(err)
	}
	if couldNotAsk(err) {
		return fmt.Errorf("%w: %w", ErrCannotAsk, err)
	}
	return err
}

// ChecksIsolated tells whether Check runs nft in a network namespace of its own, which has no network interface but lo.
func (n Nft) ChecksIsolated() bool { return !hasNetAdmin() }

// Load loads the script in one transaction (nft -f). A script with faults gives a *Refusal. After any other error only
// Loaded can tell whether the kernel has committed the script.
func (n Nft) Load(ctx context.Context, script []byte) error {
	_, err := n.run(ctx, inherited, script, "-f", "-")
	return err
}

var version = regexp.MustCompile(`\bv([0-9][0-9A-Za-z.]*)`)

// Version gives the version of nft, as in "1.0.6". It needs no privilege.
func (n Nft) Version(ctx context.Context) (string, error) {
	out, err := n.run(ctx, inherited, nil, "--version")
	if err != nil {
		return "", err
	}
	found := version.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("nft --version prints %q, which has no version like v1.0.6", out)
	}
	return string(found[1]), nil
}
