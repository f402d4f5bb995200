package packettest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// metrics are values by name and labels, as in the text of Prometheus.
type metrics map[string]float64

// measured: GET /metrics at the socket gives these values.
type measured struct {
	socket string
	want   metrics
}

func (m measured) do(*testbed) error {
	got, err := scrape(m.socket)
	if err != nil {
		return err
	}
	for name, want := range m.want {
		if is, ok := got[name]; !ok || is != want {
			err = errors.Join(err, fmt.Errorf("%s is %v (%v), want %v", name, is, ok, want))
		}
	}
	return err
}

// connect opens a connection of a client to each address, and adds it to the numbers of the backend that answers.
func (m measured) connect(s *testbed, client int, keep bool) error {
	for _, q := range s.targets("", "tcp", service1) {
		as := clientAddress(client, q.to.Addr().Is6())
		port := uint16(10000 + s.sourcePorts.Add(1))
		c, err := q.from.Dial(q.network, netip.AddrPortFrom(as, port), q.to, answerTimeout)
		if err != nil {
			return q.wrap(err)
		}
		if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
			return err
		}
		answer, err := netlab.ReadAnswer(c)
		if err != nil {
			return q.wrap(err)
		}
		m.want[backendMetric("connections_total", answer.Backend)]++
		if keep {
			m.want[backendMetric("connections", answer.Backend)]++
			s.held = append(s.held, connection{c, q})
		} else if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// scrape reads the metrics of farmc watch.
func scrape(socket string) (metrics, error) {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	answer, err := client.Get("http://farmc/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	out := metrics{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			out[name] = value
		}
	}
	return out, lines.Err()
}
