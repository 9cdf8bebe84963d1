# `make` alone prints this help. Everything lives in .venv; nothing else on the machine is changed,
# except that as root `make test` installs a browser, a Java runtime, nginx, MariaDB and RabbitMQ where they
# are missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
BASE := .venv/.base-installed
DEV := .venv/.dev-installed
RIVALS := .venv/rivals/.installed
OPENSTACK := .venv/openstack/.installed
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet
PYTEST_FLAGS ?= -q -n 3 --dist loadgroup
ARGS ?=

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: install
install: $(BASE) ## make .venv with everything that `make run` needs

.PHONY: run
run: $(BASE) ## install, then serve the site, the scheduler and its clusters on this machine
	@$(BIN)/booking serve $(ARGS)

.PHONY: test-setup
test-setup: $(DEV) $(OPENSTACK) ## install whatever the whole test suite needs
	@tools/setup.sh browser
	@tools/setup.sh java
	@tools/setup.sh nginx
	@tools/setup.sh trust
	@tools/setup.sh openstack

.PHONY: test
test: test-setup ## run the whole test suite (choose with ARGS="tests/allocator -k span")
	@$(BIN)/python -m pytest $(PYTEST_FLAGS) $(ARGS)

.PHONY: openstack-test
openstack-test: $(OPENSTACK) ## boot a real OpenStack on this machine, and run the tests that need one
	@tools/setup.sh openstack
	@$(BIN)/python -m pytest -q tests/openstack $(ARGS)

.PHONY: cover
cover: $(DEV) ## prove that the tests of the allocator reach every line and branch of it
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/allocator --cov=booking.allocator --cov-branch \
	    --cov-report=term-missing:skip-covered --cov-fail-under=100 $(ARGS)

.PHONY: lint
lint: $(DEV) ## check style, types, the floor plan and known weaknesses
	@failed=0; \
	for check in "ruff check --quiet ." "ruff format --check --quiet ." "mypy" "lint-imports --no-logo" \
	    "bandit --quiet --recursive --severity-level medium booking"; do \
	    $(BIN)/$$check || { echo "lint: $$check failed" >&2; failed=1; }; \
	done; exit $$failed

.PHONY: format
format: $(DEV) ## let ruff repair what it can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

.PHONY: bench
bench: $(RIVALS) ## measure the speed beside its rivals (N="10000 1000000" POOLS=... SEED=... ROUNDS=... ARGS=--quick)
	@$(BIN)/python -m tests.bench $(if $(N),--n "$(N)") $(if $(POOLS),--pools "$(POOLS)") \
	    $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

.PHONY: trust
trust: $(DEV) ## try to break every promise, and write trust.md (FULL=1: for hours)
	@tools/setup.sh trust
	@$(BIN)/python -m tests.trust --scale $(if $(FULL),full,short) $(ARGS)

.PHONY: wheel
wheel: $(DEV) ## build dist/booking-*.whl, templates and migrations inside
	@$(BIN)/python -m build --no-isolation --wheel --outdir dist . >/dev/null
	@ls dist/*.whl

.PHONY: lock
lock: $(DEV) ## resolve the dependencies again (ARGS=--upgrade for newer ones)
	@$(COMPILE) $(ARGS) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(COMPILE) $(ARGS) pyproject.toml -o requirements/base.txt
	@$(COMPILE) $(ARGS) -c requirements/base.txt pyproject.toml requirements/dev.in -o requirements/dev.txt
	@$(COMPILE) $(ARGS) requirements/bench.in -o requirements/bench.txt
	@$(COMPILE) $(ARGS) requirements/openstack.in -o requirements/openstack.txt
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_house.py -k lock

.PHONY: messages
messages: $(DEV) ## collect what people read, and bring the catalogue of every language up to it
	@$(BIN)/python tools/messages.py

.PHONY: vendor
vendor: $(DEV) ## fetch the browser libraries named in web/static/vendor/vendor.lock again
	@$(BIN)/python tools/vendor.py

.PHONY: clean
clean: ## remove .venv, caches and builds; the data in var/ stays
	@rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BASE): requirements/bootstrap.txt requirements/base.txt pyproject.toml tools/setup.sh
	@tools/setup.sh venv requirements/base.txt
	@touch $@

$(DEV): $(BASE) requirements/dev.txt
	@tools/setup.sh venv requirements/dev.txt
	@touch $@

# An environment of their own: what the rivals need must neither help nor hinder the product.
$(RIVALS): $(DEV) requirements/bench.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/rivals
	@$(BIN)/uv pip install --quiet --python .venv/rivals/bin/python --require-hashes -r requirements/bench.txt
	@touch $@

# The same for the services that the tests boot.
$(OPENSTACK): $(DEV) requirements/openstack.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/openstack
	@$(BIN)/uv pip install --quiet --python .venv/openstack/bin/python --require-hashes -r requirements/openstack.txt
	@touch $@
