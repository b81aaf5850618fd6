# make demo [VIDEO=path]   set up and magnify a video: a rendered sample, or your own
# make check               lint and type-check
# make test                set up and run every test
# make bench               time every kernel and the pipeline against the best rivals
# make gpu                 tests, memory checks and timings on this machine's NVIDIA GPU; installs nothing
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --only-binary :all:

demo: $(VENV)/base
	$(BIN)/fastmag demo $(if $(VIDEO),"$(VIDEO)")

check: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(VENV)/test $(VENV)/onnxruntime
	$(BIN)/python -m pytest

bench: $(VENV)/bench
	$(BIN)/python -m bench

gpu:
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m bench.gpu

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/base: $(BIN)/pip pyproject.toml
	$(PIP) --editable .
	touch $@

# torch is held at the release that the shipped network was trained with
$(VENV)/test: $(BIN)/pip pyproject.toml
	$(PIP) --editable ".[test]" torch==2.13.0
	touch $@ $(VENV)/base

# for the C++ program; without them (no Debian, no network) its tests are skipped and say so
$(VENV)/onnxruntime: | $(BIN)/pip
	-timeout 60 export/embed/headers.sh $@

$(VENV)/bench: $(BIN)/pip pyproject.toml
	$(PIP) --editable ".[test,bench]" torch==2.13.0
	touch $@ $(VENV)/base

clean:
	rm -rf $(VENV) build dist *.egg-info

.PHONY: demo check test bench gpu clean
