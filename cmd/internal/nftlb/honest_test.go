package nftlb

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// stocked has a policy that a farm and an address use, and one that is idle.
const stocked = `{"policies": [{"name": "bad", "elements": [{"data": "198.51.100.0/24"}]}, {"name": "idle"}],
	"addresses": [{"name": "ssh", "ip-addr": "192.0.2.1", "ports": "22", "policies": [{"name": "bad"}]}],
	"farms": [{"name": "web", "virtual-addr": "192.0.2.1", "virtual-ports": "80", "policies": [{"name": "bad"}],
	"backends": [{"name": "b1", "ip-addr": "10.2.0.1"}]}, {"name": "mail", "virtual-addr": "192.0.2.1",
	"virtual-ports": "25"}]}`

// TestHonestReplies has the replies that differ from nftlb's on purpose, and their neighbours, by the request (2), the
// key (3) or the fault (5) that they are about. Replies to lenient clients are nftlb's, but for the status of an
// unknown key.
func TestHonestReplies(t *testing.T) {
	farm := func(keys string) string { return `{"farms": [{"name": "web", ` + keys + `}]}` }
	const success = "200 success"
	for _, test := range []struct {
		row, request, body string
		lenient, honest    string
		warnings           []Warning
	}{
		{"2: DELETE /policies/P", "DELETE policies/bad", "", success, success, []Warning{
			{"web", "policies", "policy bad is detached from farm web"},
			{"", "policies", "policy bad is detached from address ssh"}}},
		{"2: DELETE /policies", "DELETE policies", "", success, success, []Warning{
			{"web", "policies", "policy bad is detached from farm web"},
			{"", "policies", "policy bad is detached from address ssh"}}},
		{"2: DELETE /policies/P, which nothing uses", "DELETE policies/idle", "", success, success, nil},
		{"2: DELETE /policies/P, unknown", "DELETE policies/none", "",
			"404 error stopping policy. Unknown policy 'none'",
			"404 error stopping policy. Unknown policy 'none'", nil},
		{"2: DELETE /farms/F/addresses/A, the last one", "DELETE farms/web/addresses/web-addr", "", success, success,
			[]Warning{{"web", "addresses", "farm web has no address, so it is not loaded"}}},
		{"2: DELETE /farms/F/addresses, all", "DELETE farms/web/addresses", "", success, success,
			[]Warning{{"web", "addresses", "farm web has no address, so it is not loaded"}}},
		{"2: DELETE /farms/F/addresses/A, unknown", "DELETE farms/web/addresses/none", "",
			"404 error deleting farm address. Unknown farm address 'none' in farm 'web'",
			"404 error deleting farm address. Unknown farm address 'none' in farm 'web'", nil},
		{"2: DELETE /addresses/A, the last one of a farm", "DELETE addresses/web-addr", "", success,
			"409 error stopping address. Farm 'web' would have none left", nil},
		{"2: DELETE /policies/P/elements/E, within a listed one", "DELETE policies/bad/elements/198.51.100.7", "",
			"404 error deleting policy element. Unknown element '198.51.100.7' in policy 'bad'",
			"409 error deleting policy element. Element '198.51.100.7' is within '198.51.100.0/24'", nil},
		{"2: DELETE /policies/P/elements/E, unknown", "DELETE policies/bad/elements/198.51.101.7", "",
			"404 error deleting policy element. Unknown element '198.51.101.7' in policy 'bad'",
			"404 error deleting policy element. Unknown element '198.51.101.7' in policy 'bad'", nil},
		{"5: nft refuses, ports by name", "PUT farms", farm(`"virtual-ports": "http"`), success,
			"400 error parsing buffer. Invalid ports 'http': numbers from 1 to 65535, ranges, or a list of both", nil},
		{"5: nft refuses, ports above 65535", "PUT farms", farm(`"virtual-ports": "99999"`), success,
			"400 error parsing buffer. Invalid ports '99999': numbers from 1 to 65535, ranges, or a list of both", nil},
		{"5: nft refuses, a range backwards", "PUT addresses", `{"addresses": [{"name": "ssh", "ports": "22,90-80"}]}`,
			success,
			"400 error parsing buffer. Invalid ports '22,90-80': numbers from 1 to 65535, ranges, or a list of both",
			nil},
		{"3: virtual-ports, which is ignored as 0", "PUT farms", farm(`"virtual-ports": "0"`), success, success, nil},
		{"3: virtual-ports, a list", "PUT farms", farm(`"virtual-ports": "80, 8000-8010"`), success, success, nil},
		{"5: nft refuses, port of a backend", "PUT farms", farm(`"backends": [{"name": "b1", "port": "http"}]`),
			success,
			"400 error parsing buffer. Invalid port 'http': a number from 1 to 65535", nil},
		{"5: nft refuses, range of a backend", "PUT farms", farm(`"backends": [{"name": "b1", "port": "80-90"}]`),
			success,
			"400 error parsing buffer. Invalid port '80-90': a number from 1 to 65535", nil},
		{"3: port of a backend, none", "PUT farms", farm(`"backends": [{"name": "b1", "port": ""}]`), success, success,
			nil},
		{"3: newname, taken", "PUT farms", farm(`"newname": "mail"`), success, "409 farm 'mail' exists", nil},
		{"3: unknown value of an enumeration", "PUT farms", farm(`"mode": "nat"`),
			"200 success. Parsing unknown value 'nat' in 'mode', using default 'snat'",
			"400 error parsing buffer. Parsing unknown value 'nat' in 'mode', using default 'snat'", nil},
		{"5: unknown key", "PUT farms", farm(`"colour": "red"`), "400 error parsing buffer. Unknown key 'colour'",
			"400 error parsing buffer. Unknown key 'colour'", nil},
	} {
		t.Run(test.row, func(t *testing.T) {
			verb, path, _ := strings.Cut(test.request, " ")
			for _, lenient := range []bool{true, false} {
				a := (&State{}).Do(posted(stocked)).State.Do(Request{Verb: verb, Path: strings.Split(path, "/"),
					Body: []byte(test.body), Lenient: lenient})
				want := test.honest
				if lenient {
					want = test.lenient
				}
				if got := strconv.Itoa(a.Status) + " " + a.Text; got != want {
					t.Errorf("lenient %t: %s, want %s", lenient, got, want)
				}
				if !lenient && !reflect.DeepEqual(a.Warnings, test.warnings) {
					t.Errorf("warnings %v, want %v", a.Warnings, test.warnings)
				}
			}
		})
	}
}
