package checker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/source"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// A Client is the API of farmc watch, for the words of one checker.
type Client struct {
	by   string
	key  func() (string, error)
	http *http.Client

	tag   string               // of the last list of farms
	farms map[string]knownFarm // of the last list
	asks  map[Name]bool        // the API can have a word about these backends
}

// A knownFarm is a farm of a list, and its checks.
type knownFarm struct {
	document []byte
	hosts    farm.Answers
	checks   []Check
}

// maxAnswer bounds an answer of the API, in bytes. The list of 30,000 farms has a sixth of it.
const maxAnswer = 256 << 20

// NewClient returns a client of the API on a unix socket. The key is read for each request; "": root needs none.
func NewClient(socket, by string, key func() (string, error)) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{by: by, key: key, farms: map[string]knownFarm{},
		http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConns: 8, MaxIdleConnsPerHost: 8,
			IdleConnTimeout: 30 * time.Second}}}
}

// ValidName returns an error for a name of a checker that the API does not take.
func ValidName(name string) error {
	isPlain := func(r rune) bool { return r < 0x7f && r > ' ' }
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !isPlain(r) }) {
		return fmt.Errorf("the name of a checker has 1 to %d printable characters of ASCII without spaces", maxName)
	}
	return nil
}

const maxName = 64

// errAPI is an answer other than success.
type errAPI struct {
	status int
	text   string
}

func (e errAPI) Error() string { return e.text }

// ask sends a request, and gives the answer to read if its status is wanted.
func (c *Client) ask(ctx context.Context, r *http.Request, read func(*http.Response) error, wanted ...int) error {
	key, err := c.key()
	if err != nil {
		return err
	}
	if key != "" {
		r.Header.Set("Key", key)
	}
	answer, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		return withoutURL(err)
	}
	defer answer.Body.Close()
	body := io.LimitReader(answer.Body, maxAnswer)
	answer.Body = io.NopCloser(body)
	defer io.Copy(io.Discard, body)
	for _, status := range wanted {
		if answer.StatusCode == status {
			return read(answer)
		}
	}
	return refusal(answer.StatusCode, body)
}

// withoutURL returns the cause of an error of http.Client, whose URL says nothing: the host is a unix socket.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// refusal returns the error of an answer.
func refusal(status int, body io.Reader) error {
	var document struct{ Error string }
	_ = json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&document)
	if document.Error == "" {
		document.Error = http.StatusText(status)
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		document.Error += ": the checker needs a key of role health"
	}
	return errAPI{status, fmt.Sprintf("the API answers %d: %s", status, diag.Printable(document.Error))}
}

func request(method, path string, document any) *http.Request {
	text, err := json.Marshal(document)
	if err != nil {
		panic(err) // words have a form in JSON
	}
	var body io.Reader
	if document != nil {
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, "http://farmc"+path, body)
	if err != nil {
		panic(err) // the parts of paths are escaped
	}
	return r
}

// Checks returns the checks of all farms. A farm with a fault keeps the checks that it had before.
func (c *Client) Checks(ctx context.Context) (checks []Check, err error) {
	r := request(http.MethodGet, "/v1/farms", nil)
	if c.tag != "" {
		r.Header.Set("If-None-Match", c.tag)
	}
	err = c.ask(ctx, r, func(answer *http.Response) error {
		if answer.StatusCode == http.StatusNotModified {
			return ErrSame
		}
		if err := c.readFarms(answer.Body); err != nil {
			return fmt.Errorf("the list of farms: %w", err)
		}
		c.tag = answer.Header.Get("ETag")
		return nil
	}, http.StatusOK, http.StatusNotModified)
	if err != nil {
		return nil, err
	}
	for _, f := range c.farms {
		checks = append(checks, f.checks...)
	}
	return checks, nil
}

// A farmItem is a farm of the list.
type farmItem struct {
	Name    string
	Farm    json.RawMessage
	Hosts   farm.Answers
	Sources []string
	Faults  []json.RawMessage
}

func (c *Client) readFarms(body io.Reader) error {
	var list struct{ Farms []farmItem }
	if err := json.NewDecoder(body).Decode(&list); err != nil {
		return err
	}
	farms, asks := map[string]knownFarm{}, map[Name]bool{}
	for _, item := range list.Farms {
		f, err := item.read(c.farms[item.Name])
		if err != nil {
			return err
		}
		farms[item.Name] = f
		for _, check := range f.checks {
			asks[check.Name] = check.StartsDown || item.hasWord(check.Backend)
		}
	}
	c.farms, c.asks = farms, asks
	return nil
}

// read returns the checks of a farm, which may be those of the list before.
func (item farmItem) read(before knownFarm) (knownFarm, error) {
	if len(item.Faults) > 0 || item.is(before) {
		return before, nil
	}
	document, faults := edit.Decode(bytes.NewReader(item.Farm))
	if len(faults) > 0 {
		return before, fmt.Errorf("farm %s: %s", diag.Printable(item.Name), faults[0])
	}
	text, faults := edit.Write(checkKeys(document))
	if len(faults) > 0 {
		return before, fmt.Errorf("farm %s: %s", diag.Printable(item.Name), faults[0])
	}
	f := farm.ReadText(item.Name, text, item.Hosts).Farm()
	if f == nil {
		return before, fmt.Errorf("farm %s: no table", diag.Printable(item.Name))
	}
	return knownFarm{item.Farm, item.Hosts, Of([]*farm.Farm{f})}, nil
}

// is reports whether the farm and the addresses of its hostnames are those of a list before.
func (item farmItem) is(before knownFarm) bool {
	return bytes.Equal(item.Farm, before.document) && maps.EqualFunc(item.Hosts, before.hosts, slices.Equal)
}

// checkKeys returns the part of a farm that concerns checks. The other keys can name lists, which are not here.
func checkKeys(document edit.Document) edit.Document {
	out := edit.Document{}
	for _, key := range []string{"listen", "mode", "interfaces", "backends", "health"} {
		if value, has := document[key]; has {
			out[key] = value
		}
	}
	return out
}

// hasWord reports whether the farm has a drop-in with words about a backend.
func (item farmItem) hasWord(backend string) bool {
	name := path.Base(source.HealthDropIn(item.Name, backend))
	return slices.ContainsFunc(item.Sources, func(file string) bool { return path.Base(file) == name })
}

// presentAtOnce is the number of requests for words at once.
const presentAtOnce = 4

// Present returns the words of this checker about backends.
func (c *Client) Present(ctx context.Context, names []Name) (map[Name]Verdict, error) {
	var mu sync.Mutex
	out := map[Name]Verdict{}
	questions, ctx := errgroup.WithContext(ctx)
	questions.SetLimit(presentAtOnce)
	for _, n := range names {
		if !c.asks[n] {
			continue
		}
		questions.Go(func() error {
			v, err := c.present(ctx, n)
			mu.Lock()
			defer mu.Unlock()
			out[n] = v
			return err
		})
	}
	return out, questions.Wait()
}

// present returns the verdict in force about a backend, if this checker has a word about it.
func (c *Client) present(ctx context.Context, n Name) (v Verdict, err error) {
	var words struct {
		Healthy bool
		Words   []struct {
			By, Reason      string
			Healthy, Lapsed bool
			Weight          int
		}
	}
	err = c.ask(ctx, request(http.MethodGet, n.path(), nil), func(answer *http.Response) error {
		return json.NewDecoder(answer.Body).Decode(&words)
	}, http.StatusOK)
	if isStatus(err, http.StatusNotFound) {
		return Verdict{}, nil
	}
	for _, w := range words.Words {
		if w.By == c.by {
			v = Verdict{Known: true, Healthy: w.Healthy, Percent: w.Weight, Reason: w.Reason}
			if w.Lapsed {
				v.Healthy = words.Healthy
			}
		}
	}
	return v, err
}

func isStatus(err error, status int) bool {
	var e errAPI
	return errors.As(err, &e) && e.status == status
}

func (n Name) path() string {
	return "/v1/farms/" + url.PathEscape(n.Farm) + "/backends/" + url.PathEscape(n.Backend) + "/health"
}

// A wordDocument is a word as the API takes it.
type wordDocument struct {
	Farm    string `json:"farm"`
	Backend string `json:"backend"`
	By      string `json:"by"`
	Healthy bool   `json:"healthy"`
	Weight  int    `json:"weight"`
	Reason  string `json:"reason"`
	For     string `json:"for"`
	Took    string `json:"took,omitempty"`
	Next    string `json:"next,omitempty"`
	Late    string `json:"late,omitempty"`
	Flaps   bool   `json:"flaps,omitempty"`
}

// period writes a time that is a millisecond at least; "" for an unknown one.
func period(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return toml.FormatDuration(max(d.Round(time.Millisecond), time.Millisecond))
}

// Say says words in one request, and takes back words in a request each.
func (c *Client) Say(ctx context.Context, words []Word) (refused map[int]error, err error) {
	refused = map[int]error{}
	documents, indexes := []wordDocument{}, map[Name]int{}
	for i, w := range words {
		if w.Withdrawn {
			if err := c.withdraw(ctx, w.Name); err != nil {
				return nil, err
			}
			continue
		}
		indexes[w.Name] = i
		documents = append(documents, wordDocument{w.Farm, w.Backend, c.by, w.Healthy, w.Percent,
			shortened(w.Reason), toml.FormatDuration(w.For.Round(time.Second)), period(w.Took), period(w.Next),
			period(w.Late), w.Flaps})
	}
	if len(documents) == 0 {
		return refused, nil
	}
	return refused, c.put(ctx, documents, func(n Name, err error) {
		if i, said := indexes[n]; said {
			refused[i] = err
		}
	})
}

// put sends words, and calls refuse for each one that is not in force.
func (c *Client) put(ctx context.Context, words []wordDocument, refuse func(Name, error)) error {
	body := map[string]any{"words": words}
	return c.ask(ctx, request(http.MethodPut, "/v1/health", body), func(answer *http.Response) error {
		var document struct {
			Faults []struct{ Farm, Key, Message string }
		}
		if err := json.NewDecoder(answer.Body).Decode(&document); err != nil {
			return err
		}
		for _, f := range document.Faults {
			refuse(Name{f.Farm, strings.TrimPrefix(f.Key, "backends.")}, errors.New(diag.Printable(f.Message)))
		}
		return nil
	}, http.StatusOK, http.StatusConflict)
}

func (c *Client) withdraw(ctx context.Context, n Name) error {
	nothing := func(*http.Response) error { return nil }
	path := n.path() + "?by=" + url.QueryEscape(c.by)
	return c.ask(ctx, request(http.MethodDelete, path, nil), nothing, http.StatusOK, http.StatusNotFound,
		http.StatusConflict)
}
