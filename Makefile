# Everything sets itself up: `make demo` and `make test` work from a fresh clone with Python 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Real data for tests, benchmarks and results, where it is there; see data/README.md.
ifneq ($(wildcard ../shared/data),)
export VIDREP_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo test test-all lint format bench wheel clean

help:
	@echo "make demo      the whole path on sample videos: sample, extract, train, finetune, evaluate, predict"
	@echo "make test      lint, types and the default tests"
	@echo "make test-all  the slow tests too"
	@echo "make bench     what is measured on a CPU"
	@echo "make wheel     build a wheel and try it outside the checkout"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(READY)
	$(BIN)/vidrep demo -o demo --overwrite

test: lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: lint
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for folder in crash extraction features; do $(BIN)/mypy tests/$$folder/conftest.py || exit 1; done

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python benchmarks/help_time.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/moving_mnist_generator.py

wheel: $(READY)
	PYTHON=$(PYTHON) bash .ci/try_wheel.sh

clean:
	rm -rf $(VENV) demo build dist *.egg-info
