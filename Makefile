# make          build ./farmc
# make demo     see it work, in network namespaces of its own
# make quick    go test -short ./...: unit tests and goldens, below 30 s
# make test     all tests but for the longer suites; one case: go test ./package -run 'Name/case'
# make test-slow  the tests of the compiler with random farms and kernel loads, and scenarios with a clock that jumps
# make test-ui  the pages of the API in Chromium, as root: flows, attacks, axe-core, pictures in dist/ui; minutes
# make golden   write the expected outputs anew; then read the difference as code
# make stress   reloads with many connections, edits in all ways, kills at many moments: minutes, and the figures
# make bench    what farms cost, in the compiler, and from their files to the kernel; FARMS=1000 KINDS= for a quick look
# make bench-api  what changes by a running farmc watch cost: commands, requests, metrics; OLD=farmc to compare with
# make packets  instructions of packets through farms, in a virtual machine; fails if a packet got dearer by more than 1 %
# make test-matrix  kernel loads and packet tests with the programs of Debian 12 and 13, on their kernels and this one
# make compare  the same through farmc, IPVS, HAProxy, and rules in the layouts of kube-proxy and nftlb
# make worst    time and memory of the inputs that cost most; fails above 1 GB and on a missing fault
# make manual   the manual pages, into man/
# make deb      build the Debian package into dist/
# make test-systemd   install it in a container, as root
# make etcd     build ./farmc-etcd; make test-etcd tests it, with etcd; make bench-etcd times a push to 10,000 farms
# make test-cluster   several balancers with routing daemons that die, come and are withdrawn under traffic: minutes
# make wording  the share of sentences that point in place of naming, and lines of Go that are too long
# make ci       what a change has to pass

GO ?= go
# A clone that belongs to somebody else (make demo as root) is none of git's business.
export GOFLAGS += -buildvcs=false

.PHONY: build manual deb lint-deb test-systemd demo bench bench-api vm packets compare test-matrix worst quick stress test test-packages test-compiler test-slow golden check-golden test-flood test-spread test-ui test-cluster etcd test-etcd bench-etcd fuzz format vet lint wording tidy ci clean go-found

build: go-found
	$(GO) build -o farmc ./cmd/farmc

go-found:
	@.ci/go

# farmc-etcd is a module of its own, because the client of etcd brings many others
etcd: go-found
	cd cmd/farmc-etcd && $(GO) build -o ../../farmc-etcd .

# From the start of farmc-etcd push to the record of the commit on a machine that mirrors: PUSHED=1000 for a quick look
PUSHED ?= 10000
bench-etcd: go-found
	@.ci/need nft=nftables
	@.ci/need --asleep etcd=etcd-server
	cd cmd/farmc-etcd && FARMS='$(PUSHED)' $(GO) test -run '^$$' -bench . -benchtime 10x .

test-etcd: go-found
	@.ci/need --asleep etcd=etcd-server
	program=$$($(GO) tool -n gotestsum) && cd cmd/farmc-etcd && $(if $(RERUN),"$$program" $(RERUN_OPTIONS) --packages . --,$(GO) test .)

# The manual pages, from the Markdown in cmd/manual, and the examples of farmc-examples(7): man -l man/farmc-modes.7
manual: go-found
	$(GO) run ./cmd/manual man

# With the Go that is here, as Debian 12's is older than farmc needs (-d: build dependencies aren't looked for among
# Debian's packages). A copy is built, as dpkg-buildpackage leaves its files around and beside what it builds.
deb: go-found
	@.ci/need dh=debhelper dpkg-buildpackage=dpkg-dev fakeroot=fakeroot
	rm -rf dist
	mkdir -p dist/farmc
	tar -c --exclude=./.git --exclude=./dist . | tar -x -C dist/farmc
	cd dist/farmc && DEB_BUILD_OPTIONS="nocheck $$DEB_BUILD_OPTIONS" dpkg-buildpackage -b -d --no-sign
	rm -rf dist/farmc
	@ls dist/*.deb

# Installs the package in a container with systemd, as root: a Debian of its own (45 s the first time, kept in
# $XDG_CACHE_HOME or /var/cache), in which farms are edited, and the package is upgraded, rebooted and purged: 2 minutes.
# Skipped with a word where that can't be had. RELEASE=trixie is Debian 13. OLDER=farmc.deb, built from an older tree, is
# upgraded from and gone back to. ETCD=1 tries the package farmc-etcd, too.
test-systemd: deb
	@.ci/need systemd-nspawn=systemd-container debootstrap=debootstrap nsenter=util-linux
	$(if $(ETCD),@.ci/need --asleep etcd=etcd-server)
	CGO_ENABLED=0 $(GO) test -timeout 30m -count=1 -v ./cmd/internal/packagetest -deb "$$(ls $(CURDIR)/dist/farmc_*.deb)" \
		-older "$(abspath $(OLDER))" $(if $(ETCD),-etcd-deb "$$(ls $(CURDIR)/dist/farmc-etcd_*.deb)" -etcd "$$(command -v etcd)")

demo: build
	@.ci/need nft=nftables
	@./farmc demo

# The reference rulesets are loaded in the same run: what counts are the ratios, as machines differ.
FARMS ?= 10,1000,10000
KINDS ?= 1000
bench: build
	@.ci/need nft=nftables
	@$(GO) test ./compiler ./compiler/toml ./cmd/internal/unifieddiff -run '^$$' -bench '^Benchmark(Compile|CompileAfterAChange|ScanKeys|Reload|Unified)$$'
	@$(GO) run ./cmd/bench -farms '$(FARMS)' -kinds '$(KINDS)' ./farmc

# With OLD=./farmc-before each change is made by that program in turn.
CHANGES ?= 200
bench-api: build
	@.ci/need nft=nftables
	@$(GO) run ./cmd/bench -manage '$(FARMS)' -changes '$(CHANGES)' $(if $(OLD),-old '$(OLD)') ./farmc

# Programs for Debians of their own (cmd/vm), which have no Go. The first use makes a Debian, in some minutes.
vm: go-found
	@.ci/need qemu-system-x86_64=qemu-system-x86 debootstrap=debootstrap xz=xz-utils || :
	CGO_ENABLED=0 $(GO) build -o dist/vm/ ./cmd/vm ./cmd/bench ./cmd/farmc

# Instructions of packets on Linux 6.1, as multiples of a rule by hand in the same run: cmd/bench/ratios.txt has the
# expected ones. 3 minutes; UPDATE=1 measures three times and writes them. ONLY=dsr measures some kinds, AMONG=1,10000
# among many farms of another kind, too, with ALIKE=1 of the same; KERNEL=trixie on Linux 6.12, without expectations.
KERNEL ?= bookworm
AMONG ?= 1
packets: vm
	@.ci/vm "make packets" -count -kernel $(KERNEL) -limit 60m dist/vm/bench -packets $(AMONG) -only '$(ONLY)' \
		$(if $(ALIKE),-alike) -expect cmd/bench/ratios.txt $(if $(UPDATE),-update) dist/vm/farmc

# farmc, IPVS, HAProxy, and rules in the layouts of kube-proxy and nftlb in one run: ONLY=IPVS compares some.
SERVICES ?= 1000
compare: vm
	@.ci/vm "make compare" -count -kernel $(KERNEL) -limit 10h dist/vm/bench -compare -services $(SERVICES) \
		-only '$(ONLY)' dist/vm/farmc

# Goldens, reloads and packets with the programs of Debian 12 and 13, on their kernels and this machine's: hours.
# TESTS=Queue, KERNELS=bookworm and USERLANDS=trixie select some.
test-matrix: vm
	cd compiler && CGO_ENABLED=0 $(GO) test -c -o ../dist/vm/compiler.test .
	cd compiler/reload && CGO_ENABLED=0 $(GO) test -c -o ../../dist/vm/reload.test .
	cd cmd/internal/packettest && CGO_ENABLED=0 $(GO) test -c -o ../../../dist/vm/packettest.test .
	@.ci/matrix

# The inputs of farmc-operations(7), WORST INPUTS: fails on memory above 1 GB and on a missing fault
worst: build
	@$(GO) run ./cmd/bench -worst ./farmc

# Tests of a package that run at once. They mostly wait, for packets that must not come and for times to pass: on two
# cores cmd/internal/packettest takes 296 s beside the others with 8 at once, and 267 to 301 s with 16.
PARALLEL ?= 8

# With RERUN=1, as in make ci, a test that failed runs once more, without the others, if no more than three failed: a
# machine with two cores can be too busy for a deadline in it. The last lines name such a test twice: mend it.
RERUN_OPTIONS = --format pkgname-and-test-fails --format-icons text --no-color \
	--rerun-fails=1 --rerun-fails-max-failures=3

# The tests that take seconds skip themselves with -short.
quick: go-found
	$(GO) test -short -parallel $(PARALLEL) ./...

# All tests, but for the longer suites: test-slow, test-flood, test-ui, test-cluster, test-systemd, stress. The packet
# tests take longest, so they begin first.
test: go-found
	@.ci/need nft=nftables ip=iproute2 sysctl=procps patch=patch man=man-db groff=groff-base curl=curl jq=jq python3=python3 \
		iptables=iptables ufw=ufw keepalived=keepalived dbus-daemon=dbus nvim=neovim
	@.ci/need --asleep firewalld=firewalld nginx=nginx-light redis-server=redis-server haproxy=haproxy \
		dnsmasq=dnsmasq-base bird=bird2
	$(MAKE) --jobs=2 --output-sync=target test-packages test-etcd test-compiler

test-packages: go-found
	packages="./cmd/internal/packettest $$($(GO) list ./... | grep -v '/compiler\(/\|$$\)' | tr '\n' ' ')"; \
		$(if $(RERUN),$(GO) tool gotestsum $(RERUN_OPTIONS) --packages "$$packages" --,$(GO) test $$packages) -timeout 20m -parallel $(PARALLEL)

test-compiler: go-found
	$(GO) test -short ./compiler/...

# The tests of the compiler, complete, and scenarios with a wall clock that jumps, for which all of Go is compiled again.
# Random farms and loads of all goldens into the kernel take two minutes.
test-slow: go-found
	@.ci/need nft=nftables ip=iproute2 jq=jq curl=curl
	$(GO) test -timeout 20m ./compiler/...
	TIME_JUMPS=1 $(GO) test -timeout 20m ./cmd/farmc -run '^TestTimeOfDayJumps$$'

stress: go-found
	@.ci/need nft=nftables ip=iproute2 sysctl=procps
	STRESS=1 $(GO) test ./cmd/internal/packettest ./cmd/farmc -run 'TestReloadUnderTraffic|TestReloadKeepsPersistence|TestKilled|TestHindered|TestEditsWatched|TestManaged|TestForgedSources|TestStorm|TestFromCloseToCommit' -count 1 -timeout 90m -v

golden: go-found
	$(GO) test ./compiler ./compiler/reload -run Golden -update

# What limits do against a flood of SYNs from 100,000 addresses, in network namespaces: some minutes
test-flood: go-found
	FARMC_FLOOD=all $(GO) test ./cmd/internal/packettest -run '^TestFlood$$' -v -count 1 -timeout 15m

# The open connections of backends, by scheduler; with those of IPVS where the kernel has it.
test-spread: go-found
	FARMC_SPREAD=all $(GO) test ./cmd/internal/packettest -run '^TestSpread$$' -v -count 1 -timeout 15m

# The pages of the API in a browser, in a network namespace: PICTURES=dir has the pictures, TESTS=scale.test.mjs shows
# 10,000 farms. npm fetches playwright-core and axe-core, of the versions in package-lock.json, once.
FLOWS = access.test.mjs flows.test.mjs hostile.test.mjs sessions.test.mjs
TESTS ?= $(FLOWS) pictures.test.mjs
test-ui: go-found
	@.ci/need nft=nftables ip=iproute2 chromium=chromium node=nodejs npm=npm
	cmd/internal/web/test/run $(TESTS)

# Three balancers behind a router, with the daemons of the examples, in network namespaces: some minutes. CHANGES=100
# makes fewer changes by etcd than 1,000.
test-cluster: go-found
	@.ci/need nft=nftables ip=iproute2 conntrack=conntrack
	@.ci/need --asleep bird=bird2 keepalived=keepalived conntrackd=conntrackd vtysh=frr etcd=etcd-server
	CLUSTER=1 $(GO) test ./cmd/internal/clustertest -v -count 1 -timeout 60m

# A while of random input beyond what make test holds: make fuzz FOR=10m
FOR ?= 1m
fuzz: go-found
	$(GO) test ./compiler/toml -run '^$$' -fuzz '^FuzzKeys$$' -fuzztime $(FOR)
	$(GO) test ./compiler -run '^$$' -fuzz '^FuzzCompile$$' -fuzztime $(FOR)
	$(GO) test ./cmd/internal/edit -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FOR) -fuzzminimizetime 2s
	$(GO) test ./cmd/internal/edit -run '^$$' -fuzz '^FuzzWrite$$' -fuzztime $(FOR) -fuzzminimizetime 2s
	$(GO) test ./cmd/internal/edit -run '^$$' -fuzz '^FuzzPatch$$' -fuzztime $(FOR) -fuzzminimizetime 2s
	$(GO) test ./cmd/internal/lsp -run '^$$' -fuzz '^FuzzScan$$' -fuzztime $(FOR) -fuzzminimizetime 2s

format:
	@wrong=$$(gofmt -l .); if [ -n "$$wrong" ]; then echo "gofmt these:" $$wrong >&2; exit 1; fi

vet:
	$(GO) vet ./...
	cd cmd/farmc-etcd && $(GO) vet ./...

lint:
	$(GO) tool staticcheck ./...
	program=$$($(GO) tool -n staticcheck) && cd cmd/farmc-etcd && "$$program" ./...

# The table of all packages, and each line that breaks a rule. It fails nothing until -report is deleted here.
WORDING ?=
wording: go-found
	@$(GO) run ./cmd/internal/wording $(WORDING)

tidy:
	$(GO) mod tidy -diff
	cd cmd/farmc-etcd && $(GO) mod tidy -diff

# The expected outputs are what make golden writes.
check-golden: golden
	@.ci/need git=git
	@if [ -n "$$(git status --porcelain golden)" ]; then git status --short golden; git diff golden; exit 1; fi

lint-deb: deb
	@.ci/need lintian=lintian
	lintian --fail-on error,warning dist/*.deb

ci: go-found format vet lint wording tidy
	CI=true $(MAKE) test test-slow RERUN=1
	$(MAKE) test-ui TESTS="$(FLOWS)"
	$(MAKE) check-golden
	$(MAKE) packets
	$(MAKE) demo
	$(MAKE) lint-deb test-systemd

clean:
	rm -rf farmc farmc-etcd man dist
