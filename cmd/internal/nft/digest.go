package nft

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ours is how the comment of the rule looks by which farmc knows what it loaded.
var ours = regexp.MustCompile(`^farmc sha256:([0-9a-f]{64})$`)

// digestChain is the chain of that rule, in the table inet farmc.
const digestChain = "keep-conntrack"

// Loaded gives the digest of the script that the kernel holds, as the comment of a rule in table inet farmc tells it; ""
// where there is no such table or rule, or it isn't farmc's.
//
// The kernel is asked without nft, which reads all elements of all sets before it answers. With a map of 100,000
// elements (with a set of 500,000 intervals) nft -t list chain takes 0.9 s (20 s), and this some 25 µs, measured with
// nft 1.0.6 on Linux 6.18.
func (n Nft) Loaded(ctx context.Context) (digest string, err error) {
	answers, err := ask(ctx, unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, unix.NFPROTO_INET,
		nl.NewRtAttr(unix.NFTA_RULE_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_RULE_CHAIN, nl.ZeroTerminated(digestChain)))
	if errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask for table inet farmc: %w", err)
	}
	for _, a := range answers {
		if found := ours.FindSubmatch(comment(a.attributes[unix.NFTA_RULE_USERDATA])); found != nil {
			return string(found[1]), nil
		}
	}
	return "", nil
}

// comment finds it in what nft keeps for itself with a rule. Each piece of that has a byte of type and a byte of length;
// type 0 is the comment (NFTNL_UDATA_RULE_COMMENT of libnftnl).
func comment(userdata []byte) []byte {
	for len(userdata) >= 2 && len(userdata) >= 2+int(userdata[1]) {
		kind, value := userdata[0], userdata[2:2+int(userdata[1])]
		if kind == 0 && len(value) > 0 {
			return value[:len(value)-1] // it ends with a zero byte
		}
		userdata = userdata[2+len(value):]
	}
	return nil
}
