package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A kind is a farm as a template. The farms of a kind differ in their addresses only.
type kind struct {
	name    string
	keys    string // first lines of the farm
	listen  string // value of the key listen; "" for a port of an address
	backend string // lines of each backend; "" for an address and a port
	tables  string // last lines of the farm

	optional bool // not every kernel supports it
}

// backendsPerFarm is the number of backends of each farm. maxFarms is the number of farms for which the templates have
// addresses.
const backendsPerFarm, maxFarms = 10, 60_000

var plain = kind{name: "plain", keys: `mode = "dnat"`}

// kinds are farms that need different objects in the kernel. {n} stands for the farm's number from 0, {n1} for its
// number from 1, {x} for {n1} in hexadecimal, {a} and {b} for the upper and the lower byte of {n}, {i} for the number
// of the backend from 1.
var kinds = []kind{
	plain,
	{name: "snat", keys: `mode = "snat"`},
	{name: "hash", keys: `scheduler = "hash"`},
	{name: "symmetric-hash", keys: `scheduler = "symmetric-hash"`},
	{name: "maglev, one table", keys: `scheduler = "maglev"`, backend: "address = \"10.0.1.{i}\"\nport = 8080"},
	{name: "round-robin", keys: `scheduler = "round-robin"`},
	{name: "round-robin, UDP too", keys: `scheduler = "round-robin"`, listen: `"100.64.{a}.{b}:80/tcp,udp"`},
	{name: "5 ports", listen: `"100.64.{a}.{b}:80,443,8080,8443,9090/tcp"`, backend: `address = "10.{i}.{a}.{b}"`},
	{name: "range", listen: `"100.64.{a}.{b}:8000-8100/tcp"`, backend: `address = "10.{i}.{a}.{b}"`},
	{name: "whole address", keys: `mode = "dnat"`, listen: `"100.64.{a}.{b}/all"`,
		backend: `address = "10.{i}.{a}.{b}"`},
	{name: "any address", listen: `"0.0.0.0:{n1}/tcp"`},
	{name: "both families", listen: `["100.64.{a}.{b}:80", "[2001:db8::{x}]:80"]`,
		backend: "address = [\"10.{i}.{a}.{b}\", \"fd00:{i}::{x}\"]\nport = 8080"},
	{name: "weights", backend: "address = \"10.{i}.{a}.{b}\"\nport = 8080\nweight = {i}"},
	{name: "interfaces", keys: `interfaces = ["eth0"]`},
	{name: "two interfaces", keys: `interfaces = ["eth0", "eth1"]`},
	{name: "remote clients only", keys: `local-clients = false`},
	{name: "source address each", keys: `source-address = "172.16.{a}.{b}"`},
	{name: "source by backend",
		backend: "address = \"10.{i}.{a}.{b}\"\nport = 8080\nsource-address = \"172.16.{a}.{b}\""},
	{name: "mark each", keys: `mark = "{n1}"`},
	{name: "mark by backend", backend: "address = \"10.{i}.{a}.{b}\"\nport = 8080\nmark = \"0x{i}\""},
	{name: "helper", keys: `helper = "ftp"`},
	{name: "flow-offload", keys: `flow-offload = ["eth0", "eth1"]`, optional: true},
	{name: "log", tables: "[log]\non = [\"input\"]"},
	{name: "persistence", tables: "[persistence]\ntimeout = \"1m\""},
	{name: "limit of the farm", tables: "[limits]\nnew = { rate = \"2000/second\", burst = 500 }"},
	{name: "limit of each client", tables: "[limits]\nnew-per-client = { rate = \"10/second\", burst = 20 }"},
	{name: "ban", tables: "[limits]\nban = \"2m\"\nnew-per-client = { rate = \"10/second\", burst = 20 }"},
	{name: "all limits", tables: "[limits]\nban = \"2m\"\nstrict-tcp = true\n" +
		"resets-per-client = { rate = \"2/second\", burst = 10 }\n" +
		"new-per-client = { rate = \"10/second\", burst = 20 }\nconnections-per-client = 100\n" +
		"new = { rate = \"2000/second\", burst = 500 }\nconnections = 50000"},
	{name: "limit of backends", backend: "address = \"10.{i}.{a}.{b}\"\nport = 8080\nconnections = 100"},
	{name: "strict-tcp", tables: "[limits]\nstrict-tcp = true"},
	{name: "access", tables: "[access]\ndeny = [\"198.51.100.0/24\", \"203.0.113.0/24\"]"},
	{name: "no backend", backend: "address = \"10.{i}.{a}.{b}\"\nstate = \"down\""},
	{name: "dsr, one table", keys: "mode = \"dsr\"\ninterfaces = [\"eth0\"]",
		backend: "address = \"10.0.1.{i}\"\ninterface = \"eth1\""},
	{name: "dsr hash", keys: "mode = \"dsr\"\nscheduler = \"hash\"\ninterfaces = [\"eth0\"]",
		backend: "address = \"10.{i}.{a}.{b}\"\ninterface = \"eth1\""},
	{name: "dsr hash IPv6", keys: "mode = \"dsr\"\nscheduler = \"hash\"\ninterfaces = [\"eth0\"]",
		listen: `"[2001:db8::{x}]:80"`, backend: "address = \"fd00:{i}::{x}\"\ninterface = \"eth1\""},
	{name: "dsr persistence", keys: "mode = \"dsr\"\nscheduler = \"hash\"\ninterfaces = [\"eth0\"]",
		tables: "[persistence]\ntimeout = \"1m\"", backend: "address = \"10.{i}.{a}.{b}\"\ninterface = \"eth1\""},
	{name: "stateless hash", keys: "mode = \"stateless\"\nscheduler = \"hash\"",
		backend: "address = \"10.{i}.{a}.{b}\"\nport = 8081"},
	{name: "stateless at ingress", keys: "mode = \"stateless\"\nscheduler = \"hash\"\ninterfaces = [\"eth0\"]",
		backend: "address = \"10.{i}.{a}.{b}\"\nport = 8081\ninterface = \"eth1\""},
	{name: "stateless persistence", keys: "mode = \"stateless\"\nscheduler = \"hash\"",
		tables: "[persistence]\ntimeout = \"1m\""},
	{name: "stateless range", keys: "mode = \"stateless\"\nscheduler = \"hash\"",
		listen: `"100.64.{a}.{b}:8000-8100/tcp"`, backend: `address = "10.{i}.{a}.{b}"`},
}

// farm is the text of the nth farm of a kind.
func (k kind) farm(n int) string {
	listen, backend := k.listen, k.backend
	if listen == "" {
		listen = `"100.64.{a}.{b}:80/tcp"`
	}
	if backend == "" {
		backend = "address = \"10.{i}.{a}.{b}\"\nport = 8080"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\nlisten = %s\n", k.keys, listen)
	for i := range backendsPerFarm {
		number := strings.NewReplacer("{i}", fmt.Sprint(i+1))
		fmt.Fprintf(&text, "\n[backends.b%d]\n%s\n", i+1, number.Replace(backend))
	}
	text.WriteString(k.tables)
	return strings.NewReplacer("{n}", fmt.Sprint(n), "{n1}", fmt.Sprint(n+1), "{x}", fmt.Sprintf("%x", n+1),
		"{a}", fmt.Sprint(n>>8), "{b}", fmt.Sprint(n&255)).Replace(text.String())
}

// fileName is the name of the nth farm's file.
func fileName(n int) string { return fmt.Sprintf("farm-%05d.toml", n) }

// write writes a number of farms of a kind into a new directory.
func (k kind) write(dir string, farms int) error { return writeFarms(dir, farms, k.farm) }

// writeFarms writes a number of farms into a new directory. farm gives the text of the nth.
func writeFarms(dir string, farms int, farm func(n int) string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for n := range farms {
		if err := os.WriteFile(filepath.Join(dir, fileName(n)), []byte(farm(n)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
