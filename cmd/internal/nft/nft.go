// Package nft talks to the kernel's packet filter. It is the only package that runs the nft program.
package nft

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// Nft is the nft program.
type Nft struct {
	Path string // its path or name; "" means nft from PATH, else from where Debian puts it
}

// What can be wrong other than the script, for errors.Is. A script that is wrong is a *Refusal, an nft that breaks
// down over it a *Crash.
var (
	ErrMissing      = errors.New("nft is not installed: apt install nftables")
	ErrNotPermitted = errors.New("nft needs root (CAP_NET_ADMIN)")
	ErrTooLong      = errors.New("the script is too long for the netlink buffer of a user namespace (some 70 KB)")
	ErrCannotAsk    = errors.New("could not ask nft") // of Check alone: the script may be right or wrong
)

// Check lets nft and the kernel judge the script, and changes nothing. What they say against it is a *Refusal.
//
// Without CAP_NET_ADMIN they are asked in a user and network namespace made for it; where that gives no answer the
// error is ErrCannotAsk, with the reason.
func (n Nft) Check(ctx context.Context, script []byte) error {
	err := ErrNotPermitted
	if capable() { // else what nft says here it says without the kernel: 1.0.6 accepts a lone flush ruleset
		_, err = n.run(ctx, here, script, "-c", "-f", "-")
	}
	if errors.Is(err, ErrNotPermitted) {
		_, err = n.run(ctx, apart, script, "-c", "-f", "-")
		err = excuse(err)
	}
	if unasked(err) {
		return fmt.Errorf("%w: %w", ErrCannotAsk, err)
	}
	return err
}

// Apart says whether Check asks in a network namespace made for it, which has no network interface but lo.
func (n Nft) Apart() bool { return !capable() }

// Load has the kernel take the script, all of it or nothing. What nft or the kernel say against it is a *Refusal.
// Where nft was stopped or crashed, only Loaded can tell whether the kernel took it.
func (n Nft) Load(ctx context.Context, script []byte) error {
	_, err := n.run(ctx, here, script, "-f", "-")
	return err
}

var version = regexp.MustCompile(`\bv([0-9][0-9A-Za-z.]*)`)

// Version gives nft's version, as in "1.0.6". It needs no privilege.
func (n Nft) Version(ctx context.Context) (string, error) {
	out, err := n.run(ctx, here, nil, "--version")
	if err != nil {
		return "", err
	}
	found := version.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("nft --version says %q", out)
	}
	return string(found[1]), nil
}
