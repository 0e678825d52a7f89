# Every target does its own set-up; see deploy/scripts/setup.sh.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo run test bench soak check format lock clean setup-local setup-dev setup-debian

PYTEST_ARGS ?=

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: setup-local ## a whole call on this machine: spoken, answered, transcribed, delivered, priced
	@.venv/bin/claimline demo

run: setup-local ## engine and service, ready to be dialled (CONFIG=claimline.toml: your settings)
	@deploy/scripts/run.sh $(CONFIG)

test: check setup-debian ## linters, types and every test
	@.venv/bin/python -m pytest -n 3 --dist loadfile -m "not alone" $(PYTEST_ARGS)
	@.venv/bin/python -m pytest -m alone $(PYTEST_ARGS)

bench: setup-dev setup-debian ## calls, latency and load, measured on this machine
	@.venv/bin/python -m tests.bench

soak: setup-dev setup-debian ## long runs: ten minutes of calls, websockets that die, workers that are killed, a call longer than its session
	@.venv/bin/python -m tests.soak

check: setup-dev ## linters, formatting and types only
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

format: setup-dev ## rewrite the code in the project's format
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

lock: setup-dev ## regenerate requirements/*.txt from pyproject.toml (UPGRADE=1: newest versions)
	@deploy/scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what the other targets made, calls' data excepted
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info demo-out bench-out soak-out
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

setup-local:
	@deploy/scripts/setup.sh local

setup-dev:
	@deploy/scripts/setup.sh dev

setup-debian:
	@sed 's/#.*//' requirements/debian-test.txt | xargs deploy/scripts/debian-packages.sh
