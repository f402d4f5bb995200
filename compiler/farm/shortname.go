package farm

import (
	"fmt"

	"farmc/compiler/slots"
)

// longestLogged is the length up to which a name stands in a line of the log as it is.
const longestLogged = 48

// ShortName gives a name as lines of the log have it: a long one is cut, and ends with '~' and a hash of the whole. No
// name has a '~' itself.
func ShortName(name string) string {
	if len(name) <= longestLogged {
		return name
	}
	hash := fmt.Sprintf("~%08x", slots.Hash64(name)>>32)
	return name[:longestLogged-len(hash)] + hash
}
