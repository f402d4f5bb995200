package main

import (
	"bufio"
	"fmt"
	"os"
)

// A reference is a ruleset for farms like the plain ones, written by hand, that does nothing else: what loading costs
// is told as so many times what this costs, as that holds on other machines, too.
type reference func(out *bufio.Writer, farms int)

// shared is the best that is known: one map for all farms, asked by one rule.
func shared(out *bufio.Writer, farms int) {
	out.WriteString(`table ip reference {
	map slots {
		typeof ip protocol . ip daddr . th dport . numgen inc mod 10 : ip daddr . th dport
		elements = {
`)
	for n := range farms {
		for i := range perFarm {
			fmt.Fprintf(out, "\t\t\ttcp . %s . 80 . %d : %s . 8080,\n", service(n), i, backend(n, i))
		}
	}
	out.WriteString(`		}
	}
	chain prerouting {
		type nat hook prerouting priority dstnat
		ip protocol tcp dnat to ip protocol . ip daddr . th dport . numgen inc mod 10 map @slots
	}
}
`)
}

// each has a chain and a named map for each farm: what a farm costs that can't share them.
func each(out *bufio.Writer, farms int) {
	out.WriteString("table ip reference {\n\tmap services {\n\t\ttype inet_proto . ipv4_addr . inet_service : verdict\n\t\telements = {\n")
	for n := range farms {
		fmt.Fprintf(out, "\t\t\ttcp . %s . 80 : goto farm-%d,\n", service(n), n)
	}
	out.WriteString("\t\t}\n\t}\n")
	for n := range farms {
		fmt.Fprintf(out, "\tmap slots-%d {\n\t\ttypeof numgen inc mod 10 : ip daddr . th dport\n\t\telements = {\n", n)
		for i := range perFarm {
			fmt.Fprintf(out, "\t\t\t%d : %s . 8080,\n", i, backend(n, i))
		}
		fmt.Fprintf(out, "\t\t}\n\t}\n\tchain farm-%d {\n\t\tip protocol tcp dnat to numgen inc mod 10 map @slots-%d\n\t}\n", n, n)
	}
	out.WriteString("\tchain prerouting {\n\t\ttype nat hook prerouting priority dstnat\n\t\tip protocol . ip daddr . th dport vmap @services\n\t}\n}\n")
}

// changeOfOne gives the backends of one farm anew in the shared map.
func changeOfOne(out *bufio.Writer, farms int) {
	n := farms / 2
	for i := range perFarm {
		fmt.Fprintf(out, "delete element ip reference slots { tcp . %s . 80 . %d }\n", service(n), i)
		fmt.Fprintf(out, "add element ip reference slots { tcp . %s . 80 . %d : %s . 8080 }\n", service(n), i, backend(n, i))
	}
}

func service(n int) string    { return fmt.Sprintf("100.64.%d.%d", n>>8, n&255) }
func backend(n, i int) string { return fmt.Sprintf("10.%d.%d.%d", i+1, n>>8, n&255) }

// write writes the reference for so many farms: as the first load, or as one that takes the place of what is there.
func (r reference) write(path string, farms int, again bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	if again {
		out.WriteString("table ip reference\ndelete table ip reference\n")
	}
	r(out, farms)
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}
