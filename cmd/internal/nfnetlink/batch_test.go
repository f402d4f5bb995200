package nfnetlink_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/nfnetlink"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// TestBatch: a batch is made as a whole or not at all, and an owned table goes with the socket.
func TestBatch(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	if err := lab.Balancer.Do(func() error { return checkBatches(t) }); err != nil {
		t.Error(err)
	}
}

func checkBatches(t *testing.T) error {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	var none, good, faulty nfnetlink.Batch
	addTable(&good, "one")
	addTable(&good, "two")
	addTable(&faulty, "three")
	faulty.Add(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, unix.NFPROTO_INET, name(unix.NFTA_CHAIN_TABLE, "none"),
		name(unix.NFTA_CHAIN_NAME, "chain"))
	addTable(&faulty, "four")
	if err := errors.Join(none.Send(socket), good.Send(socket)); err != nil {
		return err
	}
	if err := faulty.Send(socket); !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("a chain of no table: %v, not ENOENT", err)
	}
	if got, err := tables(t); err != nil || got != 2 {
		return fmt.Errorf("%d tables, not 2; %v", got, err)
	}
	socket.Close()
	if got, err := tables(t); err != nil || got != 0 {
		return fmt.Errorf("%d tables are there without their owner; %v", got, err)
	}
	return nil
}

func addTable(b *nfnetlink.Batch, table string) {
	b.Add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, unix.NFPROTO_INET,
		name(unix.NFTA_TABLE_NAME, table), nl.NewRtAttr(unix.NFTA_TABLE_FLAGS, nl.BEUint32Attr(nfnetlink.TableOwned)))
}

func name(kind int, text string) *nl.RtAttr { return nl.NewRtAttr(kind, nl.ZeroTerminated(text)) }

func tables(t *testing.T) (int, error) {
	all, err := nfnetlink.Query(t.Context(), unix.NFT_MSG_GETTABLE, unix.NLM_F_DUMP, unix.NFPROTO_INET)
	return len(all), err
}
