package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nfnetlink"
)

// minDump is the least number of elements of a set for which its whole content is read. That costs 2 µs an element, a
// query 3.5 µs.
const minDump = 2000

// numbersOf gives the indexes of elements by their keys; nil if they are few, or one is there twice.
func numbersOf(elements []Element) map[string]int {
	if len(elements) < minDump {
		return nil
	}
	numbers := make(map[string]int, len(elements))
	for i, e := range elements {
		numbers[string(e.Key)] = i
	}
	if len(numbers) < len(elements) {
		return nil
	}
	return numbers
}

// dumpsWell reports whether to read the whole set is quicker than a query for each of the elements: they are at least a
// quarter of it. A walk through more than maxSize elements takes longer, because the kernel begins it anew for each
// message. Ranges have two elements each, so they are queried.
func dumpsWell(ctx context.Context, elements []Element) bool {
	const maxSize = 1 << 16
	e := elements[0]
	answers, err := query(ctx, unix.NFT_MSG_GETSET, 0, familyNumber(e.Family),
		nl.NewRtAttr(unix.NFTA_SET_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_SET_NAME, nl.ZeroTerminated(e.Set)))
	if err != nil || len(answers) != 1 {
		return false
	}
	set, _ := readSet(answers[0].Attributes)
	return set.Size > 0 && set.Size <= maxSize && int(set.Size) <= 4*len(elements) &&
		set.Flags&unix.NFT_SET_INTERVAL == 0
}

// dumpCounters reads the counters of elements with the numbers from the whole content of their set. It begins again if
// the ruleset changes meanwhile, and returns errChanging if it does so each time.
func dumpCounters(socket int, set Element, numbers map[string]int, counters []Counter) error {
	const maxDumps = 3
	for range maxDumps {
		interrupted, err := dump(socket, set, func(key []byte, c Counter) {
			if i, asked := numbers[string(key)]; asked {
				counters[i] = c
			}
		})
		if err != nil || !interrupted {
			return err
		}
		clear(counters)
	}
	return errChanging
}

// errChanging reports a ruleset that changed during each dump.
var errChanging = errors.New("the ruleset keeps changing")

// dump calls do with the key and the counter of each element of the set of an element. The dump is interrupted if the
// ruleset changed meanwhile.
func dump(socket int, of Element, do func(key []byte, c Counter)) (interrupted bool, err error) {
	request := nfnetlink.NewRequest(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, familyNumber(of.Family),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(of.Set)))
	if err := unix.Sendto(socket, request.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, err
	}
	buffer := make([]byte, 1<<16) // the kernel fills up to half of it, and walks through the set for each message
	for {
		length, _, err := unix.Recvfrom(socket, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return interrupted, err
		}
		for rest := buffer[:length]; len(rest) >= unix.SizeofNlMsghdr; {
			message := rest[:min(int(binary.NativeEndian.Uint32(rest)), len(rest))]
			if len(message) < unix.SizeofNlMsghdr+nl.SizeofNfgenmsg {
				return interrupted, unix.EBADMSG
			}
			interrupted = interrupted || binary.NativeEndian.Uint16(message[6:])&unix.NLM_F_DUMP_INTR != 0
			switch binary.NativeEndian.Uint16(message[4:]) {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				return interrupted, endOfDump(message)
			}
			eachElement(message, do)
			rest = rest[min((len(message)+3)&^3, len(rest)):]
		}
	}
}

// endOfDump returns the error of the last message of a dump. A missing set has no elements.
func endOfDump(message []byte) error {
	switch err := unix.Errno(-int32(binary.NativeEndian.Uint32(message[unix.SizeofNlMsghdr:]))); err {
	case 0, unix.ENOENT:
		return nil
	case unix.EPERM:
		return ErrNotPermitted
	default:
		return fmt.Errorf("read all elements: %w", err)
	}
}

// eachElement calls do with the elements in a message.
func eachElement(message []byte, do func(key []byte, c Counter)) {
	list := attribute(message[unix.SizeofNlMsghdr+nl.SizeofNfgenmsg:], unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	for len(list) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(list))
		if length < unix.SizeofRtAttr || length > len(list) {
			return
		}
		element := list[unix.SizeofRtAttr:length]
		do(attribute(attribute(element, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE), counterOf(element))
		list = list[min((length+3)&^3, len(list)):]
	}
}
