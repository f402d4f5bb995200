package probe

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"farmc/compiler/farm"
)

// http sends a request of HTTP/1.1 and judges the status and the body of the response. It follows no redirect and uses
// no proxy. The request goes over a connection of its own, so that a check costs no goroutines and no pool.
func (c *check) http() Result {
	conn, err := c.dial("tcp")
	if err != nil {
		return c.failed(err, noConnection)
	}
	defer conn.Close()
	return c.exchange(conn)
}

// https is http over TLS.
func (c *check) https() Result {
	conn, failure := c.dialTLS("http/1.1")
	if conn == nil {
		return failure
	}
	defer conn.NetConn().Close() // without an alert, which could wait
	return c.exchange(conn)
}

// maxAnswer is the number of bytes of a head, and of a body, that a check reads.
const maxAnswer = 64 << 10

// exchange sends the request and reads the response.
func (c *check) exchange(conn net.Conn) Result {
	request, err := c.request()
	if err != nil {
		return unknown("path is not valid")
	}
	if err := request.Write(conn); err != nil {
		return c.failed(err, noAnswer)
	}
	from := &failingReader{Reader: conn}
	in := &io.LimitedReader{R: from, N: maxAnswer}
	response, err := readResponse(bufio.NewReader(in), request)
	if err != nil {
		return c.noResponse(cmp.Or(from.failure, err), in.N)
	}
	in.N = maxAnswer
	return c.judge(response)
}

// A failingReader keeps the error of the connection. ReadResponse reads the part of a line before an error as a whole
// line, and reports that the line is malformed.
type failingReader struct {
	io.Reader
	failure error
}

func (r *failingReader) Read(to []byte) (int, error) {
	n, err := r.Reader.Read(to)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failure = err
	}
	return n, err
}

func (c *check) request() (*http.Request, error) {
	target, err := url.ParseRequestURI(c.Check.Path)
	if err != nil {
		return nil, err
	}
	target.Host = c.host()
	return &http.Request{Method: c.Check.Method, URL: target, Host: c.host(), Close: true,
		Header: http.Header{"User-Agent": {"farmc-health"}, "Accept": {"*/*"}}}, nil
}

// host is the Host field of a request: without one of the farm's, the address, with a port that is not the default.
func (c *check) host() string {
	if c.Check.Host != "" {
		return c.Check.Host
	}
	if c.Port == 443 && c.Check.Type == farm.HealthHTTPS || c.Port == 80 && c.Check.Type == farm.HealthHTTP {
		return strings.TrimSuffix(netip.AddrPortFrom(c.Address, c.Port).String(), ":"+strconv.Itoa(int(c.Port)))
	}
	return netip.AddrPortFrom(c.Address, c.Port).String()
}

// readResponse reads the head of the response, past informational ones (RFC 9110, section 15.2).
func readResponse(in *bufio.Reader, request *http.Request) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(in, request)
		if err != nil || response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
}

// noResponse returns the result for an error within the head of the response. Left is the number of bytes that the
// check would have read on.
func (c *check) noResponse(err error, left int64) Result {
	var network net.Error
	switch {
	case left == 0:
		return unhealthy("headers of more than %d bytes", maxAnswer)
	case isTimeout(err) && left < maxAnswer:
		return c.failed(err, noWhole)
	case isTimeout(err), errors.As(err, &network):
		return c.failed(err, noAnswer)
	case left == maxAnswer: // ReadResponse calls every end unexpected
		return c.failed(io.EOF, noAnswer)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return c.failed(err, noWhole)
	}
	return unhealthy("answer is not HTTP")
}

// judge compares the status and the body with the expected ones. It reads the body only if one is expected.
func (c *check) judge(response *http.Response) Result {
	code := response.StatusCode
	if !c.Check.Accepts(code) {
		return unhealthy("%d, expected %s", code, statuses(c.Check.Status))
	}
	if c.Check.Body == "" && c.Check.BodyRegexp == nil {
		return healthy("%d", code)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return c.failed(err, strconv.Itoa(code)+", no complete body")
	}
	return c.judgeBody(code, body)
}

func (c *check) judgeBody(code int, body []byte) Result {
	switch {
	case !strings.Contains(string(body), c.Check.Body):
		return unhealthy("%d, body without the expected text", code)
	case c.Check.BodyRegexp != nil && !c.Check.BodyRegexp.Match(body):
		return unhealthy("%d, body does not match the expected pattern", code)
	}
	return healthy("%d, expected body", code)
}

// statuses writes ranges as a farm does.
func statuses(ranges []farm.Status) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
	}
	return strings.Join(texts, ", ")
}
