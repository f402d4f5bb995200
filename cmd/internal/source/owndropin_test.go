package source

import (
	"path"
	"strings"
	"testing"

	"farmc/compiler/farm"
)

// The names of farmc's own drop-ins differ for all backends, are valid, and have the order state, health, weight.
func TestOwnDropInsDoNotCollide(t *testing.T) {
	long := strings.Repeat("b", 40)
	longest := strings.Repeat("c", 96)
	likeShort := strings.TrimSuffix(strings.TrimPrefix(path.Base(StateDropIn("web", longest)), "zz-farmc-"), ".toml")
	backends := []string{longest, likeShort, "b.example.com", "health-b.x",
		"b", "health-b", "health-health-b", "weight-b", "farmc-b", "zz-farmc-b", "B", "b_", "b-", "b1",
		"at-b", "health.at-b", "b@10.0.0.1", "b@10.0.0.11", "b@fd00::1", "b@fd00::1:0", "b-@10.0.0.1", "b_@10.0.0.1",
		long + "@10.0.0.1", long + "@10.0.0.2", "b_10.0.0.1", "at-b_10.0.0.1.dee2ee7ea1ac",
		long, long + "12345678", long + "12345679", "health-" + long + "1", "weight-" + long + "1"}
	seen := map[string]string{}
	for _, b := range backends {
		if _, _, isAddress := farm.SplitAddressName(b); !isAddress && !farm.IsName(b) {
			t.Fatalf("%s is no name of a backend", b)
		}
		state := path.Base(StateDropIn("web", b))
		for _, name := range []string{state, path.Base(HealthDropIn("web", b)),
			path.Base(WeightDropIn("web", b))} {
			if other := seen[name]; other != "" {
				t.Errorf("%s is a drop-in for %s and for %s", name, other, b)
			}
			seen[name] = b
			if stem := strings.TrimSuffix(name, ".toml"); !farm.IsName(stem) {
				t.Errorf("%s cannot be the name of a drop-in", name)
			}
		}
		if IsHealthDropIn(state) || state > path.Base(HealthDropIn("web", b)) {
			t.Errorf("the state of %s overrides its health", b)
		}
		if health := HealthDropIn("web", b); !IsHealthDropIn("/run/farmc/farms.d/" + health) {
			t.Errorf("%s is not known as a drop-in for health words", health)
		}
	}
}
