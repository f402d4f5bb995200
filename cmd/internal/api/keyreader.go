package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A keyReader reads the keys of a document. It collects all faults, so a client sees them at once.
type keyReader struct {
	document map[string]any
	at       string // the path of the document in the request, such as "words.3."
	faults   []live.FarmFault
	known    []string
}

// maxFaults is the number of faults that an answer about a document has at most.
const maxFaults = toml.MaxFaults

// isFull reports whether the answer has no place for one fault more.
func (f *keyReader) isFull() bool { return len(f.faults) >= maxFaults }

// fault adds a fault of a key, if there is place for it.
func (f *keyReader) fault(key, format string, args ...any) {
	if f.isFull() {
		return
	}
	f.faults = append(f.faults, live.FarmFault{Key: f.at + key, Message: fmt.Sprintf(format, args...)})
}

// take returns the value of a key; nil if it is absent or null.
func (f *keyReader) take(key string) any {
	f.known = append(f.known, key)
	return f.document[key]
}

// has reports whether the document has the key, perhaps as null.
func (f *keyReader) has(key string) bool {
	_, has := f.document[key]
	return has
}

// text reads a string without control characters; "" if it is absent.
func (f *keyReader) text(key string, longest int) string {
	value := f.take(key)
	text, isText := value.(string)
	switch {
	case value == nil:
	case !isText:
		f.fault(key, "%s is a text, such as %q", key, "a")
	case len(text) > longest:
		f.fault(key, "%s has %d bytes, at most %d", key, len(text), longest)
	case strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }):
		f.fault(key, "%s has characters that cannot be printed", key)
	}
	return text
}

// flag reads a boolean; false if it is absent.
func (f *keyReader) flag(key string) bool {
	value := f.take(key)
	flag, isFlag := value.(bool)
	if value != nil && !isFlag {
		f.fault(key, "%s is true or false", key)
	}
	return flag
}

// number reads a whole number; false if it is absent.
func (f *keyReader) number(key string, least, most int) (int, bool) {
	value := f.take(key)
	n, isNumber := value.(int64)
	switch {
	case value == nil:
		return 0, false
	case !isNumber:
		f.fault(key, "%s is a whole number", key)
	case n < int64(least) || n > int64(most):
		f.fault(key, "%s is %d, at least %d and at most %d", key, n, least, most)
	}
	return int(n), true
}

// duration reads a time such as "30s"; 0 if it is absent.
func (f *keyReader) duration(key string, least time.Duration) time.Duration {
	value := f.take(key)
	if value == nil {
		return 0
	}
	text, _ := value.(string)
	d, ok := toml.ParseDuration(text)
	switch {
	case !ok:
		f.fault(key, "%s is a time, such as \"30s\"", key)
	case d < least:
		f.fault(key, "%s is %s, at least %s", key, text, toml.FormatDuration(least))
	}
	return d
}

// unknown adds a fault for each key that was not read.
func (f *keyReader) unknown() {
	for _, key := range slices.Sorted(maps.Keys(f.document)) {
		if f.isFull() {
			return
		}
		if slices.Contains(f.known, key) {
			continue
		}
		key = diag.Printable(key)
		f.fault(key, "there is no key %s here, but %s", key, strings.Join(f.known, ", "))
	}
}

// err returns the problem of all faults, or nil.
func (f *keyReader) err() error {
	f.unknown()
	return faultsProblem(f.faults)
}

// faultsProblem is the error of a document with faults, maxFaults of them at most; nil without any.
func faultsProblem(faults []live.FarmFault) error {
	if len(faults) == 0 {
		return nil
	}
	return problem{status: http.StatusBadRequest, message: justFaults, faults: faults[:min(len(faults), maxFaults)]}
}
