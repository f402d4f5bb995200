package lsp

import (
	"fmt"
	"slices"
	"strings"

	"farmc/cmd/internal/schema"
	"farmc/compiler/farm"
)

// backendsTable is the table of the backends, each of which is a table by its name.
const backendsTable = "backends"

// healthTable is the table of checks, of the farm and of a backend.
const healthTable = "health"

// tableName gives the name in farm.Keys of the table at a path; false if the format has no keys there.
func tableName(path []string) (string, bool) {
	switch {
	case len(path) == 0:
		return "", true
	case len(path) == 1 && path[0] != backendsTable:
		return path[0], isTable(path[0])
	case len(path) == 2 && path[0] == backendsTable:
		return backendsTable, true
	case len(path) == 3 && path[0] == backendsTable && path[2] == healthTable:
		return healthTable, true
	}
	return "", false
}

// isTable reports whether a farm has a table of its own with keys by this name.
func isTable(name string) bool {
	k, found := keyOf("", name)
	return found && k.Type == farm.TableType
}

// keyOf gives a key of a table.
func keyOf(table, name string) (farm.Key, bool) {
	all := farm.Keys()
	i := slices.IndexFunc(all, func(k farm.Key) bool { return k.Table == table && k.Name == name })
	if i < 0 {
		return farm.Key{}, false
	}
	return all[i], true
}

// keyAt gives the key of a path. The items of a table of texts, and the rate of a limit, belong to the key above them.
func keyAt(path []string) (farm.Key, bool) {
	for n := len(path); n > 0; n-- {
		if table, known := tableName(path[:n-1]); known {
			if k, found := keyOf(table, path[n-1]); found {
				return k, n == len(path) || holdsItems(k.Type)
			}
		}
	}
	return farm.Key{}, false
}

// holdsItems reports whether values of a type are tables without keys of the format.
func holdsItems(t farm.Type) bool {
	return slices.Contains([]farm.Type{farm.LimitType, farm.SessionsType, farm.PortsType, farm.MarkedSourcesType,
		farm.UplinksType, farm.AnnotationsType, farm.TablesType}, t)
}

// wordsOf gives the words that a value of a key can be; nil if there are others.
func wordsOf(k farm.Key) []string {
	switch {
	case k.Options != nil:
		return k.Options
	case k.Type == farm.FlagType:
		return []string{"true", "false"}
	case k.Name == "hash-on" || k.Table == "persistence" && k.Name == "on":
		return texts(farm.HashKeys)
	case k.Table == "log" && k.Name == "on":
		return texts(farm.Occasions)
	}
	return nil
}

func texts[S ~string](of []S) []string {
	out := make([]string, len(of))
	for i, word := range of {
		out[i] = string(word)
	}
	return out
}

// typeWords describes the values of a key in a few words.
func typeWords(k farm.Key) string {
	switch k.Type {
	case farm.ChoiceType:
		return strings.Join(k.Options, " | ")
	case farm.FlagType:
		return "true | false"
	case farm.NumberType:
		return fmt.Sprintf("number, %d to %d", k.Least, k.Most)
	case farm.NumbersType:
		return fmt.Sprintf("list of numbers, %d to %d", k.Least, k.Most)
	case farm.ListType:
		return "text, or list of texts"
	case farm.TableType:
		return "table"
	case farm.TablesType:
		return "table of tables"
	}
	return string(k.Type)
}

// facts describes the type, the default, and the modes and checks that a key has an effect in, a line each.
func facts(k farm.Key) []string {
	out := []string{"type: " + typeWords(k)}
	if k.Example != "" {
		out = append(out, "example: "+k.Example)
	}
	if k.Default != "" {
		out = append(out, "default: "+k.Default)
	} else if k.Absent != "" {
		out = append(out, "default: "+k.Absent)
	}
	if k.Modes != nil {
		out = append(out, "modes: "+strings.Join(texts(k.Modes), ", "))
	}
	if k.Types != nil {
		out = append(out, "checks: "+strings.Join(texts(k.Types), ", "))
	}
	return out
}

// about gives the meaning of a key, in the words of the reference.
func about(k farm.Key) string { return schema.About(k.Table, k.Name) }
