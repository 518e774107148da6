# The commands of the README. Each first installs and builds what it needs (setup/prepare.py), once.
#
#   make demo [BOARD=unix]   teach a board ten classes, and see what it learned
#   make test [WORKERS=2]    everything, on every emulated board   (PYTEST="-k words -x" chooses)
#   make soak                power cuts, trained networks in int8 and other long runs, for half an hour
#   make test-train          the recipes of models/, for which it installs PyTorch
#   make lint                formatters and linters, changing nothing; `make format` changes
#   make bench               the figures that we claim
#   make bench-learning       how well each method learns, on the data sets of DATA=../shared/data: hours
#   make clean               forget what was built here (the cache of sources and firmwares stays)

BOARD ?= unix
DATA ?= ../shared/data
WORKERS ?= $(shell nproc)
EMULATED = unix pico-emulated qemu-m3 qemu-m4 qemu-rv32
VENV = .venv/bin
PREPARE = python3 setup/prepare.py
ARCH = $(shell sed -n 's/^arch = "\(.*\)"/\1/p' boards/$(BOARD).toml)
C_FILES = $(shell git ls-files '*.c' '*.h')

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@test -f boards/$(BOARD).toml || { echo "there is no board $(BOARD); known are:" $(patsubst boards/%.toml,%,$(wildcard boards/*.toml)); exit 2; }
	@$(PREPARE) venv $(BOARD)
	@$(MAKE) --no-print-directory --silent -C native_modules host native ARCHS=$(ARCH)
	@$(VENV)/tinylearn demo --board $(BOARD)

prepare-all:
	@$(PREPARE) venv-dev $(EMULATED)
	@$(MAKE) --no-print-directory --silent -C native_modules host native

test: prepare-all
	@$(VENV)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(PYTEST)

soak: prepare-all
	@$(VENV)/python -m pytest tests/soak $(PYTEST)

test-train: prepare-all
	@$(VENV)/python -m pip install --quiet -r requirements-train.txt
	@$(VENV)/python -m pytest models $(PYTEST)

bench-learning: prepare-all
	@$(VENV)/python -m pip install --quiet -r requirements-train.txt
	@$(VENV)/python benchmarks/learning.py --data $(DATA)

bench: prepare-all
	@$(VENV)/python benchmarks/run.py

lint:
	@$(PREPARE) venv-dev
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/clang-format --dry-run -Werror $(C_FILES)

format:
	@$(PREPARE) venv-dev
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .
	$(VENV)/clang-format -i $(C_FILES)

clean:
	rm -rf build .pio .pytest_cache .ruff_cache .hypothesis

.PHONY: help demo prepare-all test soak test-train bench bench-learning lint format clean
