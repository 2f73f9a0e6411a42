# One command for each thing one does with weir. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test build check fmt bench sim mutants san soak fuzz install install-check

# Parallel tests: real-cluster tests hold a lock of their own, so that two never share the machine.
TEST_JOBS ?= 2
SEEDS ?= 1000
# make soak: both bounds must be reached. make fuzz: for each target.
SOAK_SECONDS ?= 900
SOAK_KILLS ?= 100
FUZZ_SECONDS ?= 60
release := build/release
cpp_folders := raft wire storage broker clients bench tests
cpp_files = $$(find $(cpp_folders) -name '*.cpp' -o -name '*.hpp' | sort)

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

run: install build ## build, start three brokers, show the example log, serve until Ctrl-C
	@exec docs/example_log.sh $(release)/weir

test: install ## build everything and run every test (what .ci/run does)
	cmake --preset release
	cmake --build --preset release
	@ctest --preset release -j $(TEST_JOBS)

build: ## the one binary: build/release/weir
	cmake --preset release
	cmake --build --preset release --target weir

check: install-check ## format, tidy, lint, a second compiler; changes no file
	clang-format-19 --dry-run -Werror $(cpp_files)
	python3 tests/tidy.py --self-test
	python3 tests/tidy.py
	shellcheck $$(grep -rlE --include='*' '^#!/(bin/sh|bin/bash|usr/bin/env bash)' .ci docs docker tests)
	cmake --preset release >/dev/null
	cmake --build --preset release --target weir_wire_schemas
	.ci/lint $(release)

fmt: ## format the C++ sources in place
	clang-format-19 -i $(cpp_files)

sim: ## run the cluster simulator: make sim SEEDS=1000
	cmake --preset release >/dev/null
	cmake --build --preset release --target weir_sim
	$(release)/weir_sim --seeds $(SEEDS)

mutants: ## classic mistakes, each built in: seeds until the simulator sees it
	cmake --preset release >/dev/null
	cmake --build --preset release --target weir_mutants
	$(release)/weir_mutants --seeds $(SEEDS) --jobs $(TEST_JOBS)

san: install-check ## build and test under asan+ubsan, then under tsan
	cmake --preset asan
	cmake --build --preset asan
	ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  ctest --preset asan -j $(TEST_JOBS)
	# Only what has threads: tests/tidy.py keeps them out of raft/ and broker/core/, wire/ and the simulator have none.
	# tsan needs its address space where it expects it: no randomisation (tests are listed by running them).
	setarch -R cmake --preset tsan
	setarch -R cmake --build --preset tsan
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 setarch -R ctest --preset tsan -j $(TEST_JOBS)

soak: install build ## hurt a real cluster for a while: make soak SOAK_SECONDS=900 SOAK_KILLS=100
	WEIR_BINARY=$(release)/weir PYTHONDONTWRITEBYTECODE=1 \
	  python3 tests/cluster/soak.py --seconds $(SOAK_SECONDS) --kills $(SOAK_KILLS)

fuzz: install install-check ## libFuzzer on everything that reads strangers' bytes: make fuzz FUZZ_SECONDS=60
	cmake --preset fuzz
	cmake --build --preset fuzz --target weir_fuzz
	tests/fuzz/run build/fuzz/weir_fuzz $(FUZZ_SECONDS)

bench: install build ## start three brokers and measure them: a short standard set. The hot paths alone: weir_micro, bench/README.md
	@bench/standard.sh $(release)/weir

install:
	@.ci/install build

install-check:
	@.ci/install build check
