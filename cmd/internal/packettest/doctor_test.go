package packettest

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/doctor"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
)

// A doctorCase puts the lab into a state that farmc doctor finds. The remedy ends it.
type doctorCase struct {
	name, kind, says string
	farm             string
	broken           steps
	cure             func(s *testbed, found *preflight.Finding) error
	served           step // holds before and after
	large            bool // large packets are lost in the state, and pass before and after
}

var directFarm = dsrTopologies[1].farm(listen1)

func doctorCases() []doctorCase {
	asks := directRequest{by: "tcp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 40}
	return []doctorCase{
		{name: "backend-answers-arp", kind: "dsr-answer", farm: directFarm, served: asks,
			says:   "(backend b1) answers for the service's address 192.0.2.1",
			broken: steps{on{"b1", "sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0"}},
			cure:   onBackend("b1")},
		{name: "backend-answers-neighbour-discovery", kind: "dsr-answer", farm: directFarm, served: asks,
			says:   "answers for the service's address 2001:db8::1",
			broken: steps{on{"b1", "ip address add 2001:db8::1/128 dev eth0 nodad"}},
			cure: func(s *testbed, _ *preflight.Finding) error {
				return on{"b1", "ip address delete 2001:db8::1/128 dev eth0"}.do(s)
			}},
		{name: "smaller-link-of-backends", kind: "mtu", farm: directFarm, served: asks,
			large:  true,
			says:   "packets of up to 1500 bytes come in by eth0, and eth1 takes at most 1400: larger ones are lost",
			broken: steps{setMTU{"balancer eth1 b1 eth0 b2 eth0", 1400}},
			cure: func(s *testbed, found *preflight.Finding) error {
				return steps{runs(strings.Join(found.Commands, "; ")), setMTU{"b1 eth0 b2 eth0", 1500}}.do(s)
			}},
	}
}

// largePasses reports whether a datagram of 1450 bytes is answered in time.
func (s *testbed) largePasses(within time.Duration) bool {
	to := netip.MustParseAddrPort("192.0.2.1:80")
	conn, err := s.Client.Dial("udp4", s.newClient(s.Client, to.Addr()), to, within)
	if err != nil {
		return false
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(within)) != nil {
		return false
	}
	if _, err := conn.Write(make([]byte, 1450)); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 2000))
	return err == nil
}

// onBackend runs the commands of farmc doctor --backend on a backend.
func onBackend(name string) func(*testbed, *preflight.Finding) error {
	return func(s *testbed, found *preflight.Finding) error {
		farms, err := s.engine.LoadedFarms()
		if err != nil {
			return err
		}
		return on{name, strings.Join(doctor.BackendCommands(farms[0]), "\n")}.do(s)
	}
}

// TestDoctor: a correct lab has no finding. A state has one, and its remedy ends it.
func TestDoctor(t *testing.T) {
	t.Parallel()
	for _, c := range doctorCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newTestbed(t, dsrTopologies[1].lab)
			s.engine.Store = statedir.NewStore(t.TempDir())
			must(t, farms{"web": c.farm}.do(s))
			must(t, c.served.do(s))
			if c.large && !s.largePasses(answerTimeout) {
				t.Error("large packets do not pass")
			}
			s.wantExamined(t, "", "")
			must(t, c.broken.do(s))
			if c.large && s.largePasses(300*time.Millisecond) {
				t.Error("packets pass in spite of the state")
			}
			found := s.wantExamined(t, c.kind, c.says)
			must(t, c.cure(s, found))
			s.wantExamined(t, "", "")
			must(t, c.served.do(s))
			if c.large && !s.largePasses(answerTimeout) {
				t.Error("large packets do not pass after the remedy")
			}
		})
	}
}

// wantExamined wants exactly one finding of the kind; "": none.
func (s *testbed) wantExamined(t *testing.T, kind, says string) *preflight.Finding {
	t.Helper()
	var found preflight.Findings
	must(t, s.Balancer.Do(func() error {
		farms, err := s.engine.LoadedFarms()
		found = doctor.Examine(s.ctx, doctor.Patient{Farms: farms})
		return err
	}))
	switch {
	case kind == "" && len(found) == 0:
		return &preflight.Finding{}
	case kind == "" || len(found) != 1 || found[0].Kind != kind || !strings.Contains(found[0].Message, says):
		t.Fatalf("found %+v", found)
	}
	t.Log(found[0].Text(), "|", found[0].Hint())
	return found[0]
}

// TestDoctorAsksForBackends: a backend that does not answer on its link is found at once, without packets of clients,
// and while their packets wait for it. A backend that answers is no finding.
func TestDoctorAsksForBackends(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	must(t, farms{"web": oneBackend("snat", listen1, "b1", 0)}.do(s))
	look := func() preflight.Findings {
		must(t, s.Balancer.Do(func() error {
			loaded, err := s.engine.LoadedFarms()
			doctor.Prompt(loaded)
			return err
		}))
		found, err := s.found()
		must(t, err)
		return found
	}
	const forget = runs("ip neigh flush dev eth1; ip -6 neigh flush dev eth1")
	must(t, forget.do(s))
	if found := look(); len(found) > 0 {
		t.Errorf("found %+v about a backend that answers", found)
	}
	must(t, on{"b1", "ip link set eth0 down"}.do(s))
	must(t, forget.do(s))
	for range 2 { // asked first, then between the repetitions
		if found := look(); len(found) != 2 ||
			!strings.Contains(found[0].Text(), "backend b1: 10.2.0.11 does not answer on the link of eth1") ||
			!strings.Contains(found[1].Text(), "backend b1: fd00:2::11 does not answer on the link of eth1") {
			t.Errorf("found %+v about a backend that is down", found.Diagnostics())
		}
	}
}
