package nftlb

import (
	"fmt"
	"net/http"
	"strings"
)

// A Request is a request of a client.
type Request struct {
	Verb    string
	Path    []string // the parts of the path, such as "farms", "web"
	Body    []byte
	Lenient bool // take values that have no effect, with the words of nftlb
	Twice   bool // take a name that stands twice in an object
}

// An Answer is the reply to a request.
type Answer struct {
	Status  int
	Text    string // of the reply to a change
	Listing []byte // of GET; nil: a change
	State   *State // after the request; the one before, if it failed

	Warnings []Warning // of a change that succeeded
}

// A Warning is an effect of a request on an object that the request did not name.
type Warning struct {
	Farm string // "": another object
	Key  string
	What string
}

// OK reports whether the request succeeded.
func (a Answer) OK() bool { return a.Status < 300 }

// A request is a request under way.
type request struct {
	*State
	lenient, twice bool
	removes        bool // the elements in the body are removed
	notes          strings.Builder
	warnings       []Warning
	doubtful       bool // a value has no effect
	status         int  // of the error that ended the request; 0: none
	message        string
	farm           *Farm
	backend        *Backend
	address        *Address
	policy         *Policy
	client         string
}

// Do does a request. The state stays as it is; the answer has the new one.
func (s *State) Do(r Request) Answer {
	if r.Verb == http.MethodGet {
		return s.get(r)
	}
	q := &request{State: s.Clone(), lenient: r.Lenient, twice: r.Twice}
	q.do(r)
	if q.status == 0 && q.doubtful && !r.Lenient {
		q.stop(http.StatusBadRequest, "")
	}
	if q.status != 0 {
		return Answer{Status: q.status, Text: q.reply(), State: s}
	}
	for _, f := range q.Farms {
		if q.State.misfit(f) && (s.Farm(f.Name) == nil || !s.misfit(s.Farm(f.Name))) {
			q.doubt(". Farm '%s' doesn't validate helper protocol", f.Name)
		}
	}
	return Answer{Status: http.StatusOK, Text: "success" + q.notes.String(), State: q.State, Warnings: q.warnings}
}

func (q *request) do(r Request) {
	r.Path = append(r.Path, "", "", "", "", "")
	switch {
	case r.Path[0] != "farms" && r.Path[0] != "policies" && r.Path[0] != "addresses":
		q.refuse(http.StatusNotFound, invalidRequest)
	case r.Verb == http.MethodPost || r.Verb == http.MethodPut:
		if r.Path[1] != "" {
			q.refuse(http.StatusNotFound, invalidRequest)
			return
		}
		q.load(r.Body)
	case r.Verb == http.MethodPatch:
		q.patch(r.Path, r.Body)
	case r.Verb == http.MethodDelete && len(r.Body) > 0 && r.Path[1] == "":
		q.removes = true
		q.load(r.Body)
	case r.Verb == http.MethodDelete:
		q.remove(r.Path)
	default:
		q.refuse(http.StatusMethodNotAllowed, invalidRequest)
	}
}

const invalidRequest = "invalid request"

// doubt notes that a value has no effect.
func (q *request) doubt(format string, args ...any) {
	q.doubtful = true
	fmt.Fprintf(&q.notes, format, args...)
}

// warn notes an effect on an object that the request does not name.
func (q *request) warn(farm, key, what string) {
	q.warnings = append(q.warnings, Warning{farm, key, what})
}

// stop ends the request with an error and a note. The first error counts.
func (q *request) stop(status int, format string, args ...any) {
	message := "error parsing buffer"
	if status == http.StatusNotFound {
		message = "the object to modify is unknown"
	}
	if q.status == 0 {
		fmt.Fprintf(&q.notes, format, args...)
		q.refuse(status, message)
	}
}

// refuse ends the request with an error.
func (q *request) refuse(status int, message string) {
	if q.status == 0 {
		q.status, q.message = status, message
	}
}

func (q *request) reply() string { return q.message + q.notes.String() }

// misfit reports whether the helper of a farm does not fit the protocol of an address.
func (s *State) misfit(f *Farm) bool {
	for _, name := range f.Addresses {
		a := s.Address(name)
		if a != nil && !fits(f.Values["helper"], a.Values["protocol"]) {
			return true
		}
	}
	return false
}

// fits reports whether a helper reads a protocol.
func fits(helper, protocol string) bool {
	switch helper {
	case "ftp", "pptp":
		return protocol == "tcp"
	case "tftp", "snmp":
		return protocol == "udp"
	case "sip":
		return protocol != "sctp"
	}
	return true
}
