package main

import (
	"bufio"
	"fmt"
	"os"
)

// A reference writes a minimal ruleset by hand for a number of plain farms. Times are given as multiples of the time
// for the reference, which can be compared between machines.
type reference func(out *bufio.Writer, farms int)

// shared has one map for all farms and one rule, which is the fastest known ruleset.
func shared(out *bufio.Writer, farms int) {
	out.WriteString(`table ip reference {
	map slots {
		typeof ip protocol . ip daddr . th dport . numgen inc mod 10 : ip daddr . th dport
		elements = {
`)
	for n := range farms {
		for i := range backendsPerFarm {
			fmt.Fprintf(out, "\t\t\ttcp . %s . 80 . %d : %s . 8080,\n", frontendAddress(n), i, backendAddress(n, i))
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

// each has a chain and a named map for each farm, as for farms that cannot share them.
func each(out *bufio.Writer, farms int) {
	out.WriteString(`table ip reference {
	map services {
		type inet_proto . ipv4_addr . inet_service : verdict
		elements = {
`)
	for n := range farms {
		fmt.Fprintf(out, "\t\t\ttcp . %s . 80 : goto farm-%d,\n", frontendAddress(n), n)
	}
	out.WriteString("\t\t}\n\t}\n")
	for n := range farms {
		fmt.Fprintf(out, "\tmap slots-%d {\n\t\ttypeof numgen inc mod 10 : ip daddr . th dport\n\t\telements = {\n", n)
		for i := range backendsPerFarm {
			fmt.Fprintf(out, "\t\t\t%d : %s . 8080,\n", i, backendAddress(n, i))
		}
		fmt.Fprint(out, "\t\t}\n\t}\n")
		fmt.Fprintf(out, "\tchain farm-%d {\n\t\tip protocol tcp dnat to numgen inc mod 10 map @slots-%d\n\t}\n", n, n)
	}
	out.WriteString(`	chain prerouting {
		type nat hook prerouting priority dstnat
		ip protocol . ip daddr . th dport vmap @services
	}
}
`)
}

// changeOneFarm replaces the backends of one farm in the shared map.
func changeOneFarm(out *bufio.Writer, farms int) {
	n := farms / 2
	for i := range backendsPerFarm {
		fmt.Fprintf(out, "delete element ip reference slots { tcp . %s . 80 . %d }\n", frontendAddress(n), i)
		fmt.Fprintf(out, "add element ip reference slots { tcp . %s . 80 . %d : %s . 8080 }\n", frontendAddress(n), i,
			backendAddress(n, i))
	}
}

func frontendAddress(n int) string   { return fmt.Sprintf("100.64.%d.%d", n>>8, n&255) }
func backendAddress(n, i int) string { return fmt.Sprintf("10.%d.%d.%d", i+1, n>>8, n&255) }

// write writes the reference for a number of farms. With replace the script deletes the table first.
func (r reference) write(path string, farms int, replace bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	if replace {
		out.WriteString("table ip reference\ndelete table ip reference\n")
	}
	r(out, farms)
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}
