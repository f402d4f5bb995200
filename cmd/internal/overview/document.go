package overview

import (
	"encoding/json"
	"time"

	"farmc/cmd/internal/live"
)

// A Page is a page of farms, with the state of all farms. Every key is always there, and lists are never null.
type Page struct {
	Time    time.Time      `json:"time"`
	Rules   live.Rules     `json:"rules"`
	Load    live.LoadFacts `json:"load"`
	Agree   bool           `json:"agree"`   // the kernel has the rules of the files
	Blocked string         `json:"blocked"` // why apply would not load the files; "": it would
	Trial   *float64       `json:"trial"`   // seconds to confirm the load; null: it needs none

	Pending     []string `json:"pending"` // changes that are not applied, one sentence each
	MorePending int      `json:"morePending"`
	Faults      []Fault  `json:"faults"`
	MoreFaults  int      `json:"moreFaults"`
	Findings    int      `json:"findings"` // about the machine, at the last look of farmc watch
	NoBytes     string   `json:"noBytes"`  // why no bytes per second are known; "": they are

	Groups   map[Group]int `json:"groups"`   // farms of each group
	Backends int           `json:"backends"` // of all farms that were loaded
	Serving  int           `json:"serving"`  // backends that take new connections
	Sums     Numbers       `json:"sums"`     // of all farms

	Found int   `json:"found"` // farms of the search and the group
	Page  int   `json:"page"`  // from 1
	Pages int   `json:"pages"`
	Farms []Row `json:"farms"` // of the page
}

// maxItems is the number of faults and pending changes in a page.
const maxItems = 100

// A Fault is a fault in the files, with the lines around it.
type Fault struct {
	live.FarmFault
	Excerpt []string `json:"excerpt"` // empty: the fault has no line
	First   int      `json:"first"`   // number of the first line of the excerpt
}

// A Row is a farm in short.
type Row struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Mode        string         `json:"mode"`
	Listen      []string       `json:"listen"`
	Condition   live.Condition `json:"condition"` // "": the farm was not loaded
	Group       Group          `json:"group"`
	Problems    []string       `json:"problems"` // in words, the worst first; three at most
	More        int            `json:"moreProblems"`
	Backends    int            `json:"backends"`
	Serving     int            `json:"serving"` // backends that take new connections
	Numbers
}

// Numbers are the numbers of a farm, a backend or all farms at the last sample, and their course before it. A number is
// null if it is not known, or not counted.
type Numbers struct {
	Open    *int     `json:"open"`            // open tracked connections
	New     *float64 `json:"newPerSecond"`    // new connections
	Denied  *float64 `json:"deniedPerSecond"` // packets denied or over a limit
	Bytes   *float64 `json:"bytesPerSecond"`  // of tracked connections, in both directions
	Trend   Trend    `json:"trend"`           // in the last hour
	History Trend    `json:"history"`         // since the start of farmc watch
}

// A Trend is the course of numbers, the oldest first, 96 points at most, of the same length. A point is the mean of the
// samples in it; null: the number was not known. A list ends with the last sample, and begins when its number was known
// first.
type Trend struct {
	Seconds float64    `json:"seconds"` // from the first point of the longest list to the last one
	Step    float64    `json:"step"`    // seconds of a point
	Open    []*float32 `json:"open"`
	New     []*float32 `json:"newPerSecond"`
	Denied  []*float32 `json:"deniedPerSecond"`
	Bytes   []*float32 `json:"bytesPerSecond"`
	Serving []*float32 `json:"serving"` // backends that take new connections
}

// A Farm has the details of a farm.
type Farm struct {
	Name    string          `json:"name"`
	Keys    json.RawMessage `json:"farm"` // of the files, merged; null: the file is not TOML, or there is none
	Sources []string        `json:"sources"`
	Loaded  bool            `json:"loaded"` // as the files describe it
	Faults  []Fault         `json:"faults"`
	Row     Row             `json:"row"`
	Panic   string          `json:"panic"` // why unhealthy backends serve; "": they do not

	HeldBack map[string]uint64 `json:"heldBack"` // packets denied or over a limit, by reason
	LetPass  map[string]uint64 `json:"letPass"`  // packets over a limit that verdict "log" let pass, by reason
	Banned   []live.BanStatus  `json:"banned"`   // the first hundred
	Bans     int               `json:"bans"`     // number of banned clients
	MayBan   bool              `json:"mayBan"`   // the farm takes bans
	NoBytes  string            `json:"noBytes"`  // why no bytes per second are known; "": they are

	Backends []Backend `json:"backends"`
}

// A Backend is a backend with the course of its numbers.
type Backend struct {
	live.BackendStatus
	BytesPerSecond *float64 `json:"bytesPerSecond"` // of tracked connections, in both directions
	Trend          Trend    `json:"trend"`          // in the last hour
	History        Trend    `json:"history"`        // since the start of farmc watch
}

// A Change is a change of the state, the weight or the health of a backend, or of a farm.
type Change struct {
	Time    time.Time `json:"time"`
	Farm    string    `json:"farm"`
	Backend string    `json:"backend"` // "": the farm
	Kind    string    `json:"kind"`    // of the event
	Words   string    `json:"words"`
	By      string    `json:"by"` // the command or the checker; "": unknown
	Worse   bool      `json:"worse"`
}

// Changes are the last changes, the newest first.
type Changes struct {
	Since   time.Time `json:"since"` // start of farmc watch: older changes are not known
	Changes []Change  `json:"changes"`
}
