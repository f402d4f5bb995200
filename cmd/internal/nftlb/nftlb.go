// Package nftlb knows the objects of nftlb 1.1: farms, backends, addresses, policies and sessions, how its JSON API
// changes and lists them, and the documents of farmc that stand for them.
//
// The package knows documents of farms (package edit). It must not know HTTP, directories of farms, nft or loading.
//
// Files, in the order to read them: nftlb.go has State and the objects; sharing.go lets states share objects, and finds
// these by name; attributes.go is the table of all attributes, which reading, listing and saving use; values.go reads
// values. request.go does a request: body.go is POST, PUT and PATCH, with body_farm.go and others for the objects,
// remove.go is DELETE, list.go and sessions.go are GET. tokens.go reads JSON in its order, elements.go joins networks.
// document.go makes farmc's documents of farms, with document_listen.go and others for their keys, meaning.go has the
// keys that need more than a table, and saved.go an annotation for attributes without a key. restore.go and derive.go
// read the documents back. filter.go has the filters of addresses without a farm. change.go compares two states.
// import.go and export.go are the ways from and to files.
//
// Be aware:
//   - nftlb applies a body key by key, and some keys change others. So the order of a document counts.
//   - A value is kept as nftlb lists it: "srcip srcport " or "10/minute".
//   - Clients read listings by regular expressions, so their bytes count, too.
package nftlb

import (
	"slices"
	"strconv"
)

// A State has all objects, in the order in which they were made.
type State struct {
	Farms     []*Farm
	Policies  []*Policy
	Addresses []*Address

	places places
	mine   map[any]bool    // the objects that no other state has
	last   int             // the largest order; 0: not known
	marked map[uint64]bool // the marks of backends; nil: not known
	free   uint64          // no lower mark is free
	idle   map[string]bool // farms that filter for addresses, and that farmc refuses
}

// Values are the attributes of an object that have a value, by their names.
type Values map[string]string

// A Farm is a service. Its addresses are shared objects, and have family, address, ports and protocol.
type Farm struct {
	Name      string
	Values    Values
	Addresses []string
	Backends  []*Backend
	Policies  []string
	Sessions  []Session // fixed ones
	kept      kept      // of the document, without a place in nftlb
	order     int       // of making; 0: a person made it
	own       bool      // a client of the API made it
	aside     bool      // it is in a file that farmc does not read, as it is incomplete
	refused   bool      // farmc refuses it, so it has to go aside
}

// A kept has entries of a document that nftlb has no place for. They stay as long as a person leaves them.
type kept struct {
	access    map[string][]any // entries of its keys that are no policies
	allow     bool             // allow stands without deny
	denyFirst bool
	occasions []any // to log
}

// A Backend is a server of a farm.
type Backend struct {
	Name   string
	Values Values
	Marked bool // a request asked for the mark; else the mark is a number of its own in listings alone
}

// An Address is a listener.
type Address struct {
	Name     string
	Values   Values
	Policies []string
	written  string // entry of listen in a document; "": none
	order    int
}

// A Policy is a list of networks that is denied or allowed.
type Policy struct {
	Name     string
	Values   Values
	Elements []string
	order    int
	own      bool
}

// A Session binds a client to a backend.
type Session struct {
	Client  string `json:"c"`
	Backend string `json:"b"`
}

// Farm returns the farm of a name; nil if there is none.
func (s *State) Farm(name string) *Farm {
	return at(s.Farms, s.farmAt(name))
}

// Policy returns the policy of a name; nil if there is none.
func (s *State) Policy(name string) *Policy {
	return at(s.Policies, s.policyAt(name))
}

// Address returns the address of a name; nil if there is none.
func (s *State) Address(name string) *Address {
	return at(s.Addresses, s.addressAt(name))
}

// Backend returns the backend of a name; nil if there is none.
func (f *Farm) Backend(name string) *Backend {
	return at(f.Backends, slices.IndexFunc(f.Backends, func(b *Backend) bool { return b.Name == name }))
}

// first returns the address that a farm lists as its own; nil if it has none.
func (s *State) first(f *Farm) *Address {
	if len(f.Addresses) == 0 {
		return nil
	}
	return s.Address(f.Addresses[0])
}

// next returns the order of a new object.
func (s *State) next() int {
	if s.last == 0 {
		for _, f := range s.Farms {
			s.last = max(s.last, f.order)
		}
		for _, p := range s.Policies {
			s.last = max(s.last, p.order)
		}
		for _, a := range s.Addresses {
			s.last = max(s.last, a.order)
		}
	}
	s.last++
	return s.last
}

// users returns the number of farms with each address.
func (s *State) users() map[string]int {
	n := make(map[string]int, len(s.Addresses))
	for _, f := range s.Farms {
		for _, a := range f.Addresses {
			n[a]++
		}
	}
	return n
}

// Number returns a value as a number; 0 if it is none.
func (v Values) Number(key string) int {
	n, _ := strconv.Atoi(v[key])
	return n
}

// mark returns a mark; 0 if there is none.
func (v Values) mark() uint64 {
	n, _ := strconv.ParseUint(v["mark"], 0, 32)
	return n
}

// freeMark returns the lowest mark that no backend has, and takes it.
func (s *State) freeMark() uint64 {
	if s.marked == nil {
		s.marked = map[uint64]bool{}
		for _, f := range s.Farms {
			for _, b := range f.Backends {
				s.marked[b.Values.mark()] = true
			}
		}
	}
	for s.free++; s.marked[s.free]; s.free++ {
	}
	s.marked[s.free] = true
	return s.free
}

// largestMark is the largest mark of a backend that a request can ask for.
const largestMark = 0xfff

func hex(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }
