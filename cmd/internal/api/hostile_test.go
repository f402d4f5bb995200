package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farmc/cmd/internal/apikey"
)

// head is the beginning of a request with the key of the role read.
func (s *site) head(method, path string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: farmc\r\nKey: " + s.secret["reader"] + "\r\n"
}

func TestPaths(t *testing.T) {
	s := start(t, siteFiles, Route{"GET", "/v1/any/{name}", apikey.ReadAll, done})
	if x := s.do(t, exchange{key: "reader", path: "/v1/any/a%3Ab"}); x.status != 204 {
		t.Errorf("an encoded colon: %d", x.status)
	}
	for _, path := range []string{"/v1/farms/", "/v1/", "/v1", "/", "/v2/farms", "/v1/farms/../lists", "/v1/./farms",
		"//v1/farms", "/v1//farms", "/v1/farms/..", "/v1/farms/%2e%2e", "/v1/farms/%2E%2E/lists",
		"/v1/farms/web%2fbackends",
		"/v1/farms/..%2F..%2Fetc%2Fpasswd", "/v1/farms/%00", "/v1/farms/web%00", "/v1/farms/web%0a", "/v1/farms/web%20",
		"/v1/farms/WEB", "/v1/farms/web.toml", "/v1/lists/..%5c..%5cbad", "/v1/lists/bad.list",
		"/v1/lists/%2fetc%2fpasswd",
		"/v1/any/a%2fb", "/v1/any/a%2Fb", "/v1/any/a%5cb", "/v1/any/%00",
		"/v1/farms/web/backends/%2e%2e", "/v1/farms/web;x", "/v1/farms/%ff", "/v1/farms/web%E2%80%AE", "/etc/passwd",
		"/v1/farms/" + strings.Repeat("a", 8000), "/v1/farms/web/backends/b1/x", "/v1/farms/web/bans/x%2f24"} {
		got := s.raw(t, "127.0.0.1", s.head("GET", path)+"Connection: close\r\n\r\n")
		if len(got) != 1 || got[0][:3] != "404" && got[0][:3] != "400" {
			t.Errorf("%s: %q", path, got)
		}
	}
	for _, target := range []string{"v1/farms", "", "/v1/farms /x", "/v1/farms\x00", "/v1/%zz", "/v1/farms\x7f"} {
		got := s.raw(t, "127.0.0.1", s.head("GET", target)+"Connection: close\r\n\r\n")
		if len(got) > 1 || len(got) == 1 && got[0][:3] != "404" && got[0][:3] != "400" {
			t.Errorf("%q: %q", target, got)
		}
	}
}

func TestMethods(t *testing.T) {
	s := start(t, siteFiles)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"} {
		x := s.do(t, exchange{key: "writer", method: method, path: "/v1/farms"})
		if x.status != 405 || x.got.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow: %s", method, x.status, x.got.Get("Allow"))
		}
	}
	if x := s.do(t, exchange{key: "reader", path: "/v1/check"}); x.status != 405 || x.got.Get("Allow") != "POST" {
		t.Errorf("GET of the check: %d, Allow: %s", x.status, x.got.Get("Allow"))
	}
	x := s.do(t, exchange{key: "reader", method: "HEAD", path: "/v1/farms/web"})
	if x.status != 200 || x.answer != "" || x.got.Get("ETag") == "" {
		t.Errorf("HEAD: %d %q", x.status, x.answer)
	}
	for _, line := range []string{"OPTIONS * HTTP/1.1", "CONNECT farmc:80 HTTP/1.1", "CONNECT /v1/farms HTTP/1.1"} {
		got := s.raw(t, "127.0.0.1", line+"\r\nHost: x\r\nKey: "+s.secret["writer"]+"\r\nConnection: close\r\n\r\n")
		if len(got) != 1 || !regexp.MustCompile("^40[045]").MatchString(got[0]) {
			t.Errorf("%s: %q", line, got)
		}
	}
}

// A misspelt parameter of a request to read is an error, as its answer would be another one than the client wants.
func TestParametersOfReads(t *testing.T) {
	s := start(t, siteFiles)
	for request, want := range map[string]int{
		"GET /v1/farms?select=name": 200, "GET /v1/farms?selekt=name": 400, "GET /v1/farms?select=name&x": 400,
		"GET /v1/farms/web?select=name": 400, "GET /v1/farms/web/backends/b1?x": 400, "GET /v1/lists?%zz": 400,
		"GET /v1/farms/web/backends/b1/state?wiat=drained": 400, "GET /v1/script?x=1": 400, "HEAD /v1/lists?x": 400,
		"POST /v1/check?dry-run": 400, "GET /healthz?x": 200, "GET /v1/none?x": 404, "PUT /v1/lists?x": 405,
	} {
		method, path, _ := strings.Cut(request, " ")
		if x := s.do(t, exchange{key: "reader", method: method, path: path}); x.status != want {
			t.Errorf("%s: %d %s", request, x.status, x.answer)
		}
	}
}

func TestContentTypes(t *testing.T) {
	s := start(t, siteFiles)
	for kind, want := range map[string]int{"": 200, "application/json": 200, "application/json; charset=utf-8": 200,
		"application/merge-patch+json": 200, "text/json": 200, "application/x-www-form-urlencoded": 200,
		"text/plain": 415, "application/toml": 415, "multipart/form-data; boundary=x": 415, "json": 415, "x/y/z": 415} {
		x := exchange{key: "reader", method: "POST", path: "/v1/check", body: `{"farms": {}}`}
		if kind != "" {
			x.header = map[string]string{"Content-Type": kind}
		}
		if x = s.do(t, x); x.status != want {
			t.Errorf("%q: %d, want %d", kind, x.status, want)
		}
	}
}

// Bodies that two readers could understand in two ways, or that are too large, are refused.
func TestBodies(t *testing.T) {
	s := start(t, siteFiles)
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for rule, body := range map[string]string{
		"nothing": "", "no object": "[]", "a text": `"x"`, "two documents": "{} {}", "a comma": `{"farms": {},}`,
		"half": `{"farms"`, "deep objects": deep, "deep lists": strings.Repeat("[", 100_000),
		"a key twice":           `{"farms": {}, "farms": {}}`,
		"a key twice below":     `{"farms": {"new": {"listen": "192.0.2.12:80", "listen": ""}}}`,
		"a key twice, escaped":  `{"farms": {}, "f\u0061rms": {}}`,
		"not UTF-8":             "{\"farms\": {\"new\": {\"listen\": \"\xff\xfe\"}}}",
		"overlong UTF-8":        "{\"farms\": {\"\xc0\xaf\": {}}}",
		"half a surrogate pair": `{"farms": {"new": {"listen": "\ud800"}}}`,
		"a byte order mark":     "\xef\xbb\xbf{\"farms\": {}}",
		"UTF-16":                "\xff\xfe{\x00}\x00",
		"NUL":                   "{\"farms\": {}}\x00",
		"NaN":                   `{"farms": {"new": {"state": NaN}}}`,
		"single quotes":         `{'farms': {}}`,
		"a form":                `farms=web`,
	} {
		x := s.do(t, exchange{key: "reader", method: "POST", path: "/v1/check", body: body})
		if x.status != 400 || !strings.HasPrefix(x.answer, `{"error":"`) && !strings.Contains(x.answer, `"farm":"",`) {
			t.Errorf("%s: %d %s", rule, x.status, x.answer)
		}
	}
}

// A document with very many faults has an answer with a part of them, which is not longer than the document.
func TestManyFaults(t *testing.T) {
	s := start(t, siteFiles)
	var unknown, checked, empty strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&unknown, `,"key%d":1`, i)
		fmt.Fprintf(&checked, `,"farm%d":{"":1}`, i)
		fmt.Fprintf(&empty, `,"farm%d":{}`, i)
	}
	for _, tt := range []struct{ key, method, path, body string }{
		{"checker", "PUT", "/v1/health", `{"words":[{}` + strings.Repeat(",{}", 50_000) + `]}`},
		{"checker", "PUT", "/v1/health", `{"words":[1` + strings.Repeat(",1", maxWords) + `]}`},
		{"checker", "PUT", "/v1/farms/web/backends/b1/health", `{"healthy":true` + unknown.String() + `}`},
		{"stater", "PUT", "/v1/farms/web/backends/b1/state", `{"state":"up"` + unknown.String() + `}`},
		{"reader", "POST", "/v1/check", `{"farms":{` + checked.String()[1:] + `}}`},
		{"reader", "POST", "/v1/check", `{"farms":{` + empty.String()[1:] + `}}`},
	} {
		x := s.do(t, exchange{key: tt.key, method: tt.method, path: tt.path, body: tt.body})
		var answer problemDocument
		if err := json.Unmarshal([]byte(x.answer), &answer); err != nil {
			t.Fatal(err)
		}
		if x.status != 400 || len(answer.Faults) != maxFaults || len(x.answer) > len(tt.body) {
			t.Errorf("%s %s: %d with %d faults and %d bytes for %d: %.80s", tt.method, tt.path, x.status,
				len(answer.Faults), len(x.answer), len(tt.body), x.answer)
		}
	}
}

// The memory for the faults of a document does not grow with the document.
func TestMemoryOfManyFaults(t *testing.T) {
	f := keyReader{document: map[string]any{}}
	words := make([]any, maxWords)
	for i := range words {
		words[i] = map[string]any{}
		f.document[fmt.Sprint("key", i)] = i
	}
	if _ = f.err(); len(f.faults) > maxFaults {
		t.Errorf("there are %d faults of keys", len(f.faults))
	}
	document := map[string]any{"words": words}
	if n := testing.AllocsPerRun(1, func() { _, _ = sayings(document, "checker") }); n > maxWords {
		t.Errorf("%v pieces of memory for %d words", n, maxWords)
	}
}

// Words in such number that no checker needs them are refused.
func TestTooManyWords(t *testing.T) {
	s := start(t, siteFiles)
	const word = `{"farm":"web","backend":"b1","healthy":true}`
	for words, want := range map[int]int{1000: 200, maxWords + 1: 400} {
		body := `{"words":[` + word + strings.Repeat(","+word, words-1) + `]}`
		x := s.do(t, exchange{key: "checker", method: "PUT", path: "/v1/health", body: body})
		if x.status != want || (want == 400) != strings.Contains(x.answer, "words has 100001 words, at most 100000") {
			t.Errorf("%d words: %d %s", words, x.status, x.answer)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	s := start(t, siteFiles)
	check := s.head("POST", "/v1/check")
	if got := s.raw(t, "127.0.0.1", check+"Content-Length: 104857600\r\n\r\n{"); len(got) != 1 || got[0][:3] != "413" {
		t.Errorf("100 MB that are announced: %q", got)
	}
	c := s.dial(t, "127.0.0.1")
	defer c.Close()
	var sent atomic.Int64
	go func() {
		_, _ = io.WriteString(c, check+"Transfer-Encoding: chunked\r\n\r\n")
		chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
		for range 100 << 20 / 0x10000 {
			n, err := io.WriteString(c, chunk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}()
	if got := statuses(t, c); len(got) != 1 || got[0][:3] != "413" {
		t.Errorf("100 MB in chunks: %q after %d bytes", got, sent.Load())
	}
	if got := s.bodies.used.Load(); got != 0 {
		t.Errorf("%d bytes of bodies are counted at the end", got)
	}
	header := "X: " + strings.Repeat("a", maxHeader) + "\r\n\r\n"
	if got := s.raw(t, "127.0.0.1", s.head("GET", "/v1/farms")+header); len(got) != 1 || got[0][:3] != "431" {
		t.Errorf("large headers: %q", got)
	}
	without := "POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 16777216\r\n\r\n"
	if got := s.raw(t, "127.0.0.1", without+strings.Repeat(" ", 1<<20)); len(got) != 1 || got[0][:3] != "401" {
		t.Errorf("a large body without a key: %q", got)
	}
}

func TestChunkedBody(t *testing.T) {
	s := start(t, siteFiles)
	got := s.raw(t, "127.0.0.1", s.head("POST", "/v1/check")+
		"Transfer-Encoding: chunked\r\n\r\n6\r\n{\"farm\r\n8\r\ns\": {}} \r\n0\r\n\r\n")
	if fmt.Sprint(got) != "[200 OK]" {
		t.Errorf("%q", got)
	}
}

// Requests have no end that two programs could see at two places: they get one answer, and no second request is read.
func TestSmuggling(t *testing.T) {
	s := start(t, siteFiles)
	get := s.head("GET", "/v1/farms")
	hidden := get + "\r\n"
	end := "0\r\n\r\n" + hidden // of chunks
	for rule, text := range map[string]string{
		"length and chunks":   get + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + end,
		"chunks and length":   get + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + end,
		"length in capitals":  get + "CONTENT-LENGTH: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + end,
		"two lengths":         get + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + hidden,
		"a list of lengths":   get + "Content-Length: 2, 3\r\n\r\n{}" + hidden,
		"a signed length":     get + "Content-Length: +2\r\n\r\n{}" + hidden,
		"a negative length":   get + "Content-Length: -1\r\n\r\n{}" + hidden,
		"a length in hex":     get + "Content-Length: 0x2\r\n\r\n{}" + hidden,
		"a blank before :":    get + "Content-Length : 2\r\n\r\n{}" + hidden,
		"two encodings":       get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + end,
		"an unknown encoding": get + "Transfer-Encoding: xchunked\r\n\r\n" + end,
		"gzip, chunked":       get + "Transfer-Encoding: gzip, chunked\r\n\r\n" + end,
		"a folded header":     get + "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length:\r\n\r\n" + hidden,
		"a bare CR":           get + "X: y\rTransfer-Encoding: chunked\r\n\r\n" + end,
		"no version":          "GET /v1/farms\r\n\r\n" + hidden,
		"version 0.9":         "GET /v1/farms HTTP/0.9\r\n\r\n" + hidden,
		"version 2":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden,
		"two hosts":           "GET /v1/farms HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + hidden,
		"no host":             "GET /v1/farms HTTP/1.1\r\n\r\n" + hidden,
		"a long chunk size": s.head("POST", "/v1/check") +
			"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + hidden,
		"an endless chunk": s.head("POST", "/v1/check") + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}" + hidden,
	} {
		got := s.raw(t, "127.0.0.1", text)
		if len(got) != 1 || !regexp.MustCompile("^(400|413|431|501|505)").MatchString(got[0]) {
			t.Errorf("%s: %q", rule, got)
		}
	}
}

const chunkedCheck = "Transfer-Encoding: chunked\r\n\r\nd\r\n{\"farms\": {}}\r\n0\r\n\r\n"

// No request is read after one with chunks: its head may have been hidden from the search for Content-Length.
func TestChunksEndTheConnection(t *testing.T) {
	s := start(t, siteFiles)
	get, chunked := s.head("GET", "/v1/farms")+"\r\n", s.head("POST", "/v1/check")+chunkedCheck
	if got := s.raw(t, "127.0.0.1", chunked+get); fmt.Sprint(got) != "[200 OK]" {
		t.Errorf("a request after one with chunks: %q", got)
	}
	if got := s.raw(t, "127.0.0.1", get+get+chunked+get); fmt.Sprint(got) != "[200 OK 200 OK 200 OK]" {
		t.Errorf("pipelined requests: %q", got)
	}
}

// The search for Content-Length sees the head of one request, and not that of the request before.
func TestLengthOfTheRequestBefore(t *testing.T) {
	s := start(t, siteFiles)
	c := s.dial(t, "127.0.0.1")
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	post, in := s.head("POST", "/v1/check"), bufio.NewReader(c)
	for _, text := range []string{post + "Content-Length: 13\r\n\r\n{\"farms\": {}}", post + chunkedCheck} {
		_, _ = io.WriteString(c, text)
		a, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		if a.StatusCode != 200 {
			t.Errorf("%q: %s", text, a.Status)
		}
	}
}

// served fails the test if a client at an address is not served.
func (s *site) served(t *testing.T, from string) {
	t.Helper()
	if got := s.raw(t, from, s.head("GET", "/v1/farms")+"Connection: close\r\n\r\n"); fmt.Sprint(got) != "[200 OK]" {
		t.Errorf("a client at %s: %q", from, got)
	}
}

// A thousand connections, each of which sends a header slowly, hinder neither clients at the same address nor others.
func TestManySlowConnections(t *testing.T) {
	s := newSite(t, siteFiles)
	s.serving.ReadHeaderTimeout, s.serving.ReadTimeout = time.Hour, time.Hour
	s.address = s.serve(t, listen(t))
	early := s.dial(t, "127.0.0.1") // another client, which is idle
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for n := range 1000 {
		c := s.dial(t, "127.0.0.2")
		open = append(open, c)
		_, _ = io.WriteString(c, "GET /v1/farms HTTP/1.1\r\nX: ")
		if n%100 == 99 {
			s.served(t, "127.0.0.1")
			s.served(t, "127.0.0.2")
		}
	}
	s.conns.mu.Lock()
	if n := len(s.conns.conns); n > maxConnections {
		t.Errorf("%d connections are open", n)
	}
	s.conns.mu.Unlock()
	for range 3 {
		for _, c := range open {
			_, _ = c.Write([]byte("a"))
		}
		s.served(t, "127.0.0.1")
	}
	_, _ = io.WriteString(early, s.head("GET", "/v1/farms")+"Connection: close\r\n\r\n")
	if got := statuses(t, early); fmt.Sprint(got) != "[200 OK]" {
		t.Errorf("the oldest connection is of another client, and answers %q", got)
	}
}

// A header that arrives byte by byte is not waited for longer than sendTime.
func TestSlowHeader(t *testing.T) {
	s := newSite(t, siteFiles)
	if s.serving.ReadHeaderTimeout != sendTime || s.serving.ReadTimeout != sendTime {
		t.Errorf("the server waits %s and %s", s.serving.ReadHeaderTimeout, s.serving.ReadTimeout)
	}
	s.serving.ReadHeaderTimeout, s.serving.ReadTimeout = 300*time.Millisecond, 300*time.Millisecond
	s.address = s.serve(t, listen(t))
	slow := s.dial(t, "127.0.0.1")
	defer slow.Close()
	go func() {
		for _, b := range []byte(s.head("GET", "/v1/farms") + strings.Repeat("x", 1000)) {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if got := statuses(t, slow); len(got) != 1 || got[0][:3] != "408" {
		t.Errorf("a slow header: %q", got)
	}
	body := s.dial(t, "127.0.0.1")
	defer body.Close()
	_, _ = io.WriteString(body, s.head("POST", "/v1/check")+"Content-Length: 100\r\n\r\n{")
	if got := statuses(t, body); len(got) != 1 || got[0][:3] != "408" {
		t.Errorf("a slow body: %q", got)
	}
}

// Requests that are being answered keep their connections, and a new client is served nevertheless.
func TestBusyConnections(t *testing.T) {
	release := make(chan struct{})
	var waiting atomic.Int32
	s := start(t, siteFiles, Route{"GET", "/v1/wait", apikey.ReadAll,
		func(_ *Server, w http.ResponseWriter, _ *http.Request) error {
			waiting.Add(1)
			<-release
			w.WriteHeader(http.StatusNoContent)
			return nil
		}})
	answers := make(chan string, 2*maxConnections)
	for range maxConnections {
		c := s.dial(t, "127.0.0.2")
		defer c.Close()
		_, _ = io.WriteString(c, s.head("GET", "/v1/wait")+"Connection: close\r\n\r\n")
		go func() { answers <- fmt.Sprint(statuses(t, c)) }()
	}
	for waiting.Load() < maxConnections {
		time.Sleep(time.Millisecond)
	}
	more := s.raw(t, "127.0.0.2", s.head("GET", "/v1/farms")+"Connection: close\r\n\r\n")
	if len(more) != 1 || more[0][:3] != "503" {
		t.Errorf("one more connection of the same client: %q", more)
	}
	s.served(t, "127.0.0.1")
	close(release)
	got := map[string]int{}
	for range maxConnections {
		got[<-answers]++
	}
	if got["[204 No Content]"] != maxConnections-1 { // one made room for the other client
		t.Errorf("the answers are %v", got)
	}
}

func TestBusyAnswerHasItsLength(t *testing.T) {
	head, body, _ := strings.Cut(busyAnswer, "\r\n\r\n")
	if want := fmt.Sprintf("Content-Length: %d", len(body)); !strings.Contains(head, want) {
		t.Errorf("the body has %d bytes: %s", len(body), head)
	}
}
