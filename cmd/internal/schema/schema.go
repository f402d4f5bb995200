// Package schema makes a JSON Schema of farm files, by which editors complete keys, show their meaning and mark faults
// while a farm is written.
//
// The package knows the types of keys (package farm) and their comments in farms.d/reference.toml. It does not know
// how keys depend on each other and on the mode of a farm, which only the compiler judges: a file that the compiler
// accepts is valid, a valid file may have faults. A test holds both against farms.
//
// The schema is written in draft 7 (json-schema.org/draft-07), which the TOML editors of today (taplo) read.
package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"farmc/cmd/internal/reference"
	"farmc/compiler/farm"
)

// An object is an object of JSON.
type object map[string]any

// JSON gives the schema of a farm file, of a drop-in or of _defaults.toml, indented, with a line end. No key is
// required, because a drop-in has any of them.
func JSON() []byte {
	s := tableOf("")
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	s["title"] = "farm of farmc"
	s["description"] = "A load-balanced service; see farms.d(5)"
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the schema has a value without JSON: %v", err))
	}
	return append(text, '\n')
}

// tableOf describes a table of the format.
func tableOf(name string) object {
	properties := object{}
	for _, k := range farm.Keys() {
		if k.Table == name {
			properties[k.Name] = keySchema(&k)
		}
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

// keySchema describes a key with its comment and its default.
func keySchema(k *farm.Key) object {
	s := valueSchema(k)
	if about := About(k.Table, k.Name); about != "" {
		s["description"] = about
	}
	if value, known := defaultOf(k); known {
		s["default"] = value
	}
	return s
}

// tables are the tables of the reference, which are read once: an editor asks for 40 keys at each completion.
var tables = sync.OnceValue(reference.Tables)

// About gives the meaning of a key as the reference words it. A key without words of its own has those of its table.
func About(table, key string) string {
	for _, t := range tables() {
		path := strings.Split(t.Name, ".") // backends.b1, backends.b1.health
		if len(path) < 3 && table == "" && path[0] == key || len(path) == 3 && path[0] == table && path[2] == key {
			return t.About
		}
		for _, k := range t.Keys {
			if path[0] == table && len(path) < 3 && k.Name == key {
				return cmp.Or(strings.TrimSpace(k.Short+"\n\n"+k.About), t.About)
			}
		}
	}
	return ""
}

// valueSchema describes the values of a key.
func valueSchema(k *farm.Key) object {
	switch k.Type {
	case farm.ChoiceType:
		return object{"enum": k.Options}
	case farm.AnnounceType:
		return object{"enum": []any{true, false, k.Options[0]}}
	case farm.FlagType:
		return object{"type": "boolean"}
	case farm.NumberType:
		return numberSchema(k)
	case farm.NumbersType:
		return oneOrMore(numberSchema(k))
	case farm.ListType:
		return oneOrMore(object{"type": "string"})
	case farm.StatusType:
		return oneOrMore(object{"type": []string{"string", "integer"}})
	case farm.MarkType, farm.QueueType:
		return object{"type": []string{"string", "integer"}}
	case farm.LimitType:
		return object{"anyOf": []object{rateSchema(), limitSchema()}}
	case farm.RateType:
		return rateSchema()
	case farm.DurationType:
		return pattern(`^([0-9]+d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*$`)
	case farm.PercentType:
		return pattern(`^[0-9]{1,3}%$`)
	case farm.SessionsType, farm.AnnotationsType:
		return mapOf(object{"type": "string"})
	case farm.MarkedSourcesType:
		return mapOf(oneOrMore(object{"type": "string"}))
	case farm.GatewayType:
		return object{"anyOf": []object{oneOrMore(object{"type": "string"}), mapOf(object{"type": "string"})}}
	case farm.PortsType, farm.UplinksType:
		return mapOf(object{"type": []string{"string", "integer"}})
	case farm.TableType:
		return below(k)
	case farm.TablesType:
		return mapOf(tableOf(k.Name))
	}
	return object{"type": "string"}
}

// below describes the table that a key is. The health of a backend lacks panic, which concerns the farm.
func below(k *farm.Key) object {
	s := tableOf(k.Name)
	if k.Table == "backends" {
		delete(s["properties"].(object), "panic")
	}
	return s
}

func numberSchema(k *farm.Key) object {
	return object{"type": "integer", "minimum": k.Least, "maximum": k.Most}
}

func rateSchema() object { return pattern(`^[0-9]{1,9}/(second|minute|hour|day|s|m|h|d)$`) }

func limitSchema() object {
	return object{"type": "object", "additionalProperties": false,
		"properties": object{"rate": rateSchema(), "burst": object{"type": "integer", "minimum": 1}}}
}

func pattern(expression string) object { return object{"type": "string", "pattern": expression} }

// oneOrMore describes a list, which a single item can stand for.
func oneOrMore(item object) object {
	return object{"anyOf": []object{item, {"type": "array", "items": item}}}
}

func mapOf(value object) object { return object{"type": "object", "additionalProperties": value} }

// defaultOf gives the default of a key as JSON has it; false if there is none.
func defaultOf(k *farm.Key) (any, bool) {
	if k.Type == farm.FlagType || k.Type == farm.NumberType {
		return json.RawMessage(k.Default), k.Default != ""
	}
	return k.Default, k.Default != ""
}
