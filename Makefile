# make conformance   set up, and prove that numpy, chainer and torch compute identical, equivariant results
# make test          set up, and run all tests
# make lint          style, types
# make bench         time both frameworks and their peers, and write docs/performance.md; BENCH=--quick: a few points
# make gpu-check     on a machine with CUDA: all that needs it, in one report; GPU_PYTHON has CuPy and PyTorch
# make chainer-wheel build the wheel of Chainer that such a machine may lack, into wheels/
# make clean         remove the environments and what the commands above wrote
#
# PYTHON chooses the interpreter, EXTRAS what is installed: make test PYTHON=python3.12 EXTRAS=chainer,conformance,test

PYTHON ?= python3
EXTRAS ?= chainer,torch,onnx,quantization,conformance,test,lint
VENV ?= .venv
GPU_PYTHON ?= python3
BENCH_PYTHON ?= python3.11
BENCH_VENV ?= .venv-bench

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d%d" % sys.version_info[:2])')
CONSTRAINTS := constraints/py$(VERSION).txt
INSTALLED := $(VENV)/installed
BIN := $(VENV)/bin
BENCH_INSTALLED := $(BENCH_VENV)/installed

.PHONY: conformance test lint bench gpu-check chainer-wheel clean

conformance: $(INSTALLED)
	$(BIN)/python -m conformance run --report build/conformance

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BENCH_INSTALLED)
	$(BENCH_VENV)/bin/python -m pytest benchmarks --benchmark-quiet $(BENCH)

# An environment of its own, since escnn needs an old NumPy. Without its dependencies: benchmarks/requirements.txt says why.
$(BENCH_INSTALLED): setup.py constraints/build.txt constraints/bench.txt benchmarks/requirements.txt
	$(BENCH_PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet pip==25.3
	PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/build.txt $(BENCH_VENV)/bin/pip install --quiet -c constraints/bench.txt \
		-r benchmarks/requirements.txt -e '.[chainer,torch]'
	$(BENCH_VENV)/bin/pip install --quiet --no-deps -c constraints/bench.txt escnn lie_learn
	touch $@

# With the Python that is there: nothing is installed or fetched.
gpu-check:
	$(GPU_PYTHON) -m benchmarks.gpu_check --report build/gpu-check --wheels wheels

chainer-wheel: $(INSTALLED)
	PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/build.txt $(BIN)/pip wheel --quiet --no-deps -c $(CONSTRAINTS) -w wheels chainer

# Chainer is built from source here; the build constraint is what lets that work on a current pip.
$(INSTALLED): setup.py constraints/build.txt $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet pip==25.3
	PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/build.txt $(BIN)/pip install --quiet -c $(CONSTRAINTS) -e '.[$(EXTRAS)]'
	touch $@

$(CONSTRAINTS):
	@echo "There is no $@: this project is tested on Python 3.9 to 3.13. Choose one with PYTHON=..." >&2; exit 2

clean:
	rm -rf $(VENV) $(BENCH_VENV) build .tox .benchmarks .pytest_cache .hypothesis .mypy_cache .ruff_cache conformance-report
