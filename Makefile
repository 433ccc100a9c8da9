# Everything runs in .venv, which is made and filled on first use.
#
# PYTHON picks the interpreter, PIP_FLAGS is passed to `pip install`: on Linux without a GPU,
# an index with PyTorch's CPU builds saves gigabytes (see the README). TESTS picks some tests.
#
# LOCKED=1, as CI says, installs the files whose hashes are in .ci/locks and no others, and then the
# project as a package, not as a link to this folder (pip can't do both). Without it, versions are
# those of constraints.txt and hashes are left to the index.

PYTHON ?= python3
PIP_FLAGS ?=
LOCKED ?=
TESTS ?= tests
KILLS ?= 200
MINUTES ?= 60
VENV := .venv
BIN := $(VENV)/bin
RELEASE := build/release
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS)
CONSTRAINED = $(PIP_INSTALL) -c constraints.txt
HASHED = $(PIP_INSTALL) --require-hashes --no-deps --only-binary :all:
# What makes an environment stale; a package that was installed, unlike a link, with its sources.
SOURCES = $(shell find src -type f -not -path '*.egg-info/*' -not -path '*/__pycache__/*')
PINS = pyproject.toml constraints.txt $(if $(LOCKED),$(wildcard .ci/locks/*.txt) $(SOURCES))
BUILT = $(PIP_INSTALL) --require-hashes --no-deps --no-build-isolation
OWN = $(PIP_INSTALL) --no-deps --no-build-isolation .

.PHONY: demo gpu-check test test-device audit-models test-triton test-frameworks differential docs dist test-dist lint types format clean lock audit crashtest fuzz sanitize mutants

demo: $(VENV)/.core
	$(BIN)/python examples/demo.py runs/demo

# Files in their order: xdist would begin with those of many tests, and end with long ones on one core.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder \
	  --ignore tests/device $(TESTS)

# `tempreg audit` of every built-in network: minutes.
audit-models: $(VENV)/.dev
	$(BIN)/python tools/audit_models.py

# Every command, and a dry run of gpu-check, on a device that isn't there: minutes.
test-device: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/device

# The CUDA kernels, through Triton's interpreter and compiler; needs no GPU, but a big package.
test-triton: $(VENV)/.dev
ifdef LOCKED
	$(BIN)/python $(HASHED) -r .ci/locks/triton.txt
else
	$(BIN)/python $(CONSTRAINED) -e '.[triton]'
endif
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto tests/oracle -k "interpreter or gpus"

# tempreg tried on an NVIDIA GPU in under eight minutes; says so where there is none. CIFAR: CIFAR-10
# as class folders of JPEG files, for a network trained in the time left.
CIFAR ?=
gpu-check: $(VENV)/.dev
	$(BIN)/python -m benchmarks.gpu_check $(if $(CIFAR),--cifar $(CIFAR))

# Models of other frameworks: two environments, for their pins clash (see tests/interop). Where
# constraints.txt pins nir, that is left to the requirement files.
FRAMEWORKS := .venv-frameworks
test-frameworks: $(FRAMEWORKS)/.spikingjelly-snntorch-norse $(FRAMEWORKS)/.sinabs
	OMP_NUM_THREADS=1 $(FRAMEWORKS)/spikingjelly-snntorch-norse/bin/python -m pytest -n auto tests/interop
	OMP_NUM_THREADS=1 $(FRAMEWORKS)/sinabs/bin/python -m pytest -n auto tests/interop

$(FRAMEWORKS)/.%: tests/interop/requirements-%.txt $(PINS)
	@echo "first time: installing PyTorch and $* into $(FRAMEWORKS)/$*"
	$(PYTHON) -m venv $(FRAMEWORKS)/$*
ifdef LOCKED
	$(FRAMEWORKS)/$*/bin/python $(HASHED) -r .ci/locks/$*.txt
	$(if $(wildcard .ci/locks/$*-source.txt),$(FRAMEWORKS)/$*/bin/python $(BUILT) -r .ci/locks/$*-source.txt)
	rm -rf build/lib
	$(FRAMEWORKS)/$*/bin/python $(OWN)
else
	grep -vE '^nir(torch)?==' constraints.txt > $(FRAMEWORKS)/$*/constraints.txt
	$(FRAMEWORKS)/$*/bin/python $(PIP_INSTALL) -c $(FRAMEWORKS)/$*/constraints.txt -r $< -e . \
	  pytest pytest-xdist hypothesis
endif
	@touch $@

# Recordings through readers of other people, which have an environment of their own: half an hour.
DIFFERENTIAL := .venv-differential
differential: $(DIFFERENTIAL)/.made
	OMP_NUM_THREADS=1 $(DIFFERENTIAL)/bin/python -m tests.differential --page docs/reliability.md \
	  --log docs/reliability/differential.json

$(DIFFERENTIAL)/.made: tests/differential/requirements.txt $(PINS)
	$(PYTHON) -m venv $(DIFFERENTIAL)
	$(DIFFERENTIAL)/bin/python $(CONSTRAINED) -r $< -e '.[events]' pytest
	@touch $@

# The pages in docs/ as a site in build/site, without anything from another host. The variable stops
# a notice of mkdocs-material about its own end of life, on May 5, 2027.
docs: $(VENV)/.dev
ifndef LOCKED
	$(BIN)/python $(CONSTRAINED) -e '.[docs]'
endif
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest tests/site

# dist/: the source, and the wheel built from it.
dist: $(RELEASE)/.made
	rm -rf dist
	$(RELEASE)/bin/python -m build --no-isolation --outdir dist .

# The wheel in a fresh environment and an empty folder, then the Lightning example beside it; costs
# an installation of PyTorch.
test-dist: dist
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/cffconvert --validate
	$(PYTHON) tools/try_wheel.py dist $(if $(LOCKED),--lock .ci/locks/wheel.txt,-c constraints.txt) $(PIP_FLAGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

# What CI installs: once more from pyproject.toml and constraints.txt, for this Python and machine.
lock: $(VENV)/.dev
	$(BIN)/python tools/lock.py
	$(BIN)/python $(CONSTRAINED) -e '.[docs,triton]'
	$(BIN)/python tools/licences.py

# Known vulnerabilities of all that CI installs; asks PyPI about every package.
audit: $(RELEASE)/.made
	$(RELEASE)/bin/python $(PIP_INSTALL) pip-audit==2.10.1
	$(RELEASE)/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
	  $(patsubst %,-r %,$(wildcard .ci/locks/*.txt))

# Commands stopped at random moments and run again, until so many were stopped: most of an hour for
# 100. Goes on where the log ends; disk full and read-only are tried in full as root only.
crashtest: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.crash --seed 1 --kills $(KILLS) --page docs/reliability.md \
	  --log docs/reliability/crashtest.csv

# Damaged and hostile files through every reader, for so many minutes of a processor.
fuzz: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --minutes $(MINUTES) --page docs/reliability.md \
	  --log docs/reliability/fuzz.csv

# C kernels on random inputs and random networks' exported C under gcc's sanitizers, for so many
# minutes; and which lines of the kernels their tests run.
sanitize: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.sanitize --minutes $(MINUTES)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.sanitize.coverage

# Mutation testing of the parts that numbers come from: over an hour on one core. Goes on where it was
# stopped; a sample holds for the sources that it was drawn from, so this draws another elsewhere.
mutants: $(VENV)/.dev
	$(BIN)/python $(CONSTRAINED) mutmut==3.8.1 coverage==7.17.3
	test -f build/mutants/mutants.csv || $(BIN)/python tools/mutate.py draw numbers build/mutants/mutants.csv
	$(BIN)/python tools/mutate.py run build/mutants/mutants.csv
	$(BIN)/python tools/mutate.py table build/mutants/mutants.csv

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(FRAMEWORKS) $(DIFFERENTIAL) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.core: $(PINS)
	@echo "first time: making $(VENV) and installing tempreg with PyTorch (200 MB and more, minutes)"
	$(PYTHON) -m venv $(VENV)
ifdef LOCKED
	$(BIN)/python $(HASHED) -r .ci/locks/dev.txt
	rm -rf build/lib
	$(BIN)/python $(OWN)
	$(BIN)/python -m pip check
else
	$(BIN)/python $(CONSTRAINED) -e .
endif
	@touch $@

$(VENV)/.dev: $(VENV)/.core
ifndef LOCKED
	@echo "first time: installing what the tests and checks need"
	$(BIN)/python $(CONSTRAINED) -e '.[dev]'
endif
	@touch $@

# Tools of a release have an environment of their own: cffconvert wants older packages.
$(RELEASE)/.made: $(PINS) tools/release.txt
	$(PYTHON) -m venv $(RELEASE)
ifdef LOCKED
	$(RELEASE)/bin/python $(HASHED) -r .ci/locks/release.txt
	$(RELEASE)/bin/python $(BUILT) -r .ci/locks/release-source.txt
	$(RELEASE)/bin/python -m pip check
else
	$(RELEASE)/bin/python $(PIP_INSTALL) -r tools/release.txt
endif
	@touch $@
