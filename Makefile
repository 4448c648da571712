# gnomon: `make help` lists what there is. Needs only make and a Python ≥ 3.11 that can make virtual environments.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV    := .venv
BIN     := $(VENV)/bin
CORES   := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS    ?=
RUNTIME := $(VENV)/.runtime-ready
DEV     := $(VENV)/.dev-ready

# The first Python that really runs (a pyenv shim may exist and fail), is new enough, and can make environments; the newest
# of those that were tried, before one that was not.
find_python = for p in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3 python /usr/bin/python3 python3.14); do \
	"$$p" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(RUNTIME)  ## serve examples/jobs.d; the database is .gnomon/gnomon.db
	$(BIN)/gnomon serve --jobs-dir examples/jobs.d $(ARGS)

.PHONY: test
test: $(DEV)  ## all tests, on all cores (ARGS="-k cron -x" to choose)
	$(BIN)/python -m pytest -n $(CORES) --dist worksteal $(ARGS)

CHECKS := lint format-check types imports docs

.PHONY: check
check: $(DEV)  ## lint, format, types, import directions, docs; goes on after a failure and names each
	@failed=; for one in $(CHECKS); do $(MAKE) --no-print-directory $$one || failed="$$failed $$one"; done; \
	[ -z "$$failed" ] || { echo "make check: failed:$$failed" >&2; exit 1; }

.PHONY: format
format: $(DEV)  ## let ruff mend what it can
	$(BIN)/ruff check --fix $(ARGS)
	$(BIN)/ruff format $(ARGS)

.PHONY: lint format-check types imports
lint: $(DEV)
	$(BIN)/ruff check
format-check: $(DEV)
	$(BIN)/ruff format --check
types: $(DEV)
	$(BIN)/mypy
imports: $(DEV)
	$(BIN)/lint-imports --no-logo

.PHONY: docs
docs: $(DEV)  ## the manual, into docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

.PHONY: bench
bench: $(DEV)  ## every benchmark in benchmarks/
	@for file in benchmarks/[a-z]*.py; do \
		[ -f "$$file" ] || { echo "bench: no benchmarks yet"; break; }; \
		name=$${file#benchmarks/}; echo "== $$file"; $(BIN)/python -m "benchmarks.$${name%.py}" $(ARGS) || exit 1; done

.PHONY: soak
soak: $(DEV)  ## faults at random over a real scheduler, judged by what the jobs wrote (ARGS="--minutes 60 --seed 1")
	$(BIN)/python -m tests.chaos.soak $(ARGS)

.PHONY: hostile
hostile: $(DEV)  ## values of all kinds handed over in all places, many at random (GNOMON_HOSTILE_SEED=1)
	GNOMON_HOSTILE_VALUES=$${GNOMON_HOSTILE_VALUES:-300} $(BIN)/python -m pytest -q -n 0 tests/chaos/test_hostile_values.py

.PHONY: lock
lock: $(DEV)  ## make requirements/*.txt anew (ARGS=--upgrade to move versions)
	$(LOCK) --group dev -o requirements/dev.txt pyproject.toml $(ARGS)
	$(LOCK) -c requirements/dev.txt -o requirements/lock.txt pyproject.toml $(ARGS)
	$(LOCK) -c requirements/dev.txt -o requirements/build.txt --group pyproject.toml:build $(ARGS)

# One lock for every system and Python ≥ 3.11; by name, version and hash only, no address of an index.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

.PHONY: clean
clean:  ## remove the environment, caches and built files; the database in .gnomon/ stays
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: once per change of a lock, and again where the checkout was moved or its Python is gone ----
# The stamp is written last. While pip works, .installing is there: found at the start, it says that pip was interrupted,
# and what it left may look installed without being whole.

STALE := $(shell [ -x $(BIN)/python ] && [ "$$(cat $(VENV)/.made-in 2>/dev/null)" = "$(CURDIR)" ] || echo stale)
install = again=; [ ! -f $(VENV)/.installing ] || again=--ignore-installed; touch $(VENV)/.installing; \
	$(PIP) install $$again --require-hashes $(1) && rm $(VENV)/.installing

$(RUNTIME): requirements/lock.txt requirements/build.txt pyproject.toml $(if $(STALE),stale)
	@if [ -f $(VENV)/.made-in ] && [ "$$(cat $(VENV)/.made-in)" != "$(CURDIR)" ]; then rm -rf $(VENV); fi
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		python=$$($(find_python)); \
		[ -n "$$python" ] || { echo "No Python 3.11 or newer with venv and ensurepip found; name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }; \
		echo "making $(VENV) with $$("$$python" --version)"; \
		minor=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		grep -q "Python :: $$minor\"" pyproject.toml || \
			echo "note: gnomon has not been tried on Python $$minor; should something fail, name another: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
		rm -rf $(VENV); "$$python" -m venv $(VENV); fi
	@echo "installing what gnomon needs into $(VENV)"
	@$(call install,-r requirements/lock.txt -r requirements/build.txt)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" > $(VENV)/.made-in
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@echo "installing what tests and checks need into $(VENV)"
	@$(call install,-r requirements/dev.txt)
	@touch $@

.PHONY: stale
stale:
