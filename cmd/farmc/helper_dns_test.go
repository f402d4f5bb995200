package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/miekg/dns"
)

// dnsServer is a DNS server on 127.0.0.1:53. It reads the file of its argument at each question: records as zones have
// them, one a line; a line with the name of a code, such as SERVFAIL, is the code of every reply; "silent" gives none.
func dnsServer() {
	signal.Ignore(syscall.SIGTERM) // scenarios send it to farmc watch
	err := dns.ListenAndServe("127.0.0.1:53", "udp", dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		text, err := os.ReadFile(os.Args[1])
		if err != nil {
			panic(err)
		}
		if reply := replyTo(q, string(text)); reply != nil {
			_ = w.WriteMsg(reply)
		}
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func replyTo(q *dns.Msg, zone string) *dns.Msg {
	reply := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
	for line := range strings.Lines(zone) {
		line = strings.TrimSpace(line)
		code, isCode := dns.StringToRcode[line]
		record, _ := dns.NewRR(line)
		switch {
		case line == "silent":
			return nil
		case isCode:
			reply.Rcode = code
			return reply
		case record == nil || !strings.EqualFold(record.Header().Name, q.Question[0].Name):
			continue
		case record.Header().Rrtype == q.Question[0].Qtype:
			reply.Answer = append(reply.Answer, record)
		}
		reply.Rcode = dns.RcodeSuccess
	}
	return reply
}
