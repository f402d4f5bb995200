// Package live applies farms to the kernel of this machine: it compiles them, loads the script with nft in one
// transaction, and records the load in the state directory. It also reports the state of loaded farms, restores rules
// that another program changed, and rolls back.
//
// The package knows compiler, nft, conntrack and the state directory. It does not know command lines, terminals or
// systemd: package farmc turns plans, diagnostics and errors into output. It writes no nft syntax of its own.
//
// Order of the files: engine.go (Engine), plan.go (Plan: description of a load) and apply.go (Apply) are the entry
// points. compile.go compiles the source files, follow.go reads the changed ones alone; lock.go locks the state
// directory. load.go, counters.go, complaints.go and conntrack.go load the script; record.go says what the state
// directory keeps of a load. setaside.go leaves out faulty drop-ins. confirm.go, hold.go, rollback.go, restore.go,
// isolate.go and unload.go are variants of a load. write.go, batch.go, queue.go, files.go and filewrites.go change
// files together with a load; backendstate.go, backendweight.go, dropin.go, deadline.go and idle.go set states and
// weights of backends with them. tamper.go and loadwindow.go detect changes by other programs, replyguard.go drops
// replies while they have removed the rules. status.go, farmstatus.go, healthwords.go, kernelstatus.go and counting.go
// make the document of status. ban.go, newfarm.go and checkfile.go serve the commands of these names. findings.go
// reports findings about the machine once, lastlook.go keeps the ones that were reported. announce.go keeps the routes
// to announced addresses. snapshot.go, reader.go, yield.go, request.go, fault.go, backendnow.go and sessions.go answer
// questions of other programs while watch applies; observe.go and measures.go tell them of loads and numbers, bytes.go
// adds up the bytes of connections. movingslots.go follows open connections between loads.
//
// Below this package: source has the source files, permission checks who can change them, statedir keeps the state
// directory.
//
// Every method of Engine that loads rules holds the lock of the state directory, and so excludes other farmc
// processes. A process can be killed at any point: the order of the writes to the state directory keeps each
// intermediate state usable.
package live

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"farmc/cmd/internal/announce"
	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/source"
	"farmc/cmd/internal/statedir"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// An Engine applies the farms of directories to the kernel. Dirs, Nft, Store and Log must be set. Several goroutines
// can use an engine and its copies from For; each operation waits for the one before it.
type Engine struct {
	Dirs  []farm.Dir
	Nft   nft.Nft
	Store statedir.Store
	Log   func(format string, args ...any) // progress and events, one line a call

	Cause    string // command that loads, such as "farmc apply", for the history
	Isolate  bool   // load the correct farms even if others have faults
	Idle     bool   // load nothing while there is no farm and never was one
	Insecure bool   // warn, instead of refusing, if users other than root may write to farms or state

	Patience time.Duration // a load that waits longer for its turn fails with ErrBusy; 0: it waits

	Observer Observer // is told of loads, findings and bans; nil: none is

	Records Records // what this process remembers of the health of backends; nil: the drop-ins alone

	ReadOnly []string // paths of directories of farms that programs must not write to

	FollowsNetwork bool // the caller calls ForgetRoutes when routes may have changed; no compilation asks before

	FollowsFiles bool // inotify tells a compilation which files to read; the caller calls ReadAll for other changes

	ResolvesHosts bool // the caller asks DNS for hostnames, and calls KeepAnswers: no farm waits for an answer

	Routes        announce.Table // keeps the routes to announced addresses; 0: none are kept
	WithdrawDelay time.Duration  // from the removal of routes to the load that ends what they lead to

	counted *counterCache // nil: the elements that count are looked for each time

	monitor *Monitor // nil: changes by other programs are not detected
	warm    *warm    // nil before the first use
}

// warm is the memory of an engine and its copies.
type warm struct {
	mu          sync.Mutex        // held during an operation
	incremental compiler.Compiler // reuses farms of the last compilation that did not change
	bytes       *byteMeter        // of the last measures; nil: none
	kept        *compilation      // of the last load, in the result of lastLoaded; nil: none
	cached      *source.Files     // source files of the last compilation; nil: none
	known       *knownFiles       // the same, with the news of them; nil: the next compilation reads all files
	unseen      atomic.Bool       // files may have changed without news
	farms       []*farm.Farm      // farms of the last compilation; nil: none, or it had faults
	compiled    *compilation      // of the files as they are, the last one; nil: none

	routes map[netip.Addr]ruleset.Route // of the last compilation, if FollowsNetwork; nil: they are asked anew

	answers farm.Answers // of this process, with those of the state directory; nil: those of the state directory

	routeVersion uint64 // of routes, see ruleset.Machine

	inKernel atomic.Pointer[[]*farm.Farm] // farms whose rules this process has loaded or found; nil: none

	guard uint64 // handle of the table of the last guard of replies; 0: there was none

	sample atomic.Pointer[sample]          // of the last status of all farms; nil: none
	moving atomic.Pointer[map[string]bool] // names of maps with slots that a SlotMover moves; nil: none
}

// memory returns the memory of the engine. The first call is made before the engine has several users.
func (e *Engine) memory() *warm {
	if e.warm == nil {
		e.warm = &warm{}
	}
	return e.warm
}

// exclusive waits for other operations of the engine and its copies. An operation calls the result at its end.
func (e *Engine) exclusive() (release func()) {
	mu := &e.memory().mu
	mu.Lock()
	return mu.Unlock
}

// For returns an engine that shares the memory of e, for one user of a long-running process: with another log, and with
// another cause of loads for the history.
func (e *Engine) For(log func(format string, args ...any), cause string, isolate bool) *Engine {
	e.memory()
	other := *e
	other.Log, other.Cause, other.Isolate = log, cause, isolate
	return &other
}

// Forget empties the caches. The next compilation reads every file, and asks for all routes.
func (e *Engine) Forget() {
	defer e.exclusive()()
	e.warm.cached, e.warm.routes = nil, nil
	e.warm.unfollow()
}

// ForgetRoutes has the next compilation ask for all routes.
func (e *Engine) ForgetRoutes() {
	defer e.exclusive()()
	e.warm.routes = nil
}

// Dir returns the directory at path in the form that the compiler takes.
func Dir(path string) farm.Dir { return farm.Dir{Path: path, FS: os.DirFS(path)} }

// ErrFaulty reports faults in the farms, or a script that nft refuses. The diagnostics returned with it have the
// details.
var ErrFaulty = errors.New("nothing was loaded")

// ErrUnkept reports that the kernel took the rules, but the state directory could not be updated.
var ErrUnkept = errors.New("the rules are loaded, but could not be kept as last good")

// Compile compiles the farms for any machine, that is, as if all network interfaces exist. The script is nil if there
// are faults.
func (e *Engine) Compile() (*ruleset.Script, diag.Diagnostics) {
	script, _, diagnostics := e.compilePortable()
	return script, diagnostics
}

func (e *Engine) compilePortable() (*ruleset.Script, *source.Files, diag.Diagnostics) {
	permissions := e.newPermissions()
	defer permissions.Close()
	sources := &source.Files{}
	script, diagnostics := compiler.Compile(sources.Cached(e.sourceDirs(permissions, nil), nil, time.Now()))
	diagnostics = append(diagnostics, permissions.Diagnostics()...)
	if diagnostics.Faulty() {
		script = nil
	}
	return script, sources, diagnostics
}

// CompileForBoot compiles the farms for a machine without network interfaces. Rules that need an interface are left out
// without a diagnostic.
func (e *Engine) CompileForBoot() (*ruleset.Script, diag.Diagnostics) {
	script, sources, diagnostics := e.compilePortable()
	if script == nil {
		return nil, diagnostics
	}
	return (&compilation{script: script, sources: sources, incremental: &compiler.Compiler{}}).boot(), diagnostics
}

// Check compiles the farms and has nft check the script. Complaints of nft become diagnostics at the places in the
// farms that caused them. The error is nft.ErrCannotAsk if nft cannot check scripts here, and ErrFaulty if there are
// faults.
func (e *Engine) Check(ctx context.Context) (*ruleset.Script, diag.Diagnostics, error) {
	defer e.exclusive()()
	return e.checkCompiled(ctx, e.compile())
}

func (e *Engine) checkCompiled(ctx context.Context, c *compilation) (*ruleset.Script, diag.Diagnostics, error) {
	if c.diagnostics.Faulty() {
		return nil, c.diagnostics, ErrFaulty
	}
	script, asked := c.script, c.script
	if e.Nft.ChecksIsolated() { // nft runs in a namespace without interfaces
		asked = c.boot()
	}
	more, err := e.check(ctx, asked)
	if err != nil {
		script = asked // complaints refer to its lines
	}
	return script, append(c.diagnostics, more...), err
}

func (e *Engine) check(ctx context.Context, script *ruleset.Script) (diag.Diagnostics, error) {
	err := e.slowly("nft checks the script", script, func() error { return e.Nft.Check(ctx, script.Text) })
	return explainRefusal(script, err)
}

// slowly runs do, and logs the step if it takes longer than a second.
func (e *Engine) slowly(what string, script *ruleset.Script, do func() error) error {
	timer := time.AfterFunc(time.Second, func() {
		e.Log("%s (%d lines) ...", what, strings.Count(string(script.Text), "\n"))
	})
	defer timer.Stop()
	return do()
}
