# make          build ./farmc
# make demo     see it work, in network namespaces of its own
# make test     all tests; one case: go test ./golden-or-package -run 'Name/case' (see README.md)
# make golden   write the expected outputs anew; then read the difference as code
# make shows    reloads with many connections, edits in all ways, kills at many moments: minutes, and the figures
# make bench    what farms cost, from their files to the kernel; FARMS=1000 KINDS= for a quick look
# make ci       what a change has to pass

GO ?= go
# A clone that belongs to somebody else (make demo as root) is none of git's business.
export GOFLAGS += -buildvcs=false

.PHONY: build demo bench shows test golden fuzz format vet lint tidy goldens ci clean go-found

build: go-found
	$(GO) build -o farmc ./cmd/farmc

go-found:
	@.ci/go

demo: build
	@.ci/need nft=nftables
	@$(GO) run ./cmd/demo ./farmc farms.d

# The reference rulesets are loaded in the same run: what counts are the ratios, as machines differ.
FARMS ?= 10,1000,10000
KINDS ?= 1000
bench: build
	@.ci/need nft=nftables
	@$(GO) run ./cmd/bench -farms '$(FARMS)' -kinds '$(KINDS)' ./farmc

test: go-found
	@.ci/need nft=nftables ip=iproute2 sysctl=procps patch=patch
	$(GO) test ./...

shows: go-found
	@.ci/need nft=nftables ip=iproute2 sysctl=procps
	SHOWS=1 $(GO) test ./cmd/internal/packettest ./cmd/farmc -run 'TestRush|TestClientsMeetAgain|TestKilled|TestEditsWatched|TestStorm|TestFromCloseToCommit' -count 1 -timeout 30m -v

golden: go-found
	$(GO) test ./compiler -run Golden -update

# A while of random input beyond what make test holds: make fuzz FOR=10m
FOR ?= 1m
fuzz: go-found
	$(GO) test ./compiler -run '^$$' -fuzz '^FuzzKeys$$' -fuzztime $(FOR)
	$(GO) test ./compiler -run '^$$' -fuzz '^FuzzCompile$$' -fuzztime $(FOR)

format:
	@wrong=$$(gofmt -l .); if [ -n "$$wrong" ]; then echo "gofmt these:" $$wrong >&2; exit 1; fi

vet:
	$(GO) vet ./...

lint:
	$(GO) tool staticcheck ./...

tidy:
	$(GO) mod tidy -diff

# The expected outputs are what make golden writes.
goldens: golden
	@.ci/need git=git
	@if [ -n "$$(git status --porcelain golden)" ]; then git status --short golden; git diff golden; exit 1; fi

ci: go-found format vet lint tidy
	CI=true $(MAKE) test
	$(MAKE) goldens
	$(MAKE) demo

clean:
	rm -f farmc
