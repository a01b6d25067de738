# What people and the build machine call. Progress goes to standard error, results to standard output.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup machine run test test-hardware lint bench faults coverage-req lock
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
ONCE ?=
BENCH ?=
SEEDS ?=
SEED ?=
SOAK ?=
PYTEST ?=
# Tests wait for telephones more than they compute: four processes share two cores well.
WORKERS ?= 4

help:
	@echo 'make run           一次完整的三方通话演示 / plays a whole case; ONCE=1 ends after it'
	@echo 'make test          全部测试 / the whole suite; PYTEST="-k name" for a part, WORKERS=0 in one process'
	@echo 'make test-hardware 硬件部分长测及其他软件检验 / drivers at full length, other programs against them'
	@echo 'make lint          静态检查 / ruff, mypy, import contracts, dialplan lint'
	@echo 'make bench         性能数据 / figures as JSON lines; BENCH=name,name for some'
	@echo 'make faults        故障矩阵 / the fault matrix; SEEDS=n adds random runs, SEED=k replays one, SOAK=m one call a second for m minutes'
	@echo 'make coverage-req  需求覆盖 / which requirement rows have tests'
	@echo 'make setup         只准备 .venv / the virtual environment alone'
	@echo 'make lock          更新依赖锁 / write requirements.lock again (needs uv)'

# The virtual environment with the locked dependencies, the sources compiled (a daemon that was killed
# is back half a second sooner); at once when nothing has changed.
setup:
	@.ci/setup >&2
	@$(BIN)/python -m compileall -q bridge hardware

# Asterisk, SIPp, speech synthesis: found on this machine or installed.
machine: setup
	@$(BIN)/python -m bridge.lab.prepare >&2

run: machine
	@exec $(BIN)/bridge110 lab up $(if $(ONCE),--once)

test: machine
	@echo '运行测试 / running the tests' >&2
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST) </dev/null || { [ $$? -eq 1 ] && \
	    echo '失败的测试单独再运行一次 / what failed beside others is judged alone' >&2 && \
	    exec $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(PYTEST) </dev/null; }

# Other programs are downloaded and run, some need root; and the drivers at full length: many stateful
# runs. Not part of the ordinary suite.
test-hardware: machine
	@BRIDGE110_STATEFUL_EXAMPLES=60 exec $(BIN)/python -m pytest \
	    -o python_files='test_*.py with_*.py' tests/hardware $(PYTEST) </dev/null

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=. $(BIN)/mypy --strict --explicit-package-bases bridge hardware tests
	$(BIN)/lint-imports
	$(BIN)/bridge110 dialplan lint

bench: machine
	@BENCH='$(BENCH)' exec $(BIN)/python -m tests.bench

faults: machine
	@SEEDS='$(SEEDS)' SEED='$(SEED)' SOAK='$(SOAK)' exec $(BIN)/python -m tests.faults

coverage-req: setup
	@exec $(BIN)/python -m tests.coverage_req

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --group dev pyproject.toml -o requirements.lock
