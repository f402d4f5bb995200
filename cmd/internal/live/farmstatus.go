package live

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// A FarmStatus is the state of a farm. Its numbers are sums over the backends.
type FarmStatus struct {
	Name      string    `json:"name"`
	Files     []string  `json:"files"` // the farm's file, and its drop-ins
	Mode      string    `json:"mode"`
	Scheduler string    `json:"scheduler"` // "": mode local has none
	State     string    `json:"state"`     // up or down, as the file says
	Condition Condition `json:"condition"`
	Listen    []string  `json:"listen"` // the frontends

	BackendsUp   int      `json:"backendsUp"`
	Open         *int     `json:"open"`         // open tracked connections
	New          *uint64  `json:"new"`          // new connections
	NewPerSecond *float64 `json:"newPerSecond"` // new connections

	Announced   []string `json:"announced"`   // addresses and networks with a route for routing daemons
	Unannounced string   `json:"unannounced"` // why the farm's addresses are not announced; "": no reason

	Panic      string `json:"panic"`      // why unhealthy backends serve; "": they do not
	PanicBelow int    `json:"panicBelow"` // percent of healthy backends, from the file; 0: never

	Backends []BackendStatus   `json:"backends"` // in natural order
	HeldBack map[string]uint64 `json:"heldBack"` // packets denied or over a limit, by reason; empty: none is counted
	LetPass  map[string]uint64 `json:"letPass"`  // packets over a limit that verdict "log" let pass, by reason
	DeniedBy map[string]uint64 `json:"deniedBy"` // the denied packets among them, by list
	LogOnly  map[string]uint64 `json:"logOnly"`  // packets that log-only logs, by list; "": by addresses in the farm
	Banned   []BanStatus       `json:"banned"`   // sorted by the time left

	Bytes *uint64 `json:"-"` // of tracked connections, in Measures, see byteMeter

	Cookies *uint64 `json:"cookies,omitempty"` // SYNs that the kernel answered with cookies; nil: without synproxy
}

// Tracked reports whether the connections of the farm are tracked: their bytes can be known.
func (f *FarmStatus) Tracked() bool { return (&farm.Farm{Mode: farm.Mode(f.Mode)}).Tracked() }

// A Condition is the state of a farm in one word.
type Condition string

// The conditions, the worst first.
const (
	Stopped   Condition = "stopped"    // the kernel lacks its rules, or a finding stops its packets
	NoBackend Condition = "no-backend" // no backend takes new connections
	Panicking Condition = "panic"      // unhealthy backends serve, because too few are healthy
	Degraded  Condition = "degraded"   // some backends are not up
	Working   Condition = "up"
	Disabled  Condition = "down" // the file says so
)

// A BackendStatus is the state of a backend.
type BackendStatus struct {
	Name      string   `json:"name"`
	Address   []string `json:"address"`
	Port      uint16   `json:"port"`      // 0: the port that the client asked for
	Ports     []string `json:"ports"`     // moved ports, as in "80=8080"; empty: no port is moved
	Source    []string `json:"source"`    // mode snat: the source that each address sees, or masquerade
	State     string   `json:"state"`     // up, drain, down, or standby: up, but without a share
	StateFile string   `json:"stateFile"` // the file that sets it; "": none does, so it is up
	StateLine int      `json:"stateLine"`
	Share     float64  `json:"share"` // of new connections or packets of its family, 0 to 1

	Open         *int     `json:"open"`         // open tracked connections
	New          *uint64  `json:"new"`          // new connections
	NewSince     string   `json:"newSince"`     // RFC 3339, when New began; "": unknown
	NewPerSecond *float64 `json:"newPerSecond"` // new connections
	Clients      *int     `json:"clients"`      // persistent clients; null in the status of all farms

	Healthy     *bool  `json:"healthy"`     // null: no checker speaks about the backend
	HealthSince string `json:"healthSince"` // RFC 3339, when Healthy became so; "": unknown
	SlowStart   bool   `json:"slowStart"`   // the weight rises

	Health []HealthWord `json:"health"` // words of checkers that take the backend out, or part of its weight

	Host string `json:"host"` // the hostname that has the address; "": the files have the address
	Here bool   `json:"here"` // an address is this machine's

	Bytes *uint64 `json:"-"` // of tracked connections, in Measures, see byteMeter
}

// DeniedReason is the reason of the packets that [access] keeps out, among those that limits hold back.
const DeniedReason = "denied"

// A BanStatus is a banned client.
type BanStatus struct {
	Client string  `json:"client"`
	Left   float64 `json:"left"` // seconds; 0: forever
}

// addFarms adds the farms in natural order.
func (s *Status) addFarms(farms []*farm.Farm, sources *source.Files, remembered Records) {
	files, records := filesByFarm(sources), healthIn(sources)
	for _, f := range farms {
		of := newFarmStatus(f)
		of.addHealth(f, records, remembered.of(f.Name))
		of.Files = append(of.Files, files[f.Name]...)
		s.Farms = append(s.Farms, of)
	}
	slices.SortFunc(s.Farms, func(a, b FarmStatus) int { return CompareNatural(a.Name, b.Name) })
}

// findHere marks the backends that have an address of this machine.
func (s *Status) findHere() {
	own := map[string]bool{}
	for _, a := range OwnAddresses() {
		own[a.String()] = true
	}
	s.eachBackend(func(_ string, b *BackendStatus) {
		b.Here = slices.ContainsFunc(b.Address, func(a string) bool { return own[a] })
	})
}

// filesByFarm returns the paths of the files of each farm: its own file first, then the drop-ins.
func filesByFarm(sources *source.Files) map[string][]string {
	out := map[string][]string{}
	for _, p := range sources.Paths() {
		if name, ok := strings.CutSuffix(source.Item(p), ".toml"); ok {
			out[name] = append(out[name], p)
		}
	}
	for _, paths := range out {
		slices.SortStableFunc(paths, func(a, b string) int { return depth(a) - depth(b) })
	}
	return out
}

// depth is 1 for a drop-in, whose directory is named after the farm.
func depth(path string) int {
	if strings.HasSuffix(filepath.Dir(path), ".toml.d") {
		return 1
	}
	return 0
}

func newFarmStatus(f *farm.Farm) FarmStatus {
	s := FarmStatus{Name: f.Name, Files: []string{}, Mode: string(f.Mode), Scheduler: string(f.Scheduler),
		State: "up", Listen: f.Listening(), Backends: make([]BackendStatus, 0, len(f.Backends)),
		HeldBack: map[string]uint64{}, LetPass: map[string]uint64{}, DeniedBy: map[string]uint64{},
		LogOnly: map[string]uint64{},
		Banned:  []BanStatus{}, Announced: []string{}}
	if f.Mode == farm.Local {
		s.Scheduler = ""
	}
	if f.Down {
		s.State = "down"
	}
	shares := f.Shares()
	for _, b := range f.Backends {
		state := string(b.State)
		if b.State == farm.Up && shares[b.Name] == 0 && !f.Down {
			state = "standby"
		}
		if b.State == farm.Up {
			s.BackendsUp++
		}
		s.Backends = append(s.Backends, BackendStatus{Name: b.Name, Host: b.Host,
			Address: strings.Split(b.Address.String(), ", "), Port: b.Port, Ports: b.Ports.Words(),
			Source: []string{}, State: state, StateFile: b.StateAt.File, StateLine: b.StateAt.Line,
			Share: shares[b.Name]})
	}
	slices.SortFunc(s.Backends, func(a, b BackendStatus) int { return CompareNatural(a.Name, b.Name) })
	return s
}

// setCondition sets the condition and the sums. Stopped is as stoppedFarms returns it.
func (f *FarmStatus) setCondition(rules Rules, stopped map[string]bool) {
	local := f.Mode == string(farm.Local)
	switch {
	case f.State == "down":
		f.Condition = Disabled
	case !rules.countersValid() || stopped[""] || stopped[f.Name]:
		f.Condition = Stopped
	case f.BackendsUp == 0 && !local:
		f.Condition = NoBackend
	case f.Panic != "":
		f.Condition = Panicking
	case f.BackendsUp < len(f.Backends):
		f.Condition = Degraded
	default:
		f.Condition = Working
	}
	for _, b := range f.Backends {
		addTo(&f.Open, b.Open)
		addTo(&f.New, b.New)
		addTo(&f.Bytes, b.Bytes)
	}
}

// addTo adds a number that may be unknown to a sum of known numbers.
func addTo[N int | uint64 | float64](sum **N, n *N) {
	if n == nil {
		return
	}
	if *sum == nil {
		*sum = new(N)
	}
	**sum += *n
}

// CompareNatural compares names by their words, and by the values of the numbers in them: web2 comes before web10.
func CompareNatural(a, b string) int {
	inOrder := strings.Compare(a, b) // of names that are alike, such as web2 and web02
	for a != "" && b != "" {
		wordA, wordB := word(a), word(b)
		if isDigit(wordA[0]) && isDigit(wordB[0]) {
			numberA, numberB := strings.TrimLeft(wordA, "0"), strings.TrimLeft(wordB, "0")
			if c := len(numberA) - len(numberB); c != 0 {
				return c
			}
			if c := strings.Compare(numberA, numberB); c != 0 {
				return c
			}
		} else if c := strings.Compare(wordA, wordB); c != 0 {
			return c
		}
		a, b = a[len(wordA):], b[len(wordB):]
	}
	return cmp.Or(len(a)-len(b), inOrder)
}

// word returns the digits, or the other bytes, with which a name begins.
func word(name string) string {
	i := strings.IndexFunc(name, func(r rune) bool { return isDigit(byte(min(r, 255))) != isDigit(name[0]) })
	if i < 0 {
		return name
	}
	return name[:i]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// formatTime writes a time for JSON; zero is "".
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
