package source

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"

	"farmc/compiler/farm"
)

// The beginnings of the names of farmc's own drop-ins, one for each backend. Drop-ins are merged in the order of their
// names, so farmc's override those of other programs, and health words override states.
const (
	stateDropIns  = "zz-farmc"
	healthDropIns = "zz-farmc.health"
	weightDropIns = "zz-farmc.weight"
)

// The ends of these beginnings. A name for an address of a hostname has an end of its own, so it is never that of
// another backend.
const (
	ofBackend = "-"
	ofAddress = ".at-"
)

// maxDropInName is the longest name that a drop-in may have.
const maxDropInName = 48

// digestEnd is the end of a name that ends with a digest.
var digestEnd = regexp.MustCompile(`\.[0-9a-f]{12}$`)

// ownDropIn returns the name of a drop-in of farmc. A long name of a backend ends with a digest, and so does one that
// looks like that, so no two of the names are alike. The name for an address always ends with a digest, as a file
// cannot have its characters.
func ownDropIn(beginning, of, backend string) string {
	if _, _, isAddress := farm.SplitAddressName(backend); isAddress {
		plain := strings.NewReplacer("@", "_", ":", "-").Replace(backend)
		return of + ".toml.d/" + digested(beginning+ofAddress+plain, backend) + ".toml"
	}
	name := beginning + ofBackend + backend
	if len(name) > maxDropInName || len(name) == maxDropInName && digestEnd.MatchString(name) {
		name = digested(name, backend)
	}
	return of + ".toml.d/" + name + ".toml"
}

// digested returns a name that ends with the digest of the backend.
func digested(name, backend string) string {
	sum := sha256.Sum256([]byte(backend))
	digest := "." + hex.EncodeToString(sum[:6])
	return name[:min(len(name), maxDropInName-len(digest))] + digest
}

// OwnDropIns returns the names of all drop-ins that farmc writes about a backend.
func OwnDropIns(farm, backend string) []string {
	return []string{StateDropIn(farm, backend), HealthDropIn(farm, backend), WeightDropIn(farm, backend)}
}

// IsOwnDropIn reports whether a path is that of a drop-in that a command, a request or a checker wrote.
func IsOwnDropIn(file string) bool {
	base := path.Base(file)
	return strings.HasPrefix(base, stateDropIns) || strings.HasPrefix(base, healthDropIns) ||
		strings.HasPrefix(base, weightDropIns)
}

// StateDropIn returns the name of the drop-in for the state of a backend.
func StateDropIn(farm, backend string) string { return ownDropIn(stateDropIns, farm, backend) }

// HealthDropIn returns the name of the drop-in for the health words about a backend.
func HealthDropIn(farm, backend string) string { return ownDropIn(healthDropIns, farm, backend) }

// IsHealthDropIn reports whether a path is that of a drop-in for health words.
func IsHealthDropIn(file string) bool {
	rest, isHealth := strings.CutPrefix(path.Base(file), healthDropIns)
	return isHealth && (strings.HasPrefix(rest, ofBackend) || strings.HasPrefix(rest, ofAddress))
}

// HealthFarms returns the farms with drop-ins for health words, sorted.
func (s *Files) HealthFarms() (farms []string) {
	for _, p := range s.Paths() {
		farm := strings.TrimSuffix(Item(p), ".toml")
		if IsHealthDropIn(p) && (len(farms) == 0 || farms[len(farms)-1] != farm) {
			farms = append(farms, farm)
		}
	}
	slices.Sort(farms)
	return slices.Compact(farms)
}

// HealthDropInsOfAddresses returns the names of the drop-ins for health words about addresses of hostnames of a farm.
func (s *Files) HealthDropInsOfAddresses(farm string) (names []string) {
	for _, p := range s.Paths() {
		name := path.Base(p)
		if Item(p) == farm+".toml" && strings.HasPrefix(name, healthDropIns+ofAddress) {
			names = append(names, farm+".toml.d/"+name)
		}
	}
	return names
}

// WeightDropIn returns the name of the drop-in for the weight of a backend.
func WeightDropIn(farm, backend string) string { return ownDropIn(weightDropIns, farm, backend) }
