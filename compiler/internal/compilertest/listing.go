package compilertest

import (
	"regexp"
	"slices"
	"strings"
)

// Listed lists farmc's tables in the kernel, without counters, in a fixed order.
func (k *Kernel) Listed() string {
	k.T.Helper()
	text := k.Must("list", "nft -nn -s list table inet farmc; nft -nn -s list table netdev farmc 2>/dev/null || true")
	return sortListing(text)
}

var sizeLine = regexp.MustCompile(`\n\t\tsize [0-9]+`)

var countLine = regexp.MustCompile(`\n\t\t\t0x[0-9a-f]+ ct count [0-9]+`)

// sortListing sorts the objects of a listing, and the elements of each.
func sortListing(text string) string {
	var objects []string
	table := ""
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if strings.HasPrefix(line, "table ") {
			table = line
		}
		if !strings.HasPrefix(line, "\t") || line == "\t}" {
			continue
		}
		object := table + line
		for i++; i < len(lines) && lines[i] != "\t}"; i++ {
			line := lines[i]
			if list, ok := strings.CutPrefix(line, "\t\telements = {"); ok {
				for ; !strings.HasSuffix(lines[i], "}"); i++ {
					list += lines[i+1]
				}
				elements := strings.Split(strings.TrimSuffix(list, "}"), ",")
				for n := range elements {
					elements[n] = "\n\t\t\t" + strings.TrimSpace(elements[n])
				}
				slices.Sort(elements)
				line = strings.Join(elements, "")
			}
			object += "\n" + strings.TrimPrefix(line, "\n")
		}
		if strings.Contains(object, "\n\t\tflags dynamic") { // the elements of a set are worth more than its size
			object = sizeLine.ReplaceAllString(object, "")
			object = countLine.ReplaceAllString(
				object,
				"",
			) // the kernel takes out elements that count no connection (nft_connlimit_gc)
		}
		objects = append(objects, object)
	}
	slices.Sort(objects)
	return strings.Join(objects, "\n") + "\n"
}

// OnlyIn shows the lines of two texts that are in one of them alone.
func OnlyIn(got, want string) string {
	var out strings.Builder
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range a {
		if !slices.Contains(b, line) {
			out.WriteString("got  " + line + "\n")
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out.WriteString("want " + line + "\n")
		}
	}
	return out.String()
}
