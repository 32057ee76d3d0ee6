# Everything a developer of this module runs. "make" alone lists the targets.

GO       ?= go
PKG      ?= ./...
FUZZTIME ?= 30s
MUTANTS  ?= 40
SEED     ?= 1
VECTORS  ?= ../shared/vectors
PROFILES ?= /tmp/chat-profiles
ARGS     ?= -check

.DEFAULT_GOAL := help
.PHONY: help ci fmt vet lint test flchat archive telemetry long race cover bench benchmarks profile fuzz mutate parity vectors vuln tidy docs pictures quickstart

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ci: ## what runs on every change
	./.ci/run

fmt: ## format every Go file
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

vet: ## go vet
	$(GO) vet $(PKG)

lint: ## golangci-lint, pinned in tools/go.mod (the first build takes minutes)
	GOWORK=off $(GO) -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	./bin/golangci-lint run $(PKG)

test: ## the everyday tests
	$(GO) test $(PKG)

telemetry: ## the tests of telemetry/otelchat, a module of its own with OpenTelemetry
	$(GO) -C telemetry/otelchat test ./...

flchat: ## the tests of cmd/flchat, a module of its own: terminals, pipes, the size of the program
	$(GO) -C cmd/flchat test ./...

archive: ## the tests of examples/archive, a module of its own with SQLite
	$(GO) -C examples/archive test ./...

long: ## all tests: also those that compile Go, start browsers and take their time
	CHAT_LONG=1 $(GO) test $(PKG)

race: ## the everyday tests, in random order, under the race detector
	$(GO) test -race -shuffle=on $(PKG)

cover: ## test coverage of the module, by function
	$(GO) test -coverpkg=./... -coverprofile=coverage.out $(PKG)
	$(GO) tool cover -func=coverage.out | tail -n 1

bench: ## this SDK beside other libraries, and whether the order of docs/performance.md is reproduced; ARGS=-write writes that page, -short is a quick look
	$(GO) -C bench run . $(ARGS)

benchmarks: ## all benchmarks of this module, with their ratios to a bare client
	$(GO) test -run '^$$' -bench . -benchmem $(PKG)

profile: ## where receive and send spend processor time and memory; the files stay in PROFILES (/tmp/chat-profiles)
	$(GO) -C bench run . -profile $(PROFILES)
	@top="$(GO) tool pprof -top"; for f in receive send send32; do \
		printf '\n== %s: processor time, by function\n' $$f; $$top -nodecount=20 $(PROFILES)/$$f.cpu.prof 2>/dev/null || exit 1; \
		printf '\n== %s: processor time of what is ours, with what it calls\n' $$f; $$top -cum -show=fliplet-chat-go -nodecount=30 $(PROFILES)/$$f.cpu.prof 2>/dev/null || exit 1; \
		printf '\n== %s: allocations, by function\n' $$f; $$top -sample_index=alloc_objects -nodecount=20 $(PROFILES)/$$f.allocs.prof 2>/dev/null || exit 1; \
	done

fuzz: ## every fuzz target for FUZZTIME (30s) each
	@for p in $$($(GO) list $(PKG)); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
		done; \
	done

mutate: ## MUTANTS (40) random defects of SEED (1), and which of them no test notices; goes on where it stopped
	$(GO) run ./internal/mutate -n $(MUTANTS) -seed $(SEED)

parity: ## break each row of docs/parity.md, and see its test fail (about an hour)
	CHAT_PARITY=1 $(GO) test -run 'TestParityRowsFailWhenTheyAreBroken|TestEveryParityRow' -timeout 120m -v .

vectors: ## every test against VECTORS (../shared/vectors), with its counts
	FLIPLET_CHAT_VECTORS=$(VECTORS) $(GO) test -count=1 -run Vectors -v ./internal/envelope/... ./internal/flipletd/...

vuln: ## known vulnerabilities; needs the vulnerability database on the network
	GOWORK=off $(GO) -C tools build -o ../bin/govulncheck golang.org/x/vuln/cmd/govulncheck
	./bin/govulncheck $(PKG)

tidy: ## bring go.mod and those of the modules inside up to date
	$(GO) mod tidy
	GOWORK=off $(GO) -C tools mod tidy
	$(GO) -C examples/archive mod tidy
	$(GO) -C bench mod tidy
	GOWORK=off $(GO) -C cmd/flchat mod tidy
	for m in storage/natsstore relay/natsrelay relay/watermillrelay examples/replicas examples/webchat/browser; do GOWORK=off $(GO) -C $$m mod tidy; done
	$(GO) -C telemetry/otelchat mod tidy
	$(GO) -C storage/pgstore mod tidy
	$(GO) -C examples/archive-postgres mod tidy

docs: ## show the documentation in a browser
	$(GO) doc -http

pictures: ## docs/images: the pages of the local Fliplet and of webchat, as Chromium paints them (with the fonts Inter and Noto Color Emoji)
	mkdir -p docs/images
	WEBCHAT_PICTURES=$(CURDIR)/docs/images GOWORK=off $(GO) -C examples/webchat/browser test -count=1 -run '^TestPictures$$' .
	CHAT_LONG=1 FLIPLET_LOCAL_PICTURES=$(CURDIR)/docs/images $(GO) test -count=1 -run '^TestPicturesInChromium$$' ./internal/flipletlocal

quickstart: ## two people and a third chat through a local Fliplet
	$(GO) run ./examples/quickstart
