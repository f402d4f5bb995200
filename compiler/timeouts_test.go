package compiler_test

import (
	"slices"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// TestMachineTimeouts: on a machine that forgets half-closed connections within the hour, each farm of TCP gets an
// hour, beside the other times of the machine.
func TestMachineTimeouts(t *testing.T) {
	const plain, udp = "listen = '192.0.2.1:80'\n", "listen = '192.0.2.1:80/udp'\n"
	const object = "tcp/close_wait-3600"
	for _, c := range []struct {
		rule    string
		keys    string
		machine map[string]int
		object  string // "": none
		policy  string
	}{
		{"unknown machine", plain, nil, "", ""},
		{"the kernel's defaults", plain, map[string]int{"close_wait": 60}, object, "close_wait : 3600"},
		{"longer on the machine", plain, map[string]int{"close_wait": 3600}, "", ""},
		{"other times of the machine", plain, map[string]int{"close_wait": 60, "established": 900},
			"tcp/close_wait-3600/established-900", "close_wait : 3600, established : 900"},
		{"only udp", udp, map[string]int{"close_wait": 60}, "", ""},
		{"longer on the machine, with a time of the farm", plain + "timeouts.established = '15m'\n",
			map[string]int{"close_wait": 7200}, "tcp/close_wait-7200/established-900",
			"close_wait : 7200, established : 900"},
		{"shorter in the farm", plain + "timeouts.half-closed = '1m'\n", map[string]int{"established": 900},
			"tcp/close_wait-60/established-900", "close_wait : 60, established : 900"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			script := compileTimeouts(t, new(compiler.Compiler), c.keys, c.machine)
			set := slices.Contains(part(t, script, "chain dnat-random-1-ip4"), `ct timeout set "timeouts/`+c.object+`"`)
			if own := "chain dnat-random-1-ip4/" + c.object; !set && c.object != "" {
				set = slices.Contains(part(t, script, own), `ct timeout set "timeouts/`+c.object+`"`)
			}
			if set != (c.object != "") {
				t.Errorf("no connection gets %q:\n%s", c.object, script.Text)
			}
			if policy := part(t, script, "ct timeout timeouts/"+c.object); c.object != "" &&
				!slices.Contains(policy, "policy = { "+c.policy+" }") {
				t.Errorf("policy is %q, want %s", policy, c.policy)
			}
		})
	}
}

// TestMachineTimeoutsChange: the script follows the times of the machine.
func TestMachineTimeoutsChange(t *testing.T) {
	c, times := new(compiler.Compiler), map[string]int{"close_wait": 60}
	first := compileTimeouts(t, c, "listen = '192.0.2.1:80'\n", times)
	if again := compileTimeouts(t, c, "listen = '192.0.2.1:80'\n", times); again != first {
		t.Error("another script with the same times")
	}
	times = map[string]int{"close_wait": 60, "established": 900}
	if later := compileTimeouts(t, c, "listen = '192.0.2.1:80'\n", times); later.Digest == first.Digest {
		t.Error("the same script with other times")
	}
}

func compileTimeouts(t *testing.T, c *compiler.Compiler, keys string, times map[string]int) *ruleset.Script {
	t.Helper()
	files := fstest.MapFS{"web.toml": {Data: []byte(keys + "[backends.b1]\naddress = '10.2.0.11'\n")}}
	var machine ruleset.Machine
	if times != nil {
		machine.Timeouts = func() map[string]int { return times }
	}
	script, told := c.CompileFor([]farm.Dir{{FS: files}}, machine)
	if told.Faulty() {
		t.Fatal(told)
	}
	return script
}
