package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Record is the last good answer about a hostname, and the failure since then.
type Record struct {
	Addresses []netip.Addr `json:"addresses"`         // sorted; none before the first good answer
	Refused   []Refused    `json:"refused,omitempty"` // addresses of the last reply that are not used
	Reason    string       `json:"reason,omitempty"`  // why the last question failed; "": it did not
	Since     time.Time    `json:"since,omitzero"`    // the first failure since the last good answer
	Next      time.Time    `json:"next,omitzero"`     // the next question
}

// A Refused is an address that an answer must not have.
type Refused struct {
	Address netip.Addr `json:"address"`
	Reason  string     `json:"reason"`
}

// A reply is the result of asking for a hostname once, for each family.
type reply struct {
	families []familyReply
}

// A familyReply is the result for one family. Without addresses and error the name exists, but not in this family.
type familyReply struct {
	is4       bool
	addresses []netip.Addr
	ttl       time.Duration
	err       error
}

var (
	errNoAddress = errors.New("the name has no address")
	errTooMany   = fmt.Errorf("farms have more than %d hostnames", maxNames)
)

// ttl returns the shortest time that an answer is good for.
func (r reply) ttl() time.Duration {
	shortest := time.Duration(-1)
	for _, f := range r.families {
		if f.err == nil && len(f.addresses) > 0 && (shortest < 0 || f.ttl < shortest) {
			shortest = f.ttl
		}
	}
	return shortest
}

// after returns the record after a reply. A family whose question failed keeps its addresses, and so do both if the
// reply has no address that is fit.
func (r Record) after(got reply, now time.Time, refuse func(netip.Addr) string) Record {
	next := Record{}
	var failed error
	for _, f := range got.families {
		if f.err != nil {
			failed = f.err
			next.Addresses = append(next.Addresses, slices.DeleteFunc(slices.Clone(r.Addresses),
				func(a netip.Addr) bool { return a.Is4() != f.is4 })...)
			continue
		}
		for _, a := range f.addresses {
			if why := refuse(a); why != "" {
				next.Refused = append(next.Refused, Refused{a, why})
			} else {
				next.Addresses = append(next.Addresses, a)
			}
		}
	}
	slices.SortFunc(next.Addresses, netip.Addr.Compare)
	next.Addresses = slices.Compact(next.Addresses)
	slices.SortFunc(next.Refused, func(a, b Refused) int { return a.Address.Compare(b.Address) })
	switch {
	case len(next.Addresses) == 0 && failed == nil:
		failed = errNoAddress
		if len(next.Refused) > 0 {
			failed = errors.New(refusals(next.Refused))
		}
		fallthrough
	case len(next.Addresses) == 0:
		next.Addresses = r.Addresses
	}
	if failed == nil {
		return next
	}
	next.Since = r.Since
	return next.failed(now, failed)
}

// failed returns the record after a failure.
func (r Record) failed(now time.Time, err error) Record {
	r.Reason = err.Error()
	if r.Since.IsZero() {
		r.Since = now.UTC().Truncate(time.Second)
	}
	return r
}

// refusals says which addresses an answer has, if all of them are refused.
func refusals(refused []Refused) string {
	words := make([]string, 0, 4)
	for _, one := range refused[:min(len(refused), 3)] {
		words = append(words, fmt.Sprintf("%s is %s", one.Address, one.Reason))
	}
	return "no address of the answer is fit: " + strings.Join(words, ", ")
}

// same reports whether two records differ in times alone.
func (r Record) same(other Record) bool {
	return slices.Equal(r.Addresses, other.Addresses) && slices.Equal(r.Refused, other.Refused) &&
		r.Reason == other.Reason
}
