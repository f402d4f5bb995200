package diag

import "strings"

func printed(told Diagnostics) string {
	var said strings.Builder
	told.Print(&said, Palette{})
	return said.String()
}
