# Everything runs in .venv, which is made and filled on first use.
#
# PYTHON picks the interpreter, PIP_FLAGS is passed to `pip install`: on Linux without a GPU,
# an index with PyTorch's CPU builds saves gigabytes (see the README). TESTS picks some tests.

PYTHON ?= python3
PIP_FLAGS ?=
TESTS ?= tests
VENV := .venv
BIN := $(VENV)/bin
RELEASE := build/release
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_FLAGS)

.PHONY: demo test test-triton test-frameworks docs dist test-dist lint types format clean

demo: $(VENV)/.core
	$(BIN)/python examples/demo.py runs/demo

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(TESTS)

# The CUDA kernels, through Triton's interpreter and compiler; needs no GPU, but a big package.
test-triton: $(VENV)/.dev
	$(INSTALL) -e '.[triton]'
	$(BIN)/python -m pytest tests/oracle/test_lif_triton.py

# Models of other frameworks: two environments, for their pins clash (see tests/interop). Where
# constraints.txt pins nir, that is left to the requirement files.
FRAMEWORKS := .venv-frameworks
test-frameworks: $(FRAMEWORKS)/.spikingjelly-snntorch-norse $(FRAMEWORKS)/.sinabs
	OMP_NUM_THREADS=1 $(FRAMEWORKS)/spikingjelly-snntorch-norse/bin/python -m pytest -n auto tests/interop
	OMP_NUM_THREADS=1 $(FRAMEWORKS)/sinabs/bin/python -m pytest -n auto tests/interop

$(FRAMEWORKS)/.%: tests/interop/requirements-%.txt pyproject.toml constraints.txt
	@echo "first time: installing PyTorch and $* into $(FRAMEWORKS)/$*"
	$(PYTHON) -m venv $(FRAMEWORKS)/$*
	grep -vE '^nir(torch)?==' constraints.txt > $(FRAMEWORKS)/$*/constraints.txt
	$(FRAMEWORKS)/$*/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) \
	  -c $(FRAMEWORKS)/$*/constraints.txt -r $< -e . pytest pytest-xdist hypothesis
	@touch $@

# The pages in docs/ as a site in build/site, without anything from another host. The variable stops
# a notice of mkdocs-material about its own end of life, on May 5, 2027.
docs: $(VENV)/.dev
	$(INSTALL) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest tests/site

# dist/: the source, and the wheel built from it.
dist: $(RELEASE)/.made
	rm -rf dist
	$(RELEASE)/bin/python -m build --outdir dist .

# The wheel in a fresh environment and an empty folder, then the Lightning example beside it; costs
# an installation of PyTorch.
test-dist: dist
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/cffconvert --validate
	$(PYTHON) tools/try_wheel.py dist -c constraints.txt $(PIP_FLAGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(FRAMEWORKS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.core: pyproject.toml constraints.txt
	@echo "first time: making $(VENV) and installing tempreg with PyTorch (200 MB and more, minutes)"
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "first time: installing what the tests and checks need"
	$(INSTALL) -e '.[dev]'
	@touch $@

# Tools of a release have an environment of their own: cffconvert wants older packages.
$(RELEASE)/.made: Makefile
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check \
		build==1.6.1 twine==7.0.0 cffconvert==2.0.0 'setuptools<81'
	@touch $@
