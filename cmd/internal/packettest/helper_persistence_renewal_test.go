package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// rememberedClient is an element of nft's list of a persistence map: the client, the time that is left, the backend ID.
var rememberedClient = regexp.MustCompile(`([^\s{,]+(?: \. [^\s{,]+)*)(?: timeout \S+)? expires (\S+) : ([^\s,]+)`)

// ageClients leaves each client of the farm web half an hour of an hour.
func ageClients(family string) step {
	return stepFunc(func(s *testbed) error {
		text, err := s.listClients("inet", family)
		if err != nil {
			return err
		}
		script := fmt.Sprintf("flush map inet farmc farm/web/clients-%s\n", family)
		for _, client := range rememberedClient.FindAllStringSubmatch(text, -1) {
			script += fmt.Sprintf("add element inet farmc farm/web/clients-%s { %s timeout 1h expires 30m : %s }\n",
				family, client[1], client[3])
		}
		return nftScript(script).do(s)
	})
}

// renewed: whether clients have more time left than ageClients left them.
type renewed bool

// checkClients compares the time that each remembered client of the farm web has left.
type checkClients struct {
	family string
	renewed
}

func (c checkClients) do(s *testbed) error {
	text, err := s.listClients("inet", c.family)
	if err != nil {
		return err
	}
	all := rememberedClient.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return errors.New("there are no clients: " + text)
	}
	for _, client := range all {
		left, err := time.ParseDuration(client[2])
		if err != nil {
			return err
		}
		if left > 30*time.Minute != bool(c.renewed) {
			return fmt.Errorf("%s has %s left; renewed: %t", client[1], left, c.renewed)
		}
	}
	return nil
}

// talkFor continues all conversations again and again.
func talkFor(d time.Duration) func(*testbed) error {
	return func(s *testbed) error {
		for end := time.Now().Add(d); time.Now().Before(end); {
			if err := (continued{by: "tcp udp", with: "b1 b2 b3"}).do(s); err != nil {
				return err
			}
			time.Sleep(200 * time.Millisecond)
		}
		return nil
	}
}

// keepsClients: the persistence map of the farm web has a client for each conversation.
type keepsClients struct{ family string }

func (k keepsClients) do(s *testbed) error {
	text, err := s.listClients("inet", k.family)
	if err != nil {
		return err
	}
	for _, c := range s.conversations {
		if "ip"+family(c.to.Addr()) != k.family {
			continue
		}
		client := netip.MustParseAddrPort(c.LocalAddr().String()).Addr().Unmap()
		if !strings.Contains(text, client.String()+" expires") {
			return fmt.Errorf("%s is forgotten: %s", client, text)
		}
	}
	return nil
}
