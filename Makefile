# Every target installs what it needs into .venv first; a stamp file keeps that to once.
PYTHON ?= python3.11
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
WORKERS ?= 2

# Two cores are the reference machine; more threads a worker only make them fight.
TEST_ENV := OMP_NUM_THREADS=1

.PHONY: help install demo lint test test-all clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      build GLA from its spec, explain it, train it on recall (about 4 minutes)"
	@echo "make test      lint, types and the tests of everyday use"
	@echo "make test-all  the same with the long sweeps"
	@echo "make install   the environment in $(VENV)"
	@echo "make lint      style and types only"

install: $(STAMP)

# torch goes first and alone: the constraint then holds the build that this machine's index offers,
# and fla-core, an oracle of the tests, cannot pull in another one.
$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt torch
	$(PY) -m pip install --quiet -c constraints.txt hatchling setuptools
	$(PY) -m pip install --quiet -c constraints.txt --no-deps fla-core
	$(PY) -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[prove,dev]'
	touch $@

demo: $(STAMP)
	$(PY) -m eosc build examples/gating/gla.eos --out out/generated
	$(PY) -m eosc explain examples/gating/gla.eos
	$(PY) -m benchmarks.mqar --out out

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

test: lint
	$(TEST_ENV) $(PY) -m pytest -q -n $(WORKERS) -m "not slow and not gpu"

test-all: lint
	$(TEST_ENV) $(PY) -m pytest -q -n $(WORKERS) -m "not gpu"

clean:
	rm -rf out build dist .mypy_cache .ruff_cache .pytest_cache
