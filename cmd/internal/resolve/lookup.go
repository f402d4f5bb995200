package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// hostsTTL is how long an answer of the file of hosts is used.
const hostsTTL = 30 * time.Second

// maxReplied is the number of addresses that are taken from a reply: the lowest ones.
const maxReplied = 256

// lookup asks for a hostname once: the file of hosts, then the servers.
func (r *Resolver) lookup(ctx context.Context, host string, w Wanted) reply {
	local := readHosts(r.Hosts, host)
	config, err := dns.ClientConfigFromFile(r.Config)
	if err != nil {
		err = fmt.Errorf("cannot read %s", r.Config)
	} else if len(config.Servers) == 0 {
		err = fmt.Errorf("%s names no server", r.Config)
	}
	var out reply
	for _, is4 := range []bool{true, false} {
		if is4 && w.IP4 || !is4 && w.IP6 {
			out.families = append(out.families, familyReply{is4: is4, err: err})
		}
	}
	var asking sync.WaitGroup
	for i := range out.families {
		f := &out.families[i]
		switch {
		case len(local) > 0:
			*f = familyReply{is4: f.is4, ttl: hostsTTL, addresses: slices.DeleteFunc(slices.Clone(local),
				func(a netip.Addr) bool { return a.Is4() != f.is4 })}
		case err == nil:
			asking.Go(func() { f.addresses, f.ttl, f.err = query(ctx, r.servers(config), host, f.is4) })
		}
	}
	asking.Wait()
	for i := range out.families {
		f := &out.families[i]
		slices.SortFunc(f.addresses, netip.Addr.Compare)
		f.addresses = f.addresses[:min(len(f.addresses), maxReplied)]
	}
	return out
}

// servers returns the first servers of a configuration, with their port.
func (r *Resolver) servers(c *dns.ClientConfig) (out []string) {
	for _, server := range c.Servers[:min(len(c.Servers), maxServers)] {
		out = append(out, net.JoinHostPort(server, r.Port))
	}
	return out
}
