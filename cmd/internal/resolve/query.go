package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The bounds of one question: servers that are asked, rounds over them, time for each, and CNAMEs that are followed.
const (
	maxServers  = 3
	maxRounds   = 2
	serverLimit = 2 * time.Second
	maxAliases  = 8
)

// errUnknown says that a name does not exist, by the word of a server.
var errUnknown = errors.New("the name does not exist (NXDOMAIN)")

// query asks the servers one after the other, until one answers. A name that does not exist needs no second server.
func query(ctx context.Context, servers []string, host string, is4 bool) ([]netip.Addr, time.Duration, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(host), dns.TypeAAAA)
	if is4 {
		question.Question[0].Qtype = dns.TypeA
	}
	question.SetEdns0(1232, false)
	var err error
	for range maxRounds {
		for _, server := range servers {
			var answer *dns.Msg
			answer, err = exchange(ctx, question.Copy(), server)
			if err == nil {
				addresses, ttl := addressesIn(answer, is4)
				return addresses, ttl, nil
			}
			if errors.Is(err, errUnknown) || ctx.Err() != nil {
				return nil, 0, err
			}
		}
	}
	return nil, 0, err
}

// exchange asks one server, by TCP if the answer is too long for UDP.
func exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	question.Id = dns.Id()
	answer, err := exchangeBy(ctx, "udp", question, server)
	if err == nil && answer.Truncated {
		answer, err = exchangeBy(ctx, "tcp", question, server)
	}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, fmt.Errorf("%s does not answer", server)
	case err != nil:
		return nil, fmt.Errorf("cannot ask %s: %s", server, rootOf(err))
	case answer.Rcode == dns.RcodeNameError:
		return nil, errUnknown
	case answer.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("%s answers %s", server, cmp.Or(dns.RcodeToString[answer.Rcode], "an unknown code"))
	}
	return answer, nil
}

// rootOf returns the error below the words of package net, which repeat addresses and the port of this machine.
func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// exchangeBy asks by one protocol. Replies to another question are none.
func exchangeBy(ctx context.Context, network string, question *dns.Msg, server string) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: serverLimit}
	ctx, cancel := context.WithTimeout(ctx, serverLimit)
	defer cancel()
	answer, _, err := client.ExchangeContext(ctx, question, server)
	if err != nil {
		return nil, err
	}
	if !answer.Response || len(answer.Question) != 1 || answer.Question[0].Qtype != question.Question[0].Qtype ||
		!strings.EqualFold(answer.Question[0].Name, question.Question[0].Name) {
		return nil, errors.New("the reply is to another question")
	}
	return answer, nil
}

// addressesIn returns the addresses of the name of the question, by way of its aliases, and the shortest TTL on the
// way. Records about other names are ignored.
func addressesIn(answer *dns.Msg, is4 bool) (out []netip.Addr, ttl time.Duration) {
	owner, shortest := answer.Question[0].Name, ^uint32(0)
	for range maxAliases {
		alias := aliasOf(answer, owner)
		if alias == nil {
			break
		}
		owner, shortest = alias.Target, min(shortest, alias.Hdr.Ttl)
	}
	for _, record := range answer.Answer {
		if !strings.EqualFold(record.Header().Name, owner) || record.Header().Class != dns.ClassINET {
			continue
		}
		if a, ok := addressOf(record); ok && a.Is4() == is4 {
			out, shortest = append(out, a), min(shortest, record.Header().Ttl)
		}
	}
	return out, time.Duration(shortest) * time.Second
}

func aliasOf(answer *dns.Msg, owner string) *dns.CNAME {
	for _, record := range answer.Answer {
		if alias, is := record.(*dns.CNAME); is && strings.EqualFold(alias.Hdr.Name, owner) {
			return alias
		}
	}
	return nil
}

// addressOf returns the address of an A or AAAA record.
func addressOf(record dns.RR) (netip.Addr, bool) {
	switch record := record.(type) {
	case *dns.A:
		a, ok := netip.AddrFromSlice(record.A.To4())
		return a, ok
	case *dns.AAAA:
		return netip.AddrFromSlice(record.AAAA.To16())
	}
	return netip.Addr{}, false
}
