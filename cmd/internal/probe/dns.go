package probe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// dns asks a question by UDP, and by TCP if the answer was too long for UDP.
func (c *check) dns() Result {
	answer, failure := c.resolve("udp")
	if answer != nil && answer.Truncated {
		answer, failure = c.resolve("tcp")
	}
	if answer == nil {
		return failure
	}
	return c.judgeAnswer(answer)
}

// resolve asks the question. Without an answer it returns the result.
func (c *check) resolve(network string) (*dns.Msg, Result) {
	conn, err := c.dial(network)
	if err != nil {
		return nil, c.failed(err, noConnection)
	}
	defer conn.Close()
	question := c.question()
	asked := &dns.Conn{Conn: conn, UDPSize: dns.DefaultMsgSize}
	if err := asked.WriteMsg(question); err != nil {
		return nil, c.failed(err, noAnswer)
	}
	return c.answerTo(question, asked)
}

func (c *check) question() *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(c.Check.DNSName), dns.StringToType[c.Check.DNSType])
	return m.SetEdns0(1232, false) // the size that fits each path: dnsflagday.net/2020
}

// answerTo reads until the answer to the question has come. An answer to another question is late.
func (c *check) answerTo(question *dns.Msg, conn *dns.Conn) (*dns.Msg, Result) {
	for {
		answer, err := conn.ReadMsg()
		switch {
		case err == nil && answer.Id == question.Id && answer.Response:
			return answer, Result{}
		case err == nil:
		case isNetwork(err):
			return nil, c.failed(err, noAnswer)
		default:
			return nil, unhealthy("answer is not DNS")
		}
	}
}

// judgeAnswer looks for the expected record.
func (c *check) judgeAnswer(answer *dns.Msg) Result {
	if answer.Rcode != dns.RcodeSuccess {
		return unhealthy("%s, expected NOERROR", rcode(answer.Rcode))
	}
	records := recordsOf(answer, dns.StringToType[c.Check.DNSType])
	switch {
	case c.Check.DNSAnswer == "" && len(records) == 1:
		return healthy("1 record")
	case c.Check.DNSAnswer == "":
		return healthy("%d records", len(records))
	case len(records) == 0:
		return unhealthy("no record of type %s", c.Check.DNSType)
	}
	for _, r := range records {
		if sameData(r, c.Check.DNSAnswer) {
			return healthy("expected record")
		}
	}
	return unhealthy("%s, expected %s", printable(records[0], 80), printable(c.Check.DNSAnswer, 80))
}

func rcode(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("code %d", code)
}

// recordsOf returns the data of the records of a type, as zone files write it.
func recordsOf(answer *dns.Msg, of uint16) (data []string) {
	for _, r := range answer.Answer {
		if r.Header().Rrtype == of {
			data = append(data, strings.TrimPrefix(r.String(), r.Header().String()))
		}
	}
	return data
}

// sameData compares the data of records: addresses by value, names without case and final dot, texts without quotes.
func sameData(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX == nil && errY == nil {
		return x == y
	}
	return plainData(a) == plainData(b)
}

func plainData(data string) string {
	fields := strings.Fields(strings.ToLower(data))
	for i, f := range fields {
		fields[i] = strings.TrimSuffix(strings.Trim(f, `"`), ".")
	}
	return strings.Join(fields, " ")
}

// isNetwork reports whether the error is one of the network, and not of the content of an answer.
func isNetwork(err error) bool {
	var e net.Error
	return errors.As(err, &e) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
