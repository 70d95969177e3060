# Verbs for people; `make` alone lists them. Tools are installed by scripts/deps.sh.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help build demo test soak bench bench-quick bench-micro fmt lint

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TESTFLAGS ?=

# The Python that tests run boto3 with: one that was named, else our own
# virtual environment if scripts/deps.sh had to make it, else the system's.
PYTHON = $${PENSTOCK_TEST_PYTHON:-$$([ -x .cache/venv/bin/python3 ] && echo "$$PWD/.cache/venv/bin/python3" || echo python3)}

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/penstock
	@scripts/deps.sh build
	go build -ldflags '-X main.version=$(VERSION)' -o bin/penstock ./cmd/penstock

demo: ## watch an integration from creation to deletion, on a throwaway PostgreSQL
	@scripts/deps.sh demo
	@$(MAKE) --no-print-directory build
	bin/penstock demo

test: ## run all tests, against real servers
	@scripts/deps.sh test
	PENSTOCK_TEST_PYTHON="$(PYTHON)" go test -p 2 -timeout 30m $(TESTFLAGS) ./...
	cd bench && go test -timeout 30m $(TESTFLAGS) ./...

SOAK  ?= 30m
SEEDS ?=

soak: ## random schemas, workloads and faults for SOAK=30m, or from SEEDS="1 2"; and what takes long
	@scripts/deps.sh test
	set -e; for seed in $(SEEDS); do \
		PENSTOCK_CHAOS_SEED=$$seed go test -v -count 1 -timeout 2h -run '^(TestChaos|TestChaosLost|TestOrderEntry|TestPgbench)$$' ./e2e; done
	[ -n "$(SEEDS)" ] || PENSTOCK_SOAK=$(SOAK) go test -v -count 1 -timeout 0 -run '^TestSoak$$' ./e2e
	PENSTOCK_TEST_LOAD=1 PENSTOCK_TEST_PYTHON="$(PYTHON)" go test -p 1 -count 1 -timeout 2h $(TESTFLAGS) ./...

Q         ?= all
BENCHFLAGS ?=

bench: ## measure, side by side, Q=drain|load|freshness|growth|queries|start, into bench/RESULTS.md
	@scripts/deps.sh bench
	cd bench && go run . -q $(Q) $(BENCHFLAGS)

bench-quick: ## the same at small sizes, all in a few minutes, into bench/quick/
	@scripts/deps.sh bench
	cd bench && go run . -q $(Q) -quick -out quick $(BENCHFLAGS)

bench-micro: ## run the micro-benchmarks
	@scripts/deps.sh demo
	go test -run '^$$' -bench . -benchmem ./...
	cd bench && go test -run '^$$' -bench . -benchmem ./...

fmt: ## format the Go files
	gofmt -w $$(git ls-files '*.go')

lint: ## check format and vet
	@scripts/deps.sh build
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }
	go vet ./...
	cd bench && go vet ./...
