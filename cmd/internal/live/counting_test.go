package live

import (
	"testing"
	"testing/fstest"
	"time"

	"farmc/cmd/internal/machine"
	"farmc/cmd/internal/statedir"
	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/reload"
	"farmc/compiler/ruleset"
)

// The time of a count is that of the backend's first load. It is unknown in a table that another program made, and that
// of the boot after a boot.
func TestCountingSince(t *testing.T) {
	const b1, b2 = "\n[backends.b1]\naddress = '10.0.0.11'\n", "[backends.b2]\naddress = '10.0.0.12'\n"
	first := time.Date(2026, 6, 2, 9, 0, 0, 0, time.UTC)
	second := first.Add(time.Hour)
	one, two := scriptOf(t, "listen = '192.0.2.1:80'"+b1), scriptOf(t, "listen = '192.0.2.1:80'"+b1+b2)

	var c counting
	c.adopt(7, &Plan{Script: one}, first)
	more := &Plan{Script: two, table: 7, kernelDigest: "x", Before: statedir.LastLoad{Farms: farm.Describe(one.Farms)}}
	c.adopt(8, more, second) // a full load
	wantSince(t, c.of(8), first, second)
	if other := c.of(9); !other.since("web", "b1").IsZero() {
		t.Errorf("in another table b1 counts since %s", other.since("web", "b1"))
	}

	c.Boot = "another boot"
	if since := c.of(8).since("web", "b1"); since.Sub(machine.BootTime()).Abs() > time.Second {
		t.Errorf("after a boot b1 counts since %s", since)
	}

	c.Boot, more.table = machine.BootID(), 9 // made by another program
	c.adopt(10, more, second)
	if since := c.of(10).since("web", "b1"); !since.IsZero() {
		t.Errorf("counts of another program begin at %s", since)
	}
}

// The count of a backend without an element is kept as long as the backend is in the farm.
func TestCountingEarlier(t *testing.T) {
	const b1, b2 = "\n[backends.b1]\naddress = '10.0.0.11'\n", "[backends.b2]\naddress = '10.0.0.12'\n"
	two, one := scriptOf(t, "listen = '192.0.2.1:80'"+b1+b2), scriptOf(t, "listen = '192.0.2.1:80'"+b1)
	c := counting{Table: 7, Boot: machine.BootID(), Since: time.Unix(1, 0)}
	p := &Plan{Script: two, table: 7, kernelDigest: "x", Before: statedir.LastLoad{Farms: farm.Describe(two.Farms)}}
	p.uncounted = []reload.Uncounted{{Farm: "web", Address: "10.0.0.12", Packets: 3},
		{Farm: "web", Name: "b2", Packets: 2}, {Farm: "web", Name: "gone", Packets: 1}}
	c.adopt(7, p, time.Unix(2, 0))
	if got := c.Earlier["web"]; len(got) != 1 || got["b2"] != 5 {
		t.Errorf("earlier counts are %v", got)
	}
	p = &Plan{Script: one, table: 7, kernelDigest: "x", Before: p.Before}
	c.adopt(7, p, time.Unix(3, 0))
	if got := c.Earlier["web"]; len(got) != 0 {
		t.Errorf("earlier counts of a backend that is gone are %v", got)
	}
}

func scriptOf(t *testing.T, text string) *ruleset.Script {
	t.Helper()
	files := fstest.MapFS{"web.toml": {Data: []byte(text)}}
	script, told := compiler.Compile([]farm.Dir{{FS: files}})
	if told.Faulty() {
		t.Fatal(told)
	}
	return script
}

func wantSince(t *testing.T, c counting, b1, b2 time.Time) {
	t.Helper()
	if got := c.since("web", "b1"); !got.Equal(b1) {
		t.Errorf("b1 counts since %s, want %s", got, b1)
	}
	if got := c.since("web", "b2"); !got.Equal(b2) {
		t.Errorf("b2 counts since %s, want %s", got, b2)
	}
}

func TestCompareNatural(t *testing.T) {
	inOrder := []string{"a", "web", "web02", "web2", "web2-1", "web2-10", "web02x", "web10", "x"}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if got := CompareNatural(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s and %s compare as %d", a, b, got)
			}
		}
	}
}
