package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"farmc/cmd/internal/api"
	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/overview"
	"farmc/cmd/internal/systemd"
)

// apiOptions are the options of watch and api about the API.
type apiOptions struct {
	addresses         []string
	keys              string
	certFile, keyFile string
	insecure          bool
	readOnly          []string // directories of farms
	nftlb             []string // words of --api-nftlb
}

// defaultKeys is the file of keys without --api-keys and without a credential.
const defaultKeys = "/etc/farmc/api.keys"

func (c *call) apiFlags() {
	c.set.StringArrayVar(&c.api.addresses, "api", nil, "`address` where the API answers, such as\n"+
		"unix:/run/farmc/api.sock or 127.0.0.1:5555; repeatable")
	c.keysFlag()
	c.set.StringVar(&c.api.certFile, "tls-cert", "", "`file` with the certificate of the API, in PEM")
	c.set.StringVar(&c.api.keyFile, "tls-key", "", "`file` with the key of the certificate, in PEM")
	c.set.BoolVar(&c.api.insecure, "api-insecure", false, "let other machines connect without TLS")
}

func (c *call) keysFlag() {
	c.set.StringVar(&c.api.keys, "api-keys", "", "`file` of API keys (default: the credential api.keys of systemd,\n"+
		"else "+defaultKeys+")")
}

// keysPath returns the path of the file of keys.
func (o apiOptions) keysPath() string {
	if o.keys != "" {
		return o.keys
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path := filepath.Join(dir, "api.keys")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return defaultKeys
}

// An apiServer is the API of watch.
type apiServer struct {
	*apiListeners
	watcher  *watcher
	reader   *live.Reader
	view     *overview.View
	queue    *live.Queue
	observer *observer
}

// apiListeners are the sockets where clients reach the API.
type apiListeners struct {
	*call
	server  *api.Server
	open    []net.Listener // of the service manager
	listen  []api.Address
	serving sync.WaitGroup
}

// newAPI returns the API that the options ask for; nil if they ask for none. An error is about the options.
func (c *call) newAPI(e *live.Engine) (*apiServer, error) {
	listeners, err := c.apiListeners()
	if err != nil {
		return nil, err
	}
	s := &apiServer{apiListeners: listeners, reader: live.NewReader(e)}
	if !s.any() && c.relay == "" && !c.checks {
		return nil, c.api.unused()
	}
	s.reader.KeepWarm()
	keys := c.apiKeys(e)
	s.server = api.NewServer(s.reader, s, keys, c.log)
	s.server.Applier = s
	c.servePages(s.server, keys)
	s.overlook()
	if err := s.serveNFTLB(); err != nil {
		return nil, err
	}
	s.observe(e)
	return s, nil
}

// apiListeners returns the sockets that the options ask for, and those of the service manager. An error is about the
// options.
func (c *call) apiListeners() (*apiListeners, error) {
	s := &apiListeners{call: c}
	if err := s.parse(); err != nil {
		return nil, err
	}
	open, err := systemd.Listeners()
	if err != nil {
		c.printError(err)
	}
	for _, l := range open {
		s.take(l)
	}
	return s, nil
}

// any reports whether there is an address.
func (s *apiListeners) any() bool { return len(s.listen) > 0 || len(s.open) > 0 }

// apiKeys returns the keys of the API.
func (c *call) apiKeys(e *live.Engine) *apikey.File {
	return apikey.NewFile(func() (io.ReadCloser, error) { return e.OpenTrusted(c.api.keysPath()) }, c.log)
}

// parse reads the addresses, and checks --relay.
func (s *apiListeners) parse() error {
	if (s.api.certFile == "") != (s.api.keyFile == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	for _, text := range s.api.addresses {
		a, err := api.ParseAddress(text)
		if err == nil {
			err = s.api.admit(a)
		}
		if err != nil {
			return fmt.Errorf("--api: %w", err)
		}
		s.listen = append(s.listen, a)
	}
	for _, dir := range s.api.readOnly {
		isDir := func(path string) bool { return filepath.Clean(path) == filepath.Clean(dir) }
		if !slices.ContainsFunc(s.dirPaths(), isDir) {
			return fmt.Errorf("--read-only-dir: %s is not a directory of farms", dir)
		}
	}
	if s.relay == "" {
		return nil
	}
	if _, err := api.ParseAddress("unix:" + s.relay); err != nil {
		return fmt.Errorf("--relay: %w", err)
	}
	return nil
}

// admit returns an error for an address where keys would pass a network unencrypted.
func (o apiOptions) admit(a api.Address) error {
	if !a.Remote() || o.certFile != "" || o.insecure {
		return nil
	}
	return fmt.Errorf("other machines reach %s: give --tls-cert and --tls-key, or --api-insecure", a)
}

// unused returns an error if options have no effect because the API has no address.
func (o apiOptions) unused() error {
	if o.certFile == "" && o.keys == "" && !o.insecure && o.readOnly == nil && o.nftlb == nil {
		return nil
	}
	return errors.New("options of the API need --api")
}

// take takes over a socket of the service manager.
func (s *apiListeners) take(l net.Listener) {
	a, err := api.AddressOf(l)
	if err == nil {
		err = s.api.admit(a)
	}
	if err != nil {
		s.printError(fmt.Errorf("API: %w", err))
		l.Close()
		return
	}
	s.open = append(s.open, l)
}

// start answers requests until ctx is done, also those of farmc api.
func (s *apiServer) start(ctx context.Context) {
	s.queue = live.NewQueue(s.watcher.engine.For(s.log, "API", true), s.written)
	s.serving.Go(func() { s.server.Health.Run(ctx) })
	s.follow(ctx)
	s.answer(ctx)
	if s.checks {
		s.serving.Go(func() { s.checkHealth(ctx) })
	}
	if s.relay != "" {
		s.serving.Go(func() {
			if l := s.listenTo(ctx, api.Address{Path: s.relay}); l != nil {
				s.server.ServeRelay(ctx, l)
			}
		})
	}
}

// answer answers requests of clients until ctx is done. Farms are applied also while an address cannot be had: it is
// tried again.
func (s *apiListeners) answer(ctx context.Context) {
	for _, l := range s.open {
		s.serving.Go(func() { s.serve(ctx, l) })
	}
	for _, a := range s.listen {
		s.serving.Go(func() {
			if l := s.listenTo(ctx, a); l != nil {
				s.serve(ctx, l)
			}
		})
	}
}

// listenTo listens on an address; nil if ctx is done before that succeeds.
func (s *apiListeners) listenTo(ctx context.Context, a api.Address) (l net.Listener) {
	s.retry(ctx, func() (err error) {
		l, err = api.Listen(ctx, a)
		return err
	})
	return l
}

// serve answers requests of a listener. Over TCP it needs the certificate first.
func (s *apiListeners) serve(ctx context.Context, l net.Listener) {
	if _, isTCP := l.Addr().(*net.TCPAddr); isTCP && s.api.certFile != "" {
		s.retry(ctx, func() error {
			certificate, err := api.NewCertificate(s.api.certFile, s.api.keyFile, s.log)
			if err == nil {
				l = api.WithTLS(l, certificate)
			}
			return err
		})
	}
	if ctx.Err() != nil {
		l.Close()
		return
	}
	s.server.Serve(ctx, l)
}

// listenPause is the time between two attempts to listen.
const listenPause = 5 * time.Second

// retry calls do until it succeeds or ctx is done. The first error is logged.
func (s *apiListeners) retry(ctx context.Context, do func() error) {
	for reported := false; ctx.Err() == nil; {
		err := do()
		if err == nil {
			return
		}
		if !reported {
			s.printError(fmt.Errorf("API: %w", err))
			reported = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenPause):
		}
	}
}

// engineFor returns the engine for a request, which is the cause of its events.
func (s *apiServer) engineFor(by string) *live.Engine {
	e := s.watcher.engine
	return e.For(e.Log, "API: "+by, true)
}

// Ban bans a client from a farm.
func (s *apiServer) Ban(ctx context.Context, by string, q live.BanRequest) (live.BanResult, error) {
	b, err := s.engineFor(by).Ban(ctx, q)
	if err == nil && !q.DryRun {
		s.log("API: %s: %s is banned from %s for %s", by, b.Client, q.Farm, timeLeft(b.Duration))
	}
	return b, err
}

// Unban ends a ban.
func (s *apiServer) Unban(ctx context.Context, by string, q live.BanRequest) (was bool, err error) {
	was, err = s.engineFor(by).Unban(ctx, q)
	if was && !q.DryRun {
		s.log("API: %s: %s is no longer banned from %s", by, q.Client, q.Farm)
	}
	return was, err
}

// wait waits for the end of all requests.
func (s *apiServer) wait() {
	if s != nil {
		s.serving.Wait()
	}
}
