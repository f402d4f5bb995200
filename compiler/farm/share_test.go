package farm

import "testing"

func TestShares(t *testing.T) {
	const text = "listen = ['192.0.2.10:80', '[2001:db8::10]:80']\n[backends.b1]\naddress = ['10.0.0.11', " +
		"'fd00::11']\nweight = 3\n[backends.b2]\naddress = ['10.0.0.12', 'fd00::12']\n[backends.b3]\naddress = " +
		"'10.0.0.13'\npriority = 2"
	f := farmsOf(t, map[string]string{"web": text})[0]
	if got := f.Shares(); len(got) != 2 || got["b1"] != 0.75 || got["b2"] != 0.25 {
		t.Errorf("got %v", got)
	}
}
