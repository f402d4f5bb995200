package farm

import (
	"maps"
	"testing"
)

func TestShares(t *testing.T) {
	const text = "listen = ['192.0.2.10:80', '[2001:db8::10]:80']\n[backends.b1]\naddress = ['10.0.0.11', " +
		"'fd00::11']\nweight = 3\n[backends.b2]\naddress = ['10.0.0.12', 'fd00::12']\n[backends.b3]\naddress = " +
		"'10.0.0.13'\npriority = 2"
	f := farmsOf(t, map[string]string{"web": text})[0]
	if got := f.Shares(); len(got) != 2 || got["b1"] != 0.75 || got["b2"] != 0.25 {
		t.Errorf("got %v", got)
	}
}

// A backend has its share among the backends of its own families, also if the farm has backends of the other family.
func TestSharesOfEachFamily(t *testing.T) {
	const text = "listen = ['192.0.2.10:80', '[2001:db8::10]:80']\n[backends]\nfour.address = '10.0.0.11'\n" +
		"six.address = 'fd00::11'\nsix.weight = 3\nboth.address = ['10.0.0.12', 'fd00::12']\n" +
		"spare.address = 'fd00::13'\nspare.priority = 2\n"
	f := farmsOf(t, map[string]string{"web": text})[0]
	if got, want := f.Shares(), map[string]float64{"four": 0.5, "both": 0.5, "six": 0.75}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
