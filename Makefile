# Every target finds and installs what it needs. `make` alone lists them.
# Written for any folder (spaces too), for root without HOME, and for no terminal.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export HOME := $(or $(HOME),$(shell getent passwd "$$(id -u)" | cut -d: -f6),/root)
export PYTHONUNBUFFERED := 1
unexport VIRTUAL_ENV

PYTHON := .venv/bin/python
RISEN := .venv/bin/risen
PYTEST := $(PYTHON) -m pytest
T ?=
B ?=
YES ?=
LEFT ?=
SEEDS ?= 40

.PHONY: help setup python up down check test e2e soak mutants bench reference

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: ## install what is missing: programs of the host (root), Python packages into .venv
	@tools/setup.sh

python:
	@tools/setup.sh python

up: setup ## raise the cluster of cluster.yaml (a new one if there is none) on this host; root
	@[ -e cluster.yaml ] || $(RISEN) init
	@$(RISEN) up --yes

down: setup ## delete that cluster; images, packages and your files stay (YES=1: without asking); root
	@$(RISEN) down $(if $(YES),--yes)

check: python ## format, lint, types, unit, scenarios, architecture, style, short simulation; no root; 2 minutes
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check --no-cache .
	@$(PYTHON) -m mypy
	@$(PYTEST) -q -n logical --dist worksteal -m "not root and not cluster and not e2e and not sim" tests

test: setup check ## check, longer simulations, contracts against real parts, then one real cluster; root
	@[ "$$(id -u)" = 0 ] || { echo "make test raises a real cluster and needs root: sudo make test" >&2; exit 1; }
	@tools/setup.sh tests
	@$(PYTEST) -q -n logical --dist worksteal -m "sim and not root and not cluster and not e2e" tests
	@$(PYTEST) --durations=15 -m "(root or cluster) and not e2e" tests

e2e: setup ## every real-cluster test; T=name: one; LEFT=1: those not yet passed on this code; root
	@tools/setup.sh tests
	@tools/setup.sh guests
	@$(PYTEST) --fidelity=fail --record bench/results/e2e.json $(if $(LEFT),--left) -m "cluster or e2e" $(if $(T),-k "$(T)") tests/e2e

soak: python ## hours of simulation, carried on where it stopped: every fault at every write; SEEDS=40 of each scenario
	@$(PYTHON) -m risen.sim.soak --enumerate --out bench/results/soak-enumerate.json
	@$(PYTHON) -m risen.sim.soak --scenario 3+2 --seeds 1000 --out bench/results/soak-random.json
	@$(PYTHON) -m risen.sim.soak --seeds $(SEEDS) --out bench/results/soak-random.json
	@$(PYTEST) -q tests/fidelity

mutants: python ## put each named bug into a copy of the code and see that tests or the simulator catch it; 12 to 20 minutes
	@$(PYTHON) tools/mutants.py --out bench/results/mutants.json

bench: setup ## measure (B=name for one), keep the figures in bench/results, show them against their aims; root
	@$(PYTHON) tools/bench.py $(B)

reference: python ## write docs/reference.md anew from the code
	@$(PYTHON) tools/reference.py
