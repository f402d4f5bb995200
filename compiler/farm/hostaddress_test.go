package farm

import (
	"strings"
	"testing"
)

// The name of an address has one form, so that a drop-in and a word are about the same backend.
func TestSplitAddressName(t *testing.T) {
	for name, want := range map[string]string{
		"app@10.0.0.11": "app", "app@fd00::11": "app", "a.b-c@10.0.0.1": "a.b-c",
		"app": "", "@10.0.0.11": "", "app@": "", "app@10.0.0.011": "", "app@FD00::11": "", "app@fd00:0::11": "",
		"app@fe80::1%eth0": "", "app@10.0.0.11@10.0.0.11": "", "a b@10.0.0.11": "", "app@10.0.0.11:80": "",
		strings.Repeat("a", LongestName+1) + "@10.0.0.11": "",
	} {
		if backend, _, ok := SplitAddressName(name); ok != (want != "") || ok && backend != want {
			t.Errorf("%q is an address of %q: %t", name, backend, ok)
		}
	}
}
