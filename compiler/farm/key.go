package farm

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/toml"
)

// A Key is a key of the farm format. The tables of keys.go have all of them: readers, the check of modes and
// descriptions go through these tables, and a test compares farms.d/reference.toml with them.
type Key struct {
	Table       string       // its table: "limits", or "backends" for each backend; "": the farm itself
	Name        string       // as files write it
	Type        Type         // of its value
	Options     []string     // of a Choice: all values
	Least, Most int          // of a Number, of a Percent, of each item of Numbers
	Default     string       // as a file would write it, without quotes; "" if the key has none
	Absent      string       // the words of Changes for the default; "": Default, or "unset" without one
	Modes       []Mode       // where the key has an effect; nil: in every mode
	Types       []HealthType // of a key of [health]: checks that it has an effect on; nil: all
	Example     string       // a value in TOML, other than the default
}

// worksIn reports whether the key has an effect in the mode.
func (k *Key) worksIn(mode Mode) bool { return k.Modes == nil || slices.Contains(k.Modes, mode) }

// A Type is the type of a key's value.
type Type string

// The types. A list of one item may be written as the item alone.
const (
	TextType          Type = "text"
	ChoiceType        Type = "choice"      // text, one of Options
	ListType          Type = "list"        // of texts
	FlagType          Type = "flag"        // true or false
	NumberType        Type = "number"      // from Least to Most
	NumbersType       Type = "numbers"     // a list, each from Least to Most
	DurationType      Type = "duration"    // "1m30s"
	RateType          Type = "rate"        // "10/second"
	MarkType          Type = "mark"        // "0x10/0xff", or a number
	QueueType         Type = "queue"       // "0-3", or a number
	LimitType         Type = "limit"       // { rate = "10/second", burst = 20 }, or "10/second"
	SessionsType      Type = "sessions"    // { "198.51.100.7" = "b1" }
	PortsType         Type = "ports"       // { 80 = 8080, "50000-50099" = "60000-60099" }
	MarkedSourcesType Type = "sources"     // { "0x200" = "192.168.0.101" }
	UplinksType       Type = "uplinks"     // { wan1 = "0x100/0xf00" }
	AnnounceType      Type = "announce"    // true, false, or one of Options
	GatewayType       Type = "gateway"     // "10.1.0.2", a list of these, or { "10.0.0.0/8" = "10.1.0.3" }
	AnnotationsType   Type = "annotations" // { team = "web" }
	TableType         Type = "table"
	TablesType        Type = "tables"  // a table for each name
	PercentType       Type = "percent" // "30%"
	StatusType        Type = "status"  // "200-399", a number, or a list of these
)

// A key is a Key of tables that are read into a T.
type key[T any] struct {
	Key
	value[T]
}

// A value reads and describes the value of a key.
type value[T any] struct {
	kind     Type
	read     func(k *Key, t *toml.Table, into T)
	describe func(k *Key, of T) string // "" at the default; nil: another key describes it, or it has no effect
	fact     string                    // its name in descriptions; "": the key's
}

// named gives the value another name in descriptions.
func (v value[T]) named(fact string) value[T] {
	v.fact = fact
	return v
}

// always describes the value at its default, too.
func (v value[T]) always() value[T] {
	describe, none := v.describe, &Key{}
	v.describe = func(_ *Key, of T) string { return describe(none, of) }
	return v
}

// readKeys reads the keys of a table, in their order.
func readKeys[T any](t *toml.Table, keys []key[T], into T) {
	for i := range keys {
		k := &keys[i]
		k.read(&k.Key, t, into)
	}
}

// describeKeys adds the keys that are not at their defaults to a description.
func describeKeys[T any](about map[string]string, keys []key[T], of T) {
	for i := range keys {
		k := &keys[i]
		if k.describe == nil {
			continue
		}
		if text := k.describe(&k.Key, of); text != "" {
			about[k.factName()] = text
		}
	}
}

func (k *key[T]) factName() string { return cmp.Or(k.fact, k.Name) }

// defaultWords gives the words that Changes has for keys at their defaults, by the names of descriptions.
func defaultWords[T any](groups ...[]key[T]) map[string]string {
	out := map[string]string{}
	for _, k := range slices.Concat(groups...) {
		if k.describe != nil {
			out[k.factName()] = cmp.Or(k.Absent, k.Default, "unset")
		}
	}
	return out
}

// public gives the keys of a table.
func public[T any](table string, keys []key[T]) []Key {
	out := make([]Key, len(keys))
	for i, k := range keys {
		out[i] = k.Key
		out[i].Table, out[i].Type = table, k.kind
	}
	return out
}

// flag is true or false; without a default it is false.
func flag[T any](at func(T) *bool) value[T] {
	return value[T]{
		kind: FlagType,
		read: func(k *Key, t *toml.Table, into T) { *at(into) = t.Flag(k.Name, k.Default == "true") },
		describe: func(k *Key, of T) string {
			if is := *at(of); is != (k.Default == "true") {
				return strconv.FormatBool(is)
			}
			return ""
		},
	}
}

// option is a Choice of two, which is true for the one that is not the default.
func option[T any](word string, at func(T) *bool) value[T] {
	return value[T]{
		kind:     ChoiceType,
		read:     func(k *Key, t *toml.Table, into T) { *at(into) = t.Choice(k.Name, k.Default, k.Options...) == word },
		describe: func(_ *Key, of T) string { return map[bool]string{true: word}[*at(of)] },
	}
}

// choice is one of the key's Options.
func choice[T any, S ~string](at func(T) *S) value[T] {
	return value[T]{
		kind: ChoiceType,
		read: func(k *Key, t *toml.Table, into T) { *at(into) = S(t.Choice(k.Name, k.Default, k.Options...)) },
		describe: func(k *Key, of T) string {
			if text := string(*at(of)); text != k.Default {
				return text
			}
			return ""
		},
	}
}

// number is a number within the key's bounds; 0 stands for no number.
func number[T any, N int | uint16](at func(T) *N) value[T] {
	return value[T]{
		kind: NumberType,
		read: func(k *Key, t *toml.Table, into T) {
			*at(into) = N(t.Number(k.Name, k.defaultNumber(), k.Least, k.Most))
		},
		describe: func(k *Key, of T) string {
			if n := *at(of); n != 0 && int(n) != k.defaultNumber() {
				return fmt.Sprint(n)
			}
			return ""
		},
	}
}

func (k *Key) defaultNumber() int {
	n, err := strconv.Atoi(cmp.Or(k.Default, "0"))
	if err != nil {
		panic(fmt.Sprintf("the default of %s is %q, not a number", k.Name, k.Default))
	}
	return n
}

// text is a value with a reader of its own, described by its String method unless it is the zero value.
func text[T any, V interface {
	comparable
	fmt.Stringer
}](kind Type, read func(t *toml.Table, key string) V, at func(T) *V) value[T] {
	return value[T]{
		kind: kind,
		read: func(k *Key, t *toml.Table, into T) { *at(into) = read(t, k.Name) },
		describe: func(_ *Key, of T) string {
			var zero V
			if v := *at(of); v != zero {
				return v.String()
			}
			return ""
		},
	}
}

// interfaces is a list of network interfaces.
func interfaces[T any](at func(T) *[]string) value[T] {
	return value[T]{
		kind:     ListType,
		read:     func(k *Key, t *toml.Table, into T) { *at(into) = readInterfaces(t, k.Name) },
		describe: func(_ *Key, of T) string { return strings.Join(*at(of), ", ") },
	}
}

// own is a value with a reader and words of its own.
func own[T any](kind Type, read func(*toml.Table, T), describe func(T) string) value[T] {
	v := value[T]{kind: kind, read: func(_ *Key, t *toml.Table, into T) { read(t, into) }}
	if describe != nil {
		v.describe = func(_ *Key, of T) string { return describe(of) }
	}
	return v
}
