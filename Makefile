# The two commands: make up, make down. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Another environment: make up ENVIRONMENT=production
ENVIRONMENT ?= lab
export DOUGONG_ENVIRONMENT := $(ENVIRONMENT)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

PYTEST := pytest --durations=15

.PHONY: help setup doctor artifacts test-artifacts up status down test lint unit molecule integration drill bench lock clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Debian packages, virtual environment
	@./setup

doctor: setup ## what this machine has and lacks
	@dougong doctor

up: setup ## from nothing to an application that answers; may be stopped anywhere and started again
	@dougong up

status: setup ## whether it is healthy
	@dougong status

down: setup ## remove all of it
	@dougong down --yes

artifacts: setup ## fetch or build every third-party file that the environment needs, and the tools of this machine
	@dougong artifacts fetch --tools --platform inventories/$(ENVIRONMENT)/platform.yml

# The image that the tests' own pods run is no part of an installation.
test-artifacts: artifacts
	@dougong artifacts fetch test-tools-image

test: test-artifacts ## everything: lint, unit, molecule, integration on the lab
	$(PYTEST) --numprocesses 2

lint: setup ## ruff, mypy, ansible-lint, yamllint
	$(PYTEST) tests/lint

unit: artifacts ## the Python parts
	$(PYTEST) --numprocesses auto tests/unit

molecule: test-artifacts ## every role in systemd containers
	$(PYTEST) tests/molecule

integration: test-artifacts ## up, use, up again, kill, down: on the lab
	$(PYTEST) tests/integration

drill: test-artifacts ## what takes long and breaks things on purpose: upgrade under load, restore, loss of a control plane
	DOUGONG_DRILL=1 $(PYTEST) tests/drills tests/molecule tests/integration/test_deleted_port.py

bench: setup ## measure, and write docs/benchmarks.md
	python -m tests.bench

lock: setup ## pin requirements.txt anew after pyproject.toml has changed; UPGRADE=--upgrade for newer versions, too
	uv pip compile --quiet --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
		--custom-compile-command "make lock" --python-version 3.11 $(UPGRADE) pyproject.toml --output-file requirements.txt

clean: ## forget what tools left in this folder; cache and state stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .ansible *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
