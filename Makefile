# Every target sets up what it needs in a virtual environment inside the checkout.
# Wanted beforehand: Rust, CPython 3.10 or newer, make. `.ci/tools` names what is missing.
#
# PYTHON=python3.12 chooses an interpreter (its environment is then .venv-python3.12).
# TESTS="tests/python/layers -k gru" chooses Python tests.
# UPDATE=1 lets bench-check write its record.

PYTHON ?=
TESTS ?=
UPDATE ?=
VENV := $(if $(PYTHON),.venv-$(notdir $(PYTHON)),.venv)
BIN := $(VENV)/bin
LOCKED := $(if $(CI),--locked)
RUST := $(shell find src -name '*.rs' 2>/dev/null) Cargo.toml $(wildcard Cargo.lock)
BINDING := --features python,abi3
# The optimized engine with its level for tests: tests and counts share one build, in a folder of its
# own. Beside the module's, each would be compiled anew after the other: a library for C has one name
# whatever its features. `make deep` runs the tests once more with the assertions of a debug build.
DOUBLED := --features doubled --target-dir target/engine
ENGINE := --release $(DOUBLED)
export PYO3_PYTHON := $(abspath $(BIN)/python)
export VIRTUAL_ENV := $(abspath $(VENV))
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport CONDA_PREFIX PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python check-aarch64
.PHONY: bench bench-check bench-peers lint lint-rust lint-python format docs deep clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.plot $(VENV)/.built ## Forecast the weather of Seattle and draw the picture
	$(BIN)/python examples/seattle_forecast.py

test: test-rust test-python ## Build, then run the tests of Rust and Python and, some shorter, all examples

test-rust: $(VENV)/.made
	cargo test $(LOCKED) $(ENGINE)
	@for example in $(basename $(notdir $(wildcard examples/*.rs))); do \
		echo "example $$example"; \
		cargo run $(LOCKED) $(ENGINE) --quiet --example $$example || exit 1; \
	done

test-python: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python -m pytest $(if $(TESTS),,--numprocesses=auto --maxprocesses=8 --dist=loadfile) $(TESTS)

check-aarch64: ## Lint and test the engine for 64-bit Arm, under an emulator elsewhere
	.ci/aarch64 $(LOCKED)

bench: $(VENV)/.made ## Time the engine, and the limits of this machine
	cargo bench $(LOCKED) $(DOUBLED)

bench-check: $(VENV)/.made ## Count the hot paths' instructions and compare (UPDATE=1 records)
	$(BIN)/python benches/python/instructions.py $(LOCKED) $(if $(UPDATE),--update)

bench-peers: $(VENV)/.peers $(VENV)/.built ## Time layers and training against other frameworks
	$(BIN)/python benches/python/peers.py

lint: lint-rust lint-python ## Check format, lints, types, crate documents, licences

lint-rust: $(VENV)/.made
	cargo fmt --check
	cargo clippy $(LOCKED) --all-targets --features doubled -- -D warnings
	cargo clippy $(LOCKED) --all-targets $(BINDING) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --no-deps --quiet

lint-python: $(VENV)/.dev $(VENV)/.built
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python .ci/third_party.py --check

format: $(VENV)/.dev ## Rewrite the sources in the project's format
	cargo fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.docs $(VENV)/.built ## Render the documents into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

deep: $(VENV)/.dev $(VENV)/.built ## Sweeps, Miri and sanitizers, where the tools exist (an hour)
	.ci/deep $(BIN)/python

clean: ## Remove all that was built, the virtual environments too
	rm -rf target build dist docs/_build .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f python/ferrnn/_core*.so python/ferrnn/_core*.pyd
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An interrupted step leaves no stamp, and is done again.
$(VENV)/.made:
	@python=$$(.ci/tools "$(PYTHON)") && echo "environment $(VENV) of $$python" \
		&& "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install 'maturin>=1.9.4,<2'
	@touch $@

# `maturin develop` installs the package in place, together with an extra's packages. It moves the
# compiled library through target/, so two of these steps never run at once.
$(VENV)/.plot $(VENV)/.dev $(VENV)/.docs $(VENV)/.peers: $(VENV)/.made pyproject.toml | $(VENV)/.built
	@echo "installing the packages of the extra $(subst .,,$(notdir $@))"
	@$(BIN)/maturin develop $(LOCKED) --release --quiet --extras $(subst .,,$(notdir $@))
	@touch $@
$(VENV)/.docs: | $(if $(filter demo,$(MAKECMDGOALS)),$(VENV)/.plot)

$(VENV)/.built: $(VENV)/.made $(RUST)
	@echo "compiling the engine"
	@$(BIN)/maturin develop $(LOCKED) --release --quiet --skip-install
	@touch $@
