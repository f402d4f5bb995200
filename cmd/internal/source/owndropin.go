package source

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The beginnings of the names of farmc's own drop-ins, one for each backend. Drop-ins are merged in the order of their
// names, so farmc's override those of other programs, and health words override states.
const (
	stateDropIns  = "zz-farmc-"
	healthDropIns = "zz-farmc.health-"
	weightDropIns = "zz-farmc.weight-"
)

// maxDropInName is the longest name that a drop-in may have.
const maxDropInName = 48

// digestEnd is the end of a name that ends with a digest.
var digestEnd = regexp.MustCompile(`\.[0-9a-f]{12}$`)

// ownDropIn returns the name of a drop-in of farmc. A long name of a backend ends with a digest, and so does one that
// looks like that, so no two of the names are alike.
func ownDropIn(beginning, farm, backend string) string {
	name := beginning + backend
	if len(name) > maxDropInName || len(name) == maxDropInName && digestEnd.MatchString(name) {
		sum := sha256.Sum256([]byte(backend))
		digest := "." + hex.EncodeToString(sum[:6])
		name = name[:maxDropInName-len(digest)] + digest
	}
	return farm + ".toml.d/" + name + ".toml"
}

// OwnDropIns returns the names of all drop-ins that farmc writes about a backend.
func OwnDropIns(farm, backend string) []string {
	return []string{StateDropIn(farm, backend), HealthDropIn(farm, backend), WeightDropIn(farm, backend)}
}

// StateDropIn returns the name of the drop-in for the state of a backend.
func StateDropIn(farm, backend string) string { return ownDropIn(stateDropIns, farm, backend) }

// HealthDropIn returns the name of the drop-in for the health words about a backend.
func HealthDropIn(farm, backend string) string { return ownDropIn(healthDropIns, farm, backend) }

// IsHealthDropIn reports whether a path is that of a drop-in for health words.
func IsHealthDropIn(file string) bool { return strings.HasPrefix(path.Base(file), healthDropIns) }

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

// WeightDropIn returns the name of the drop-in for the weight of a backend.
func WeightDropIn(farm, backend string) string { return ownDropIn(weightDropIns, farm, backend) }
