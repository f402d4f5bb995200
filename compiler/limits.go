package compiler

func readLimits(t *table) {
	if t == nil {
		return
	}
	for _, key := range []string{"new-per-client", "resets-per-client", "new"} {
		readRate(t.sub(key))
	}
	t.number("connections-per-client", 0, 1, 1<<31-1)
	t.number("connections", 0, 1, 1<<31-1)
	t.number("clients", 65535, 1, 1<<24)
	t.duration("ban")
	t.flag("strict-tcp", false)
	t.choice("verdict", "drop", "drop", "reject", "log")
}

func readRate(t *table) {
	if t == nil {
		return
	}
	if !t.has("rate") {
		t.fault(t.place, `{ rate = "10/second", burst = 20 }`, "%s has no rate", t.name)
	}
	t.rate("rate")
	t.number("burst", 5, 1, 1<<31-1)
}
