package main

import (
	"fmt"
	"maps"
	"strings"
)

// worstInputs are the inputs of the table in farmc-operations(7), under WORST INPUTS.
var worstInputs = []worstInput{
	{"60 farms of 4,096 backends, weights 1 to 1,000", "backends, at most", func() map[string]string {
		return farmFiles("w", 60, func(i int) string { return listenOf(i) + backendsOf(4096, "weight = %d\n", 1000) })
	}},
	{"80 farms of 4,096 backends with connections and persistence", "backends, at most", func() map[string]string {
		return farmFiles("c", 80, limitedFarm)
	}},
	{"280 farms of 1,024 ports and 1,024 backends", "pairs of a frontend", func() map[string]string {
		return farmFiles("p", 280, func(i int) string { return portsOf(i, 1024) + backendsOf(1024, "", 0) })
	}},
	{"19 farms of 28,000 addresses in static", "", func() map[string]string { return staticFarms(19, "") }},
	{"17 farms of 28,000 networks in static", "", func() map[string]string { return staticFarms(17, "/24") }},
	{"18 farms of nested networks in static", "", func() map[string]string {
		return farmFiles("n", 18, func(i int) string { return listenOf(i) + nestedStatic() + backendsOf(1, "", 0) })
	}},
	{"24 farms with connections, 4 of weights, 10,000 small ones", "slots", func() map[string]string {
		all := farmFiles("c", 24, limitedFarm)
		maps.Copy(all, farmFiles("s", 10000, func(i int) string {
			return listenOf(i+1000) + "limits.new = { rate = '5/second' }\npersistence = {}\n" + backendsOf(1, "", 0)
		}))
		maps.Copy(all, farmFiles("w", 4, func(i int) string {
			return listenOf(i+500) + backendsOf(4096, "weight = %d\n", 1000)
		}))
		return all
	}},
	{"32,768 dsr farms on 1,024 interfaces", "", func() map[string]string {
		return farmFiles("d", 32768, func(i int) string {
			return fmt.Sprintf("mode = 'dsr'\ninterfaces = ['e%d']\n", i%1024) + listenOf(i) +
				"backends.a.address = '10.9.0.1'\n"
		})
	}},
	{"4,096 backends with ranges of 251 and 256 addresses in source-address", "source addresses",
		func() map[string]string { return farmFiles("r", 1, sourceRanges) }},
	{"32,768 farms with nearly every key", "limits, occasions of logs", func() map[string]string {
		return farmFiles("k", 32768, everyKey)
	}},
	{"4,681 farms with nearly every key, the most that fit", "", func() map[string]string {
		return farmFiles("k", 4681, everyKey)
	}},
}

// farmFiles makes n farms.
func farmFiles(prefix string, n int, text func(i int) string) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("%s%05d.toml", prefix, i)] = text(i)
	}
	return files
}

func listenOf(i int) string {
	return fmt.Sprintf("listen = '10.%d.%d.%d:80'\n", 100+i>>16, i>>8&255, i&255)
}

// portsOf is a listen of n ports, each an item of its own.
func portsOf(i, n int) string {
	items := make([]string, n)
	for p := range items {
		items[p] = fmt.Sprintf("'192.0.%d.%d:%d'", i>>8, i&255, p+1)
	}
	return "listen = [" + strings.Join(items, ",") + "]\n"
}

// backendsOf are n backends, each with a key. The values of the key, if it has one, run from 1 to most and make sums
// without common divisors.
func backendsOf(n int, key string, most int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[backends.b%x]\naddress = '10.9.%d.%d'\n", i, i>>8, i&255)
		switch {
		case most > 0:
			fmt.Fprintf(&b, key, i*7919%most+1)
		default:
			b.WriteString(key)
		}
	}
	return b.String()
}

func limitedFarm(i int) string {
	var b strings.Builder
	b.WriteString(listenOf(i) + "persistence = {}\n[backends]\n")
	for n := range 4096 {
		fmt.Fprintf(&b, "b%x = {address='10.9.%d.%d',connections=5}\n", n, n>>8, n&255)
	}
	return b.String()
}

// staticFarms have 28,000 addresses or networks in static, for 4,096 backends.
func staticFarms(n int, length string) map[string]string {
	return farmFiles("s", n, func(i int) string {
		var b strings.Builder
		b.WriteString(listenOf(i) + "[persistence.static]\n")
		for c := range 28000 {
			fmt.Fprintf(&b, "'%s%s' = 'b%x'\n", staticClient(c, length), length, c%4096)
		}
		return b.String() + backendsOf(4096, "", 0)
	})
}

func staticClient(c int, length string) string {
	if length == "" {
		return fmt.Sprintf("11.%d.%d.%d", c>>16, c>>8&255, c&255)
	}
	return fmt.Sprintf("%d.%d.%d.0", 11+c>>16, c>>8&255, c&255)
}

// nestedStatic are networks of two lengths, each second one within the one before.
func nestedStatic() string {
	var b strings.Builder
	b.WriteString("[persistence.static]\n")
	for c := range 36000 {
		n := c / 2
		fmt.Fprintf(&b, "'%d.%d.%d.0/%d' = 'b0'\n", 11+n>>8, n&255, n*32&255, 24+c%2)
	}
	return b.String()
}

// sourceRanges has ranges of sizes without a common divisor, so that each backend gets 251 times 256 slots.
func sourceRanges(i int) string {
	var b strings.Builder
	b.WriteString(listenOf(i))
	for n := range 4096 {
		fmt.Fprintf(&b, "[backends.b%x]\naddress = '10.9.%d.%d'\nsource-address = '10.8.0.0-10.8.0.%d'\n",
			n, n>>8, n&255, []int{250, 255}[n%2])
	}
	return b.String()
}

func everyKey(i int) string {
	return listenOf(i) + fmt.Sprintf(`interfaces = ['e%d']
mark = '0x%x'
limits = { new = { rate = '5/second' }, new-per-client = { rate = '5/second' }, connections-per-client = 5,
  connections = 100, ban = '1m', resets-per-client = { rate = '2/second' }, strict-tcp = true }
log = { on = ['input', 'denied', 'limited'] }
persistence = {}
access.deny = '9.9.%d.%d'
backends.a = { address = '10.9.0.1', connections = 5 }
backends.b = { address = '10.9.0.2', connections = 5 }
`, i%9, i+1, i>>8, i&255)
}
