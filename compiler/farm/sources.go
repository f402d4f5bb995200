package farm

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/slots"
	"farmc/compiler/toml"
)

// A SourceRange is the addresses of one family from which connections leave to a backend. The zero SourceRange has
// none.
type SourceRange struct{ First, Last netip.Addr }

// Sources hold at most one range of each family.
type Sources [len(addr.Families)]SourceRange

// Has reports whether there are addresses of the family.
func (s Sources) Has(f addr.Family) bool { return s[f].First.IsValid() }

// MaxSources is the largest number of addresses of a range. Each has 64,000 ports towards a backend.
const MaxSources = 256

// maxSourceSlots is the number of slots of a backend with a range of its own. With ranges of different sizes the shares
// of the addresses are exact if a common multiple of the sizes is not larger, else to one part in four.
const maxSourceSlots = 4 * MaxSources

// SourceSlots gives the number of slots that each backend has for the addresses of its range: a multiple of the sizes
// of all ranges, if it is not too large.
func SourceSlots(backends []Backend, family addr.Family) int {
	number := 1
	for i := range backends {
		if n := backends[i].Source[family].size(); number%n != 0 {
			number = number / slots.GreatestDivisor(number, n) * n
		}
		if number > maxSourceSlots {
			return maxSourceSlots
		}
	}
	return number
}

// Single reports whether there is one address.
func (r SourceRange) Single() bool { return r.First == r.Last }

// All gives the addresses.
func (r SourceRange) All() (out []netip.Addr) {
	for a := r.First; a.IsValid() && !r.Last.Less(a); a = a.Next() {
		out = append(out, a)
	}
	return out
}

// size is the number of addresses, up to MaxSources. The two last bytes tell it.
func (r SourceRange) size() int {
	end := func(a netip.Addr) uint16 { return binary.BigEndian.Uint16(a.AsSlice()[a.BitLen()/8-2:]) }
	return int(end(r.Last)-end(r.First)) + 1
}

// String writes the range as a farm does.
func (r SourceRange) String() string {
	if r.Single() {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// String writes the ranges as a farm does.
func (s Sources) String() string {
	var words []string
	for _, f := range addr.Families {
		if s.Has(f) {
			words = append(words, s[f].String())
		}
	}
	return strings.Join(words, ", ")
}

// masquerade stands for the source address that the kernel finds when a packet leaves.
const masquerade = "masquerade"

// readSource reads source-address of a farm. The word masquerade stands for each family without an address.
func readSource(t *toml.Table, f *Farm) {
	words := t.Words("source-address")
	isMasquerade := func(w toml.Word) bool { return w.Text == masquerade }
	f.Source = parseSources(t, slices.DeleteFunc(slices.Clone(words), isMasquerade))
	if first := slices.IndexFunc(words, isMasquerade); first >= 0 {
		f.Masquerade = true
		if again := slices.IndexFunc(words[first+1:], isMasquerade); again >= 0 {
			t.Fault(words[first+1+again].Place, "", "source-address: masquerade stands here twice")
		}
	}
}

// readBackendSource reads source-address of a backend.
func readBackendSource(t *toml.Table, key string) Sources { return parseSources(t, t.Words(key)) }

// sources describes source-address.
func (f *Farm) sources() string {
	if f.Masquerade {
		return strings.TrimPrefix(f.Source.String()+", "+masquerade, ", ")
	}
	return f.Source.String()
}

func parseSources(t *toml.Table, words []toml.Word) (out Sources) {
	for _, w := range words {
		n, err := addr.ParseNetwork(w.Text)
		family := addr.FamilyOf(n.First)
		switch r := (SourceRange{n.First, n.Last}); {
		case err != nil || strings.Contains(w.Text, "/"):
			if err == nil {
				_, err = addr.ParseAddress(w.Text)
			}
			t.Fault(w.Place, `an address or a range: "10.2.0.1" or "10.2.0.2-10.2.0.9"`, "source-address: %v", err)
		case !reachable(r.First) || !reachable(r.Last):
			t.Fault(w.Place, "", "source-address: %s is not an address that packets can be sent to from here", r)
		case out.Has(family):
			t.Fault(w.Place, "at most one of each family; addresses that follow each other are a range",
				"source-address: a second %s address", family)
		case r.count() > MaxSources:
			t.Fault(w.Place, "", "source-address: more than %d addresses in %s", MaxSources, r)
		default:
			out[family] = r
		}
	}
	return out
}

// count counts the addresses, up to more than MaxSources.
func (r SourceRange) count() (n int) {
	for a := r.First; a.IsValid() && !r.Last.Less(a) && n <= MaxSources; a = a.Next() {
		n++
	}
	return n
}

// TakesAnyPort reports whether connections to the frontend leave in mode snat from any source port, which saves the
// kernel the search for the client's own one; serving is the number of backends that get new clients. A connection that
// connection tracking has forgotten goes on only from the port that it had, and only if its backend is picked again. So
// ports stay where a backend is picked again, and of UDP, where a port can name a client.
func (d *Frontend) TakesAnyPort(serving int) bool {
	f := d.Farm
	return f.Mode == SNAT && d.Protocol == TCP && serving > 1 && f.Persistence == nil && f.Helper == "" &&
		!f.Scheduler.Deterministic()
}
