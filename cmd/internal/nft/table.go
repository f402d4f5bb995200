package nft

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ours is how the comment of a table that farmc loaded looks.
var ours = regexp.MustCompile(`^farmc sha256:([0-9a-f]{64})$`)

// Loaded gives the digest of the script that the kernel holds, as the comment of table inet farmc tells it; "" where
// there is no such table or it isn't farmc's.
//
// The kernel is asked without nft, which reads all elements of all sets before it answers. With a map of 100,000
// elements (with a set of 500,000 intervals) nft -t list table takes 0.9 s (20 s), nft -j -t list tables, which
// leaves out the comment, 0.8 s (22 s), and this 23 µs (24 µs), measured with nft 1.0.6 on Linux 6.18.
func (n Nft) Loaded(ctx context.Context) (digest string, err error) {
	answers, err := ask(ctx, unix.NFT_MSG_GETTABLE, 0, unix.NFPROTO_INET,
		nl.NewRtAttr(unix.NFTA_TABLE_NAME, nl.ZeroTerminated("farmc")))
	if errors.Is(err, unix.ENOENT) || err == nil && len(answers) == 0 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask for table inet farmc: %w", err)
	}
	if found := ours.FindSubmatch(tableComment(answers[0].attributes[tableUserdata])); found != nil {
		digest = string(found[1])
	}
	return digest, nil
}

// tableUserdata is NFTA_TABLE_USERDATA of linux/netfilter/nf_tables.h: what nft keeps for itself with a table. Each
// piece of it has a byte of type and a byte of length; type 0 is the comment (NFTNL_UDATA_TABLE_COMMENT of libnftnl).
const tableUserdata = 6

func tableComment(userdata []byte) []byte {
	for len(userdata) >= 2 && len(userdata) >= 2+int(userdata[1]) {
		kind, value := userdata[0], userdata[2:2+int(userdata[1])]
		if kind == 0 && len(value) > 0 {
			return value[:len(value)-1] // it ends with a zero byte
		}
		userdata = userdata[2+len(value):]
	}
	return nil
}
